"""What a client can do wrong, as exceptions that know no transport.

A message says what is wrong and what to do. It may be shown to the client.
"""

from __future__ import annotations


class ClientError(Exception):
    """The client's fault; ends its stream."""

    reason = "INVALID_REQUEST"
    """Stable, machine-readable; part of the contract."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field
        """Path of the offending field in the request, or empty."""


class InvalidFieldError(ClientError):
    """A field of the request is out of its range or cannot be honoured."""

    reason = "INVALID_FIELD"


class ProtocolViolationError(ClientError):
    """The messages came in an order that the contract does not allow."""

    reason = "PROTOCOL_VIOLATION"


class InvalidAudioError(ClientError):
    """The audio is not what the config says."""

    reason = "INVALID_AUDIO"


class UnknownModelError(ClientError):
    """No model of that name is served."""

    reason = "UNKNOWN_MODEL"
