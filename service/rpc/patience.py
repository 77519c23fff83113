"""How long a stream may last, and how long it may keep the server waiting."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from service.access.grants import TokenExpiredError
from service.engine.refusals import (
    RefusalError,
    ResultsUnreadError,
    StreamIdleError,
    StreamTooLongError,
)
from service.engine.stream import LiveStream
from service.rpc.intake import Intake
from service.rpc.limits import Limits


@dataclass(frozen=True, slots=True)
class Limit:
    """A moment at which the stream would be ended as things stand."""

    at_s: float
    """On the loop's clock."""
    notice_s: float
    reason: str
    error: Callable[[], RefusalError]
    """Makes what the stream would be ended with."""


class Patience:
    """Watches the limits of one stream, with one timer.

    A stream that lasts too long or is idle is told some time before, and what it has said
    is made final. One that does not read cannot be told anything, so it is just ended.
    """

    def __init__(
        self,
        limits: Limits,
        intake: Intake,
        live: LiveStream,
        on_unread: Callable[[ResultsUnreadError], None],
        expires_at_s: float | None = None,
    ) -> None:
        """Watch a stream that begins now.

        Args:
            limits: How long it may last.
            intake: What it sends.
            live: The stream.
            on_unread: Called once when it does not read; is to end it.
            expires_at_s: When its caller's token ends, in Unix time; None is never.
        """
        self._limits = limits
        self._intake = intake
        self._live = live
        self._on_unread = on_unread
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._expires_s: float | None = None
        """On the loop's clock, lest a jump of the other one ends streams."""
        if expires_at_s is not None:
            left_s = expires_at_s + limits.expired_s - time.time()
            self._expires_s = self._began_s + max(0.0, left_s)
        self._writing_since_s: float | None = None
        self._is_interrupted = False
        self._told_at_s: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def writing(self) -> None:
        """Begin to wait for the client to take an answer."""
        self._writing_since_s = self._loop.time()

    def written(self) -> None:
        """It has taken it."""
        self._writing_since_s = None

    def __enter__(self) -> Self:
        """Begin to watch."""
        first_s = self._limits.untroubled_s
        if self._expires_s is not None:
            left_s = self._expires_s - self._began_s
            first_s = min(first_s, left_s - self._limits.notice_of(left_s))
        if first_s < math.inf:
            self._timer = self._loop.call_at(self._began_s + first_s, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """Do what is due now, and look again when the next thing may be."""
        now_s = self._loop.time()
        limits = self._standing(now_s)
        reached = [limit for limit in limits if limit.at_s <= now_s]
        for limit in reached:
            self._end(limit.error())
        if reached:
            # An interrupted stream has yet to send its finals, so it is watched on.
            limits = self._standing(now_s)
        for limit in limits:
            is_near = limit.at_s - limit.notice_s <= now_s < limit.at_s
            if is_near and limit.notice_s and self._told_at_s.get(limit.reason) != limit.at_s:
                self._told_at_s[limit.reason] = limit.at_s
                self._live.warn(limit.reason, limit.at_s - now_s)
        moments = [limit.at_s - limit.notice_s for limit in limits]
        moments += [limit.at_s for limit in limits]
        ahead = [moment for moment in moments if moment > now_s]
        if ahead:
            self._timer = self._loop.call_at(min(ahead), self._look)

    def _standing(self, now_s: float) -> list[Limit]:
        """Return the limits, at the moments at which they would be reached from now."""
        limits = self._limits
        found: list[Limit] = []
        if limits.idle_s:
            since_s = _or(self._writing_since_s, now_s)
            unread = partial(ResultsUnreadError, limits.idle_s)
            found.append(Limit(since_s + limits.idle_s, 0.0, ResultsUnreadError.reason, unread))
        if self._is_interrupted:
            return found
        if limits.idle_s:
            since_s = _or(self._intake.waiting_since_s, now_s)
            notice_s = limits.notice_of(limits.idle_s)
            idle = partial(StreamIdleError, limits.idle_s)
            found.append(Limit(since_s + limits.idle_s, notice_s, StreamIdleError.reason, idle))
        if limits.stream_s:
            at_s = self._began_s + limits.stream_s
            notice_s = limits.notice_of(limits.stream_s)
            long = partial(StreamTooLongError, limits.stream_s)
            found.append(Limit(at_s, notice_s, StreamTooLongError.reason, long))
        if self._expires_s is not None:
            notice_s = limits.notice_of(self._expires_s - self._began_s)
            expired = TokenExpiredError
            found.append(Limit(self._expires_s, notice_s, expired.reason, expired))
        return found

    def _end(self, error: RefusalError) -> None:
        if isinstance(error, ResultsUnreadError):
            self._writing_since_s = None
            self._on_unread(error)
        else:
            self._is_interrupted = True
            self._live.interrupt(error)


def _or(moment_s: float | None, now_s: float) -> float:
    return now_s if moment_s is None else moment_s
