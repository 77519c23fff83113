"""What a stream says and when, and what came of it; the same for every protocol.

Open loop: every message has a time at which its last sample would have been spoken, fixed
before the run. A slow server makes streams late, never the schedule.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.support import FRAME_SAMPLES, RATE_HZ, Clip, frame_levels

MESSAGE_S = 0.1
STAGGER_S = 2.0
"""Streams begin spread over so long, as callers would."""
PATIENCE_S = 60.0
"""How long after the end of its audio a stream may go on before it counts as lost."""
REACH_S = 0.5
"""A text whose end lies so far before the end of the speech covers it: Whisper's own
times, which WhisperLive gives, are no more exact."""

_BYTES_PER_S = 2 * RATE_HZ
_QUIET = 10 ** (-35 / 20)
"""A frame of 20 ms that is 35 dB below the loudest one is not speech."""


@dataclass(frozen=True)
class Message:
    """So much audio at one time."""

    due_s: float
    """When its last sample has been spoken, after the begin of the stream."""
    pcm: bytes
    """PCM_S16LE, mono, 16 kHz."""
    ends_clip: int | None
    """The clip whose last message it is."""


@dataclass(frozen=True)
class Script:
    """What one stream says: clips one behind the other, each followed by a flush."""

    clips: tuple[Clip, ...]
    start_s: float
    """After the begin of the run."""

    @property
    def duration_s(self) -> float:
        """Audio in the stream."""
        return self.ends_s[-1]

    @property
    def text(self) -> str:
        """What is said."""
        return " ".join(clip.text for clip in self.clips)

    @cached_property
    def ends_s(self) -> list[float]:
        """Where each clip ends, and its flush is due."""
        ends = np.cumsum([len(clip.samples) for clip in self.clips])
        return [float(end) / RATE_HZ for end in ends]

    @cached_property
    def speech_ends_s(self) -> list[float]:
        """Where the speech in each clip ends."""
        return [
            end_s - clip.duration_s + speech_end_s(clip.samples)
            for clip, end_s in zip(self.clips, self.ends_s, strict=True)
        ]

    def messages(self) -> Iterator[Message]:
        """Cut the audio into messages; none goes over the end of a clip."""
        size = round(MESSAGE_S * _BYTES_PER_S)
        spoken_bytes = 0
        for number, clip in enumerate(self.clips):
            pcm = clip.pcm
            for begin in range(0, len(pcm), size):
                data = pcm[begin : begin + size]
                spoken_bytes += len(data)
                is_last = begin + size >= len(pcm)
                yield Message(spoken_bytes / _BYTES_PER_S, data, number if is_last else None)

    def cut(self, duration_s: float) -> Script:
        """Return a script of as many whole clips as begin before this time."""
        begins_s = [0.0, *self.ends_s[:-1]]
        kept = sum(begin_s < duration_s for begin_s in begins_s)
        return Script(self.clips[:kept], self.start_s)


@dataclass
class Record:
    """What came of one stream. Times are seconds."""

    interim_lag_s: list[float] = field(default_factory=list)
    """Arrival of each interim after its newest audio was spoken."""
    interim_gap_s: list[float] = field(default_factory=list)
    """Between two interims of a segment."""
    shown_s: list[float] = field(default_factory=list)
    """From the end of a clip's speech to the first text, interim or final, that covers it."""
    final_s: list[float] = field(default_factory=list)
    """From the end of a clip, where a flush or the half-close is due, to its final text."""
    lateness_s: list[float] = field(default_factory=list)
    """Each message after it was due, when it was handed to the transport."""
    finals: list[str] = field(default_factory=list)
    failure: str = ""
    is_admitted: bool = False
    """The server has answered with something else than a refusal."""
    refused_s: float | None = None
    """From opening a stream to its refusal."""

    @property
    def text(self) -> str:
        """The transcript."""
        return " ".join(self.finals)

    def shows(self, speech_ends_s: Sequence[float], covered_s: float, now_s: float) -> None:
        """Note that a text arrived now which covers the audio so far."""
        while (count := len(self.shown_s)) < len(speech_ends_s):
            if covered_s < speech_ends_s[count] - REACH_S:
                break
            self.shown_s.append(now_s - speech_ends_s[count])


def speech_end_s(samples: NDArray[np.float32]) -> float:
    """Return where the last frame of 20 ms ends that is not much quieter than the loudest."""
    levels = frame_levels(samples)
    loud = np.flatnonzero(levels > _QUIET * levels.max(initial=0))
    return (int(loud[-1]) + 1) * FRAME_SAMPLES / RATE_HZ if len(loud) else 0.0


def make_scripts(clips: Sequence[Clip], streams: int, duration_s: float) -> list[Script]:
    """Give each stream clips of its own order; the same for the same stream number."""
    scripts = []
    for number in range(streams):
        generator = random.Random(number)
        chosen: list[Clip] = []
        while sum(clip.duration_s for clip in chosen) < duration_s:
            chosen.append(generator.choice(clips))
        scripts.append(Script(tuple(chosen), generator.uniform(0, STAGGER_S)))
    return scripts


async def until_due(due_s: float, record: Record) -> None:
    """Wait until a time by ``time.monotonic``; note by how much it was missed."""
    await asyncio.sleep(due_s - time.monotonic())
    record.lateness_s.append(time.monotonic() - due_s)
