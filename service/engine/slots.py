"""Admission: a fixed number of streams; a full server refuses at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class UnavailableError(Exception):
    """This server cannot take the stream now, but another one, or a later try, may."""

    reason = "UNAVAILABLE"
    retry_after_s = 1.0


class ServerFullError(UnavailableError):
    """All slots are taken."""

    reason = "SERVER_FULL"


class DrainingError(UnavailableError):
    """The server is about to stop."""

    reason = "DRAINING"


class Slots:
    """Counts the streams in flight."""

    def __init__(self, limit: int) -> None:
        """Admit at most so many at once."""
        self._limit = limit
        self._taken = 0
        self._is_draining = False
        self._all_free = asyncio.Event()
        self._all_free.set()

    @property
    def taken(self) -> int:
        """Streams in flight."""
        return self._taken

    def drain(self) -> None:
        """Admit no more."""
        self._is_draining = True

    async def wait_until_free(self, timeout_s: float) -> None:
        """Return when no slot is taken, or after the timeout."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_free.wait(), timeout_s)

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Hold a slot while the block runs.

        Raises:
            ServerFullError: all slots are taken.
            DrainingError: the server is about to stop.
        """
        if self._is_draining:
            raise DrainingError("the server is stopping; connect to another one, or again shortly")
        if self._taken >= self._limit:
            raise ServerFullError(
                f"all {self._limit} streams of this server are taken; try again shortly, "
                "or raise --max-streams if the machine has room"
            )
        self._taken += 1
        self._all_free.clear()
        try:
            yield
        finally:
            self._taken -= 1
            if self._taken == 0:
                self._all_free.set()
