"""What a message may hold and a stream may take; 0 is no limit."""

from __future__ import annotations

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
    """So long before a limit ends a stream it is told."""
