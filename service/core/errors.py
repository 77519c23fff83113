"""What a client can do wrong, as exceptions that know no transport.

A message says what is wrong and what to do. It may be shown to the client.
"""

from __future__ import annotations

from collections.abc import Mapping

MAX_QUOTED_CHARACTERS = 100


def quoted(text: str) -> str:
    """Return what a client sent, as it may stand in a message: short, on one line."""
    if len(text) > MAX_QUOTED_CHARACTERS:
        text = text[:MAX_QUOTED_CHARACTERS] + "…"
    return repr(text)


class ClientError(Exception):
    """The client's fault; ends its stream."""

    reason = "INVALID_REQUEST"
    """Stable, machine-readable; part of the contract."""

    def __init__(
        self, message: str, field: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.field = field
        """Path of the offending field in StreamingConfig, or beside the config in its message; or
        empty."""
        self.metadata = metadata or {}
        """The message's varying parts, for programs."""


class InvalidFieldError(ClientError):
    """A field of the request is out of its range or cannot be honoured."""

    reason = "INVALID_FIELD"


class ProtocolViolationError(ClientError):
    """The messages came in an order that the contract does not allow."""

    reason = "PROTOCOL_VIOLATION"


class MalformedMessageError(ClientError):
    """The bytes are not the message that they should be."""

    reason = "MALFORMED_MESSAGE"


class InvalidAudioError(ClientError):
    """The audio is not what the config says."""

    reason = "INVALID_AUDIO"


class UnknownModelError(ClientError):
    """No model of that name is served."""

    reason = "UNKNOWN_MODEL"
