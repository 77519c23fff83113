"""Results as parts of the page and as files. Pure: messages in, text out."""

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

from client.messages import to_seconds
from client.render import make_format
from protos.asr.v1.asr_pb2 import Result, Transcript

DOWNLOADS = {"txt": "text", "srt": "srt", "vtt": "vtt", "json": "json"}
"""File endings, and what `client.render` calls the format."""

LATEST = 20
"""Finals that are shown under way: the page is sent all that it shows anew with every step."""

_PLAYER_HINT = "Choose a word to hear its moment; the arrow keys go from one to the next."


_NO_STOP, _STOP = 'tabindex="-1"', 'tabindex="0"'


def clock(seconds: float) -> str:
    """Write a time as minutes and seconds."""
    minutes, whole = divmod(int(seconds), 60)
    return f"{minutes}:{whole:02}"


def with_player(results: Iterable[Result], recording: str) -> str:
    """Write the finals with their times, every word a button that plays its moment.

    Args:
        results: The finals.
        recording: Path of the file that was recognized, which Gradio serves.
    """
    address = escape(f"gradio_api/file={quote(recording)}")
    return (
        '<div class="result">'
        f'<audio controls preload="metadata" src="{address}" aria-label="The recording"></audio>'
        f'<p class="hint">{_PLAYER_HINT}</p>'
        f"{_box(results) or '<p>Nothing was said.</p>'}</div>"
    )


def under_way(results: Sequence[Result], progress: str) -> str:
    """Write the latest of what is known while a recording is still being recognized."""
    return f'<div class="result">{progress}{_box(results[-LATEST:])}</div>'


def progress_bar(what: str, done_s: float, duration_s: float | None) -> str:
    """Write how far something is; without a duration, only that it goes on."""
    of = f" of {clock(duration_s)}" if duration_s else ""
    share = f' value="{min(1.0, done_s / duration_s):.3f}"' if duration_s else ""
    return (
        f'<label class="progress">{escape(what)}: {clock(done_s)}{of} '
        f"<progress{share}></progress></label>"
    )


def _box(results: Iterable[Result]) -> str:
    lines = "".join(_line(result) for result in results)
    if not lines:
        return ""
    # One stop of the Tab key among all words; the page's script moves it.
    lines = lines.replace(_NO_STOP, _STOP, 1)
    return (
        f'<div class="transcript" role="region" tabindex="0" aria-label="Transcript">{lines}</div>'
    )


def _line(result: Result) -> str:
    start_s = to_seconds(result.start_offset)
    words = [(word.text, to_seconds(word.start_offset)) for word in result.words]
    # A model that cannot place words still places its segments.
    shown = " ".join(_word(text, at_s) for text, at_s in words or [(result.text, start_s)])
    return f'<p class="final"><time>{clock(start_s)}</time> {shown}</p>'


def _word(text: str, at_s: float) -> str:
    return (
        f'<button type="button" class="word" {_NO_STOP} data-at="{at_s:.3f}" '
        f'title="at {at_s:.2f} s">{escape(text.strip())}</button>'
    )


def download(ending: str, transcripts: Iterable[Transcript]) -> str:
    """Write a file of one of `DOWNLOADS`."""
    form = make_format(DOWNLOADS[ending])
    return form.begin() + "".join(form.add(transcript) for transcript in transcripts)
