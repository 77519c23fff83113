"""Recognizing a whole recording, whatever is then shown of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace

from client.errors import RecognitionError
from client.messages import joined_text, to_seconds
from client.prefetch import prefetched
from client.sources import Source, SourceError, open_recording
from client.stream import Client, StreamingConfig
from protos.asr.v1.asr_pb2 import Result, Transcript

LONGEST_S = 2 * 3600.0
"""Of a recording, on the page; client.file takes any."""

BLOCK_S = 0.5

STEP_S = 0.5
"""Between two steps that are told, at least: a server that is quick makes hundreds in a second, and
a page that is to show each falls behind."""


@dataclass(frozen=True)
class Hearing:
    """What was heard of a recording so far."""

    transcripts: tuple[Transcript, ...] = ()
    """All but interims, in order."""

    processed_s: float = 0.0
    duration_s: float | None = None
    """Of the recording; None where it is not known before its end."""

    took_s: float = 0.0
    """Wall-clock time since the stream was opened."""

    results: tuple[Result, ...] = field(default=())
    """The finals."""

    @property
    def text(self) -> str:
        """The transcript."""
        return joined_text(self.results)


async def open_short(path: str) -> Source:
    """Open a recording that is not too long for the page, on a thread: ffmpeg takes its time.

    Raises:
        SourceError: It cannot be read, or is too long.
    """
    source = await asyncio.to_thread(open_recording, path)
    if source.duration_s is not None and source.duration_s > LONGEST_S:
        raise _too_long(f"{source.duration_s / 3600:.1f} hours")

    def blocks(block_s: float) -> Iterator[bytes]:
        # Not every file says how long it is, and what it says need not be so.
        left_bytes = LONGEST_S * source.bytes_per_s
        for block in source.blocks(block_s):
            left_bytes -= len(block)
            if left_bytes < 0:
                raise _too_long("longer")
            yield block

    return replace(source, blocks=blocks)


def _too_long(lasts: str) -> SourceError:
    return SourceError(
        f"The recording lasts {lasts}; this page takes {LONGEST_S / 3600:g} hours. "
        "For longer ones there is: python -m client.file"
    )


async def hear(client: Client, source: Source, config: StreamingConfig) -> AsyncIterator[Hearing]:
    """Stream a recording as fast as the server takes it; gives what is known, from time to time.

    The last that it gives is all.

    A final is a decode in full context, the same as `Recognize` gives; streamed, a long
    recording shows its progress and has no largest size.

    Raises:
        SourceError: The recording cannot be read to its end.
        RecognitionError: The server refused or ended the stream.
    """
    own = StreamingConfig(audio_format=source.audio_format)
    own.MergeFrom(config)
    transcripts: list[Transcript] = []
    results: list[Result] = []
    began_s = told_s = time.monotonic()
    processed_s = 0.0

    def known(now_s: float) -> Hearing:
        return Hearing(
            tuple(transcripts), processed_s, source.duration_s, now_s - began_s, tuple(results)
        )

    try:
        async with client.stream(own) as stream:
            stream.feed(prefetched(lambda: source.blocks(BLOCK_S)))
            async for transcript in stream:
                transcripts.append(transcript)
                processed_s = to_seconds(transcript.processed_offset)
                if transcript.HasField("final_result"):
                    results.append(transcript.final_result)
                now_s = time.monotonic()
                if now_s - told_s >= STEP_S:
                    told_s = now_s
                    yield known(now_s)
    except (RecognitionError, SourceError):
        # What was final stays final, whatever ended the stream.
        yield known(time.monotonic())
        raise
    yield known(time.monotonic())
