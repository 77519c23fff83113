"""Ways to recognize the same recording, and what they make of it. Pure, but for asking a server."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from html import escape

from client.evaluation.accuracy import Comparison, Normalizer, compare
from client.evaluation.page import marked
from client.messages import to_duration
from client.prefetch import prefetched
from client.sources import Source
from client.stream import Client, StreamingConfig, joined_text
from client.web.hearing import Hearing, hear
from protos.asr.v1.asr_pb2 import EndpointingConfig, Model

SMALL_PIECE_S, LARGE_PIECE_S = 2.0, 6.0
SHORT_SILENCE_S = 0.3


class Way(StrEnum):
    """How a recording is recognized. The values are what the page calls them."""

    STREAMING = "Streaming"
    HASTY = f"Streaming, segments end after {SHORT_SILENCE_S:g} s of silence"
    FULL_CONTEXT = "Full context: segments as long as the model hears at once"
    SMALL_PIECES = f"Naive: independent pieces of {SMALL_PIECE_S:g} s"
    LARGE_PIECES = f"Naive: independent pieces of {LARGE_PIECE_S:g} s"


_PIECES_S = {Way.SMALL_PIECES: SMALL_PIECE_S, Way.LARGE_PIECES: LARGE_PIECE_S}


@dataclass(frozen=True)
class Column:
    """What one way with one model made of the recording."""

    model: str
    way: Way
    text: str
    took_s: float


async def recognize(
    client: Client, source: Source, model: Model, way: Way
) -> AsyncIterator[Hearing | Column]:
    """Recognize a recording in one way; gives its progress, and at last the column.

    Raises:
        SourceError: The recording cannot be read to its end.
        RecognitionError: The server refused or ended a call.
    """
    if way in _PIECES_S:
        steps = _in_pieces(client, source, model, _PIECES_S[way])
    else:
        steps = _as_one(client, source, model, way)
    async for step in steps:
        yield step if isinstance(step, Hearing) else Column(model.name, way, *step)


async def _as_one(
    client: Client, source: Source, model: Model, way: Way
) -> AsyncIterator[Hearing | tuple[str, float]]:
    config = StreamingConfig(model=model.name)
    if way is Way.HASTY:
        config.endpointing.silence_duration.CopyFrom(to_duration(SHORT_SILENCE_S))
    elif way is Way.FULL_CONTEXT:
        config.endpointing.CopyFrom(EndpointingConfig(disabled=True))
        if model.HasField("max_segment_duration"):
            config.endpointing.max_segment_duration.CopyFrom(model.max_segment_duration)
    heard = Hearing()
    async for heard in hear(client, source, config):
        yield heard
    yield heard.text, heard.took_s


async def _in_pieces(
    client: Client, source: Source, model: Model, piece_s: float
) -> AsyncIterator[Hearing | tuple[str, float]]:
    """Cut by the clock, whatever is being said, and recognize each piece as if it were all."""
    config = StreamingConfig(model=model.name, audio_format=source.audio_format)
    texts: list[str] = []
    began_s = time.monotonic()
    async with aclosing(prefetched(lambda: source.blocks(piece_s))) as pieces:
        async for piece in pieces:
            response = await client.recognize(piece, config)
            texts.append(joined_text(response.results))
            yield Hearing(processed_s=len(texts) * piece_s, duration_s=source.duration_s)
    yield " ".join(text for text in texts if text), time.monotonic() - began_s


def side_by_side(columns: Sequence[Column], reference: str, normalizer: Normalizer) -> str:
    """Write the columns with their differences marked: from the reference, or from the first."""
    if not columns:
        return ""
    normalize = normalizer.load()
    said = normalize(reference) or normalize(columns[0].text)
    cells = "".join(
        _cell(
            column,
            compare(said, normalize(column.text)) if said else None,
            is_measure=not normalize(reference) and column is columns[0],
        )
        for column in columns
    )
    what = "what was said" if normalize(reference) else "the first"
    key = (
        f'<p class="hint">Marked against {what}, without case and marks: '
        "<del>missing</del>, <ins>heard instead or added</ins></p>"
    )
    return f'<div class="compared">{key}<div class="ways">{cells}</div></div>'


def _cell(column: Column, comparison: Comparison | None, *, is_measure: bool) -> str:
    label = escape(f"{column.model}: {column.way.value}")
    naive = " naive" if column.way in _PIECES_S else ""
    facts = [f"took {column.took_s:.1f} s"]
    if comparison is not None and not is_measure:
        rate = 100 * comparison.word_errors / comparison.words
        differences = "difference" if comparison.word_errors == 1 else "differences"
        facts = [
            f"{comparison.word_errors} {differences} in {comparison.words} words",
            f"{rate:.1f} %",
            *facts,
        ]
    body = escape(column.text) if comparison is None or is_measure else marked(comparison)
    return (
        f'<section class="way{naive}" aria-label="{label}"><h3>{label}</h3>'
        f'<p class="hint">{" · ".join(facts)}</p><p>{body or "nothing"}</p></section>'
    )
