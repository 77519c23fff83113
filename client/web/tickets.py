"""Permissions to open a live session, given out on the page and used once."""

import secrets
import time
from collections.abc import Callable

from client.stream import StreamingConfig

LIFETIME_S = 120.0
"""Time enough to answer the browser's question about the microphone."""

MOST = 1_000
"""Tickets that nobody used; the oldest go first."""


class Tickets:
    """A ticket cannot be guessed, so that whoever shows one has been let into the page."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Begin with none."""
        self._clock_s = clock_s
        self._issued: dict[str, tuple[float, StreamingConfig]] = {}

    def issue(self, config: StreamingConfig) -> str:
        """Make a ticket for a session with this config."""
        self._drop_old()
        ticket = secrets.token_urlsafe(24)
        self._issued[ticket] = (self._clock_s(), config)
        return ticket

    def redeem(self, ticket: str) -> StreamingConfig | None:
        """Use a ticket; None where there is no such, or none any more."""
        self._drop_old()
        return self._issued.pop(ticket, (0.0, None))[1]

    def _drop_old(self) -> None:
        latest_s = self._clock_s() - LIFETIME_S
        while self._issued and (
            len(self._issued) >= MOST or next(iter(self._issued.values()))[0] < latest_s
        ):
            del self._issued[next(iter(self._issued))]
