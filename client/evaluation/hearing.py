"""What one stream said and when: the raw material of every figure."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from client.evaluation.recordings import BYTES_PER_S, FORMAT
from client.evaluation.words import bare
from client.messages import to_seconds
from client.pace import Clock, Pace
from client.stream import Client, StreamingConfig
from protos.asr.v1.asr_pb2 import Result

BLOCK_S = 0.1
"""Audio in a message, as the contract recommends."""

_FAST_BLOCK_S = 0.5


@dataclass(frozen=True)
class Word:
    """A word of a final result as it is compared, and where it ends in the audio."""

    text: str
    end_s: float


@dataclass(frozen=True)
class Interim:
    """An interim result. Times are seconds from the scheduled begin of the audio."""

    at_s: float
    segment: int
    text: str
    stable_text: str


@dataclass(frozen=True)
class Final:
    """A final result."""

    at_s: float
    segment: int
    text: str
    words: tuple[Word, ...]
    """Empty where the model cannot place its words."""


@dataclass(frozen=True)
class Hearing:
    """Everything that came of one clip."""

    duration_s: float
    """Length of the audio; with pace, also when the half-close was due."""

    interims: tuple[Interim, ...]
    finals: tuple[Final, ...]
    lateness_s: tuple[float, ...]
    """Of each message against the schedule; empty without pace."""

    @property
    def transcript(self) -> str:
        """The texts of all finals, joined with one space."""
        return " ".join(final.text for final in self.finals)


async def hear(
    client: Client,
    pcm: bytes,
    config: StreamingConfig,
    *,
    clock: Clock,
    start_s: float | None,
) -> Hearing:
    """Stream one clip and note what comes.

    Args:
        client: The server.
        pcm: The audio, in `recordings.FORMAT`.
        config: How to recognize; the format is filled in.
        clock: Says what time it is.
        start_s: When the clip's first sample is spoken, on that clock; None sends as fast as the
            server takes it.
    """
    own_config = StreamingConfig(audio_format=FORMAT)
    own_config.MergeFrom(config)
    pace = Pace(BYTES_PER_S, clock, start_s=start_s)
    begin_s = clock.now_s() if start_s is None else start_s
    interims: list[Interim] = []
    finals: list[Final] = []
    async with client.stream(own_config) as stream:
        blocks = _blocks(pcm, _FAST_BLOCK_S if start_s is None else BLOCK_S)
        stream.feed(blocks if start_s is None else pace.follow(blocks))
        async for transcript in stream:
            at_s = clock.now_s() - begin_s
            match transcript.WhichOneof("event"):
                case "interim_result":
                    result = transcript.interim_result
                    interims.append(
                        Interim(at_s, result.segment_id, result.text, result.stable_text)
                    )
                case "final_result":
                    result = transcript.final_result
                    finals.append(Final(at_s, result.segment_id, result.text, _words(result)))
    return Hearing(
        duration_s=len(pcm) / BYTES_PER_S,
        interims=tuple(interims),
        finals=tuple(finals),
        lateness_s=tuple(pace.lateness_s),
    )


async def _blocks(pcm: bytes, block_s: float) -> AsyncGenerator[bytes, None]:
    block_bytes = round(block_s * BYTES_PER_S)
    for begin in range(0, len(pcm), block_bytes):
        # Without pace nothing else would let other streams speak.
        await asyncio.sleep(0)
        yield pcm[begin : begin + block_bytes]


def _words(result: Result) -> tuple[Word, ...]:
    return tuple(
        Word(text, to_seconds(word.end_offset))
        for word in result.words
        if (text := bare(word.text))
    )
