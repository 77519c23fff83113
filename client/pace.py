"""Sending a recording as fast as it was spoken."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests need none."""

    def now_s(self) -> float:
        """Say what time it is, in seconds from anywhere."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Wait."""
        ...


class WallClock:
    """The machine's clock."""

    def now_s(self) -> float:
        """Say what time it is, in seconds from anywhere."""
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """Wait."""
        await asyncio.sleep(duration_s)


class Pace:
    """Hands out blocks on the schedule of a microphone.

    A block is due when its last sample would have been spoken, counted from the first block's
    begin. A server that is slow to take one delays the blocks after it no further: they follow at
    once until the schedule is met again.
    """

    def __init__(
        self, bytes_per_s: int, clock: Clock | None = None, *, start_s: float | None = None
    ) -> None:
        """Set the pace of audio that has so many bytes a second.

        Args:
            bytes_per_s: Bytes in a second of the audio.
            clock: Says what time it is; None means the machine's.
            start_s: When the first sample is spoken, on that clock; None means when the first
                block is asked for.
        """
        self._bytes_per_s = bytes_per_s
        self._clock = clock or WallClock()
        self._start_s = start_s
        self.lateness_s: list[float] = []
        """How far behind the schedule each block was handed out."""

    @property
    def worst_lateness_s(self) -> float:
        """How far behind the schedule a block was handed out at worst."""
        return max(self.lateness_s, default=0.0)

    async def follow(self, blocks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield each block when it is due."""
        start_s = self._clock.now_s() if self._start_s is None else self._start_s
        total_bytes = 0
        async with contextlib.aclosing(blocks):
            async for block in blocks:
                total_bytes += len(block)
                due_s = start_s + total_bytes / self._bytes_per_s
                early_s = due_s - self._clock.now_s()
                if early_s > 0:
                    await self._clock.sleep(early_s)
                self.lateness_s.append(max(0.0, self._clock.now_s() - due_s))
                yield block
