"""The audio of a live session that is not final yet, for a second hearing."""

import asyncio
from collections.abc import AsyncIterator

LONGEST_S = 120.0
"""Audio that no stream has taken: patience while a server restarts, or is slow."""

UNSETTLED_S = 150.0
"""Audio that a stream has taken and that may not be final. A server that has 60 s waiting for
their finals takes no more, and buffers on the way hold less than another minute; older audio is
settled, though in silence nobody says so."""

BLOCK_S = 0.5


class Backlog:
    """What was said since the last final, and what is said meanwhile.

    A stream reads `blocks`. When its server goes away, the next stream reads `blocks` again: they
    begin where the finals ended, so that nothing is lost and nothing final is heard twice.
    """

    def __init__(self, bytes_per_s: int, sample_bytes: int = 2) -> None:
        """Begin without audio of that many bytes a second and a sample."""
        self._bytes_per_s = bytes_per_s
        self._sample_bytes = sample_bytes
        self._audio = bytearray()
        self._begin_bytes = 0
        self._closed = False
        self._block_bytes = max(1, int(BLOCK_S * bytes_per_s / sample_bytes)) * sample_bytes
        self._more = asyncio.Event()

    @property
    def begin_s(self) -> float:
        """Where the audio that is kept begins, in seconds of the session."""
        return self._begin_bytes / self._bytes_per_s

    @property
    def received_samples(self) -> int:
        """All samples so far, those that are final and forgotten included."""
        return (self._begin_bytes + len(self._audio)) // self._sample_bytes

    @property
    def is_full(self) -> bool:
        """Whether more audio waits than is kept for anyone."""
        return len(self._audio) > (LONGEST_S + UNSETTLED_S) * self._bytes_per_s

    def add(self, audio: bytes) -> None:
        """Append what was just captured."""
        self._audio += audio
        self._more.set()

    def close(self) -> None:
        """Say that no more will come."""
        self._closed = True
        self._more.set()

    def forget(self, until_s: float) -> None:
        """Drop what is final, to the sample; a time in seconds of the session."""
        until_samples = int(until_s * self._bytes_per_s / self._sample_bytes + 1e-6)
        final_bytes = until_samples * self._sample_bytes - self._begin_bytes
        if final_bytes > 0:
            self._begin_bytes += len(self._audio[:final_bytes])
            del self._audio[:final_bytes]

    async def blocks(self) -> AsyncIterator[bytes]:
        """Give all audio from `begin_s` on, and then what comes, until it is closed."""
        at_bytes = self._begin_bytes
        while True:
            # What was read may have become final and be gone by now; what was not read cannot.
            begin = at_bytes - self._begin_bytes
            ahead = bytes(self._audio[begin : begin + self._block_bytes])
            if ahead:
                at_bytes += len(ahead)
                yield ahead
                self.forget(at_bytes / self._bytes_per_s - UNSETTLED_S)
            elif self._closed:
                return
            else:
                self._more.clear()
                await self._more.wait()
