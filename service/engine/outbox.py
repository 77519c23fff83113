"""What a stream still has to tell its client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from service.core.events import FinalResult, InterimResult, Update


class Outbox:
    """Updates in order; of the interims only the newest that was not yet read.

    So a slow reader never holds up recognition, and never loses a final.
    """

    def __init__(self) -> None:
        """Begin empty and open."""
        self._updates: deque[Update] = deque()
        self._interim: Update | None = None
        self._changed = asyncio.Event()
        self._is_closed = False
        self._error: BaseException | None = None

    def __len__(self) -> int:
        """Count the updates that wait."""
        return len(self._updates)

    def extend(self, updates: Iterable[Update]) -> None:
        """Add what has happened."""
        for update in updates:
            if isinstance(update.event, (InterimResult, FinalResult)) and self._interim is not None:
                self._updates.remove(self._interim)
                self._interim = None
            if isinstance(update.event, InterimResult):
                self._interim = update
            self._updates.append(update)
            self._changed.set()

    def close(self) -> None:
        """End the iteration once everything has been read."""
        self._is_closed = True
        self._changed.set()

    def fail(self, error: BaseException) -> None:
        """End the iteration with an error once everything has been read; the first one counts."""
        if self._error is None:
            self._error = error
        self.close()

    async def __aiter__(self) -> AsyncIterator[Update]:
        """Iterate, once, until it is closed; raises the error of ``fail``."""
        while True:
            while self._updates:
                update = self._updates.popleft()
                if update is self._interim:
                    self._interim = None
                yield update
            if self._is_closed:
                break
            self._changed.clear()
            await self._changed.wait()
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            # Raised, it holds this frame: kept, the stream would hold itself by its own failure.
            del error
