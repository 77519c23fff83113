"""The compare tab: one recording, several ways and models side by side."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import gradio as gr

from client.errors import RecognitionError
from client.evaluation.accuracy import Normalizer
from client.sources import SourceError
from client.web.comparison import Column, Way, recognize, side_by_side
from client.web.connect import Connect
from client.web.hearing import open_short
from client.web.recording_tab import complaint, given, problem, recording_input
from client.web.transcripts import progress_bar

AT_ONCE = 2
"""Comparisons at the same time, over all visitors; each asks for one thing after the other."""


def lay_out(demo: gr.Blocks, connect: Connect) -> None:
    """Lay the tab out and say what its button does."""
    audio = recording_input()
    ways = gr.CheckboxGroup(
        [way.value for way in Way],
        value=[Way.STREAMING.value, Way.SMALL_PIECES.value, Way.LARGE_PIECES.value],
        label="Ways to recognize it",
    )
    models = gr.Dropdown(label="Models", choices=[], multiselect=True)
    reference = gr.Textbox(label="What was said, where it is known (optional)", lines=2)
    button = gr.Button("Compare", variant="primary", elem_id="compare-start")
    result = gr.HTML(elem_id="compare-result", apply_default_css=False, min_height=80)

    async def refresh() -> Any:  # noqa: ANN401 - an update of Gradio
        try:
            async with connect() as client:
                names = [model.name for model in await client.models()]
        except RecognitionError:
            return gr.skip()
        return gr.Dropdown(choices=names, value=names[:1])

    async def run(
        path: str | None, chosen_ways: list[str], chosen_models: list[str], said: str
    ) -> AsyncIterator[str]:
        async for shown in compared(connect, path, chosen_ways, chosen_models, said):
            yield shown

    demo.load(refresh, None, models, queue=False, api_visibility="private")
    button.click(
        run,
        [audio, ways, models, reference],
        result,
        concurrency_limit=AT_ONCE,
        show_progress="hidden",
        api_visibility="private",
    )


async def compared(
    connect: Connect,
    path: str | None,
    chosen_ways: Sequence[str],
    chosen_models: Sequence[str],
    said: str,
) -> AsyncIterator[str]:
    """Recognize a recording in the chosen ways; gives what is to be shown, as it grows.

    What went wrong is told above the columns that were finished until then.
    """
    ways = [way for way in Way if way.value in chosen_ways]
    if not ways:
        yield complaint("No way to recognize it is chosen: tick one.")
        return
    columns: list[Column] = []
    shown = ""
    normalizer = Normalizer.BASIC
    try:
        source = await open_short(given(path))
        async with connect() as client:
            known = await client.models()
            used = [model for model in known if model.name in chosen_models] or known[:1]
            if all(list(model.language_codes) == ["en"] for model in used):
                normalizer = Normalizer.ENGLISH
            for model in used:
                for way in ways:
                    async for step in recognize(client, source, model, way):
                        if isinstance(step, Column):
                            columns.append(step)
                            shown = side_by_side(columns, said, normalizer)
                            yield shown
                        else:
                            bar = progress_bar(way.value, step.processed_s, step.duration_s)
                            yield bar + shown
    except (RecognitionError, SourceError) as error:
        yield problem(error) + shown
