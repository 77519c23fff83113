"""Many streams on one recognizer: when their interims and finals are there.

Open loop: when audio exists is decided beforehand, and what is late does not make the rest later.
Each stream speaks in segments of 4 to 10 s, in chunks of 100 ms, and wants what a stream of the
server wants: an interim after each 500 ms, every 3 s one that hears as a final does unless others
wait for a thread, and a final at each segment's end, with what was before it. Scheduler and threads
are the server's, all in one process; voice activity, conversion and gRPC are not measured here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.core.capabilities import CONFIRM_INTERVAL_S
from service.core.decoding import JobKind
from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, DecodeOptions, Window
from service.engine.scheduler import Scheduler
from service.recognizers.base import Recognizer

CHUNK_S = 0.1
INTERIM_S = 0.5
SEGMENT_CHUNKS = (40, 100)
CONFIRM_INTERIMS = round(CONFIRM_INTERVAL_S / INTERIM_S)
WARM_UP_S = 3.0
"""Results of this time at the begin are not counted."""


@dataclass
class Measured:
    """Seconds from when the audio existed to the result."""

    interims_s: list[float] = field(default_factory=list)
    finals_s: list[float] = field(default_factory=list)
    left_out: int = 0
    """Interims that were due while their stream's last one was awaited."""

    def __str__(self) -> str:
        """Say all on one line."""
        if not self.interims_s or not self.finals_s:
            return "no result in time"
        p50, p99 = np.percentile(self.interims_s, [50, 99]) * 1000
        p95 = np.percentile(self.finals_s, 95) * 1000
        wanted = len(self.interims_s) + self.left_out
        return (
            f"interims p50 {p50:.0f} ms, p99 {p99:.0f} ms, {100 * self.left_out / wanted:.1f} % "
            f"left out; finals p95 {p95:.0f} ms"
        )

    @property
    def interim_p99_s(self) -> float:
        """Slowest but for one in a hundred; infinite if there is none."""
        return float(np.percentile(self.interims_s, 99)) if self.interims_s else float("inf")


@dataclass
class _Stream:
    """One speaker, whose every segment is cut from the same noise."""

    scheduler: Scheduler
    recognizer: Recognizer
    noise: NDArray[np.float32]
    chance: np.random.Generator
    measured: Measured

    async def speak(self, begin_s: float, count_from_s: float, end_s: float) -> None:
        """Speak one segment after the other."""
        while begin_s < end_s:
            chunks = int(self.chance.integers(*SEGMENT_CHUNKS))
            await self._segment(begin_s, chunks, count_from_s)
            begin_s += chunks * CHUNK_S

    async def _segment(self, begin_s: float, chunks: int, count_from_s: float) -> None:
        segment_end_s = begin_s + chunks * CHUNK_S
        stream = self.recognizer.open_stream(DecodeOptions())

        def newest(kind: JobKind, others_wait: bool) -> Callable[[], object]:  # noqa: FBT001
            so_far = min(chunks, int((time.monotonic() - begin_s) / CHUNK_S))
            is_confirming = kind is JobKind.CONFIRMING_INTERIM and not others_wait
            hear = stream.final if is_confirming else stream.interim
            return partial(hear, self._window(so_far))

        due_s = begin_s + INTERIM_S
        while due_s < segment_end_s:
            await _until(due_s)
            number = round((due_s - begin_s) / INTERIM_S)
            is_confirming = number % CONFIRM_INTERIMS == 0
            kind = JobKind.CONFIRMING_INTERIM if is_confirming else JobKind.INTERIM
            begin = partial(newest, kind)
            await asyncio.wrap_future(self.scheduler.line_up(kind, "", begin))
            now_s = time.monotonic()
            missed = min(int((now_s - due_s) / INTERIM_S), int((segment_end_s - due_s) / INTERIM_S))
            if due_s >= count_from_s:
                self.measured.interims_s.append(now_s - due_s)
                self.measured.left_out += missed
            due_s += (1 + missed) * INTERIM_S
        await _until(segment_end_s)
        final = partial(stream.final, self._window(chunks))
        await asyncio.wrap_future(self.scheduler.line_up(JobKind.FINAL, "", lambda _: final))
        if segment_end_s >= count_from_s:
            self.measured.finals_s.append(time.monotonic() - segment_end_s)

    def _window(self, chunks: int) -> Window:
        so_far = self.noise[: round(chunks * CHUNK_S * SAMPLE_RATE_HZ)]
        return Window(so_far, (ContextSegment(self.noise, ""),))


async def _until(instant_s: float) -> None:
    await asyncio.sleep(max(0.0, instant_s - time.monotonic()))


async def measure_streams(
    recognizer: Recognizer, workers: int, streams: int, seconds: float
) -> Measured:
    """Let so many speak for so long, beginning one after the other within a second."""
    measured = Measured()
    longest = round(SEGMENT_CHUNKS[1] * CHUNK_S * SAMPLE_RATE_HZ)
    noise = np.random.default_rng(0).normal(0, 0.05, longest)
    noise = noise.astype(np.float32)
    scheduler = Scheduler("gpu", workers)
    begin_s = time.monotonic() + 0.5
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(streams):
                chance = np.random.default_rng(number)
                stream = _Stream(scheduler, recognizer, noise, chance, measured)
                start_s = begin_s + number / streams
                group.create_task(
                    stream.speak(start_s, begin_s + WARM_UP_S, start_s + WARM_UP_S + seconds)
                )
    finally:
        scheduler.close()
    return measured
