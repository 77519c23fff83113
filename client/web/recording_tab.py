"""The recording tab: a file or a recording in, words to click and files to keep out."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from client.errors import RecognitionError
from client.sources import SourceError
from client.web.connect import Connect
from client.web.hearing import Hearing, hear, open_short
from client.web.live import sentence_of
from client.web.model_picker import ModelPicker
from client.web.settings import Choices, chosen, streaming_config
from client.web.transcripts import (
    DOWNLOADS,
    download,
    progress_bar,
    under_way,
    with_player,
)

AT_ONCE = 4
"""Recordings that are recognized at the same time, over all visitors."""


def lay_out(demo: gr.Blocks, connect: Connect, folder: Path) -> None:
    """Lay the tab out and say what its button does; files to keep are put into the folder."""
    audio = recording_input()
    picker = ModelPicker(demo, connect)
    button = gr.Button("Recognize", variant="primary", elem_id="recording-start")
    result = gr.HTML(elem_id="recording-result", apply_default_css=False, min_height=80)
    with gr.Row():
        files = [
            gr.DownloadButton(f"Save {ending.upper()}", interactive=False) for ending in DOWNLOADS
        ]

    async def recognize(
        path: str | None,
        *values: Any,  # noqa: ANN401 - the values of `Choices`
    ) -> AsyncIterator[list[Any]]:
        no_files = [gr.DownloadButton(value=None, interactive=False) for _ in DOWNLOADS]
        heard = Hearing()
        trouble = ""
        try:
            source = await open_short(given(path))
        except SourceError as error:
            yield [problem(error), *no_files]
            return
        try:
            async with connect() as client:
                choices = Choices(*values)
                model = chosen(await client.models(), choices.model)
                config = streaming_config(choices, model, live=False)
                async for heard in hear(client, source, config):
                    progress = progress_bar("Recognizing", heard.processed_s, heard.duration_s)
                    yield [under_way(heard.results, progress), *no_files]
        except (RecognitionError, SourceError) as error:
            trouble = problem(error)
            if not heard.results:
                yield [trouble, *no_files]
                return
        with _written(heard, Path(source.name).stem, folder) as written:
            # Gradio takes copies of the files, which go after a day.
            yield [
                trouble + with_player(heard.results, source.name),
                *(gr.DownloadButton(value=str(file), interactive=True) for file in written),
            ]

    button.click(
        recognize,
        [audio, *picker.inputs],
        [result, *files],
        concurrency_limit=AT_ONCE,
        show_progress="hidden",
        api_visibility="private",
    )


def recording_input() -> gr.Audio:
    """Make the place for a recording."""
    return gr.Audio(
        sources=["upload", "microphone"],
        type="filepath",
        label="Recording",
        editable=False,
        # Not the one that puts a recording onto somebody else's web site.
        buttons=["download"],
    )


def given(path: str | None) -> str:
    """Insist on a recording.

    Raises:
        SourceError: There is none.
    """
    if not path:
        raise SourceError("There is no recording yet: choose a file, or record one")
    return path


def problem(error: RecognitionError | SourceError) -> str:
    """Write an error as a sentence on the page."""
    sentence = sentence_of(error) if isinstance(error, RecognitionError) else readable(error)
    return complaint(sentence)


def complaint(sentence: str) -> str:
    """Write what is wrong, for the page."""
    return f'<p class="problem" role="alert">{escape(sentence)}</p>'


def readable(error: SourceError) -> str:
    """Say what is wrong with a recording, without the path at which Gradio keeps it."""
    words = [word if "/" not in word else Path(word).name for word in str(error).split(" ")]
    return f"{' '.join(words)}."


@contextmanager
def _written(heard: Hearing, name: str, folder: Path) -> Iterator[list[Path]]:
    """Write the files to keep; they are there while the block lasts."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        files = [Path(place, f"{name}.{ending}") for ending in DOWNLOADS]
        for file in files:
            content = download(file.suffix[1:], heard.transcripts)
            file.write_text(content, encoding="utf-8")
        yield files
