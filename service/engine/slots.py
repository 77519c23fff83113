"""Admission: a fixed number of streams; a full server refuses at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from service.engine.refusals import DrainingError, ServerFullError, UnavailableError

Refusal = Callable[[], UnavailableError]
"""Makes an error anew for each call that is refused: raised again, one would hold on to all of
them, by its traceback."""


class Slots:
    """Counts the streams in flight."""

    def __init__(self, limit: int) -> None:
        """Admit at most so many at once."""
        self._limit = limit
        self._taken = 0
        self._closed_by: Refusal | None = None
        self._closing: asyncio.Future[Refusal] | None = None
        self._all_free = asyncio.Event()
        self._all_free.set()

    @property
    def taken(self) -> int:
        """Streams in flight."""
        return self._taken

    @property
    def closing(self) -> asyncio.Future[Refusal]:
        """Has the cause once no more are admitted; to wait for."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_future()
        return self._closing

    def drain(self) -> None:
        """Admit no more, for the server is about to stop."""
        self.refuse(DrainingError)

    def refuse(self, cause: Refusal) -> None:
        """Admit no more, and give this as the cause."""
        self._closed_by = cause
        if not self.closing.done():
            self.closing.set_result(cause)

    async def wait_until_free(self, timeout_s: float) -> bool:
        """Return when no slot is taken, or after the timeout; whether none is taken."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_free.wait(), timeout_s)
        return self._taken == 0

    def check(self) -> None:
        """See whether a slot could be had now.

        Raises:
            UnavailableError: none can be had: all are taken, or no more are given.
        """
        if self._closed_by is not None:
            raise self._closed_by()
        if self._taken >= self._limit:
            raise ServerFullError(
                f"all {self._limit} streams of this server are taken; try again shortly, "
                "or raise --max-streams if the machine has room",
                {"limit": str(self._limit)},
            )

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Hold a slot while the block runs.

        Raises:
            UnavailableError: none can be had, see ``check``.
        """
        self.check()
        self._taken += 1
        self._all_free.clear()
        try:
            yield
        finally:
            self._taken -= 1
            if self._taken == 0:
                self._all_free.set()
