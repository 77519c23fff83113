"""What a message may hold and a stream may take; 0 is no limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_FLUSH_ID_CHARACTERS = 128
MAX_SILENCE_S = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's settings as the RPCs know them."""

    audio_message_bytes: int = 262_144
    recording_bytes: int = 67_108_864
    first_message_s: float = 10.0
    idle_s: float = 60.0
    stream_s: float = 86_400.0
    recognize_s: float = 1_800.0
    """Of one recording, from its request to its answer."""
    expired_s: float = 0.0
    """So long a stream goes on whose caller's token has expired."""
    notice_s: float = 10.0
    """So long before a limit ends a stream it is told, but not in its first half."""

    def notice_of(self, limit_s: float) -> float:
        """Return how long before a limit a stream is told of it."""
        return min(self.notice_s, limit_s / 2)

    @property
    def untroubled_s(self) -> float:
        """So long after its begin a stream is neither told nor ended; infinite without limits."""
        limits_s = [limit_s for limit_s in (self.idle_s, self.stream_s) if limit_s]
        return min((limit_s - self.notice_of(limit_s) for limit_s in limits_s), default=math.inf)
