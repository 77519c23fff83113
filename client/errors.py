"""The one exception of the client library, and how a gRPC status becomes it."""

from collections.abc import Iterable

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

NO_SERVER = "NO_SERVER"
"""Reason of the error that says that nobody answers at the address."""

NOT_TRUSTED = "NOT_TRUSTED"
"""Reason of the error that says that encryption keeps the server and us apart."""

NO_TOKEN = "NO_TOKEN"  # noqa: S105 - a reason
"""Reason of the error that says that the token to be sent cannot be had."""

_OWN_REASONS = (NO_SERVER, NOT_TRUSTED, NO_TOKEN)
"""What no server said, so that a status code beside it would only confuse."""

_DETAILS_KEY = "grpc-status-details-bin"

_CONNECTION_LOST = "the connection to {server} was lost; check that the server still runs"

_ADVICE = {
    "UNIMPLEMENTED": "{server} answers, but does not offer asr.v1.SpeechService; is this the port?",
    "UNAVAILABLE": _CONNECTION_LOST,
    "INTERNAL": "the server failed; its log says more",
    "UNKNOWN": "the server failed; its log says more",
}
"""What to do where the server itself did not say it: statuses that the transport makes up."""

_ADVICE_BY_REASON = {
    "TOKEN_MISSING": "name your token by --token-file FILE or in ASR_TOKEN",
    "TOKEN_INVALID": "check the token of --token-file or ASR_TOKEN, and whether it is for {server}",
    "TOKEN_EXPIRED": "get a new token",
}
"""What to do about refusals that depend on how this client is called."""


class RecognitionError(Exception):
    """The server refused or ended a call, or could not be reached.

    `str()` of it is a sentence for people; programs look at `code` and `reason`.
    """

    def __init__(self, code: str, message: str, *, reason: str = "", advice: str = "") -> None:
        """Make an error from what a status says.

        Args:
            code: Name of the gRPC status code, such as "NOT_FOUND".
            message: What the server said.
            reason: Stable reason of google.rpc.ErrorInfo; empty where there is none.
            advice: What to do about it; empty where the message says it already.
        """
        super().__init__(code, message, reason, advice)
        self.code = code
        self.message = message
        self.reason = reason
        self.advice = advice

    @property
    def server_away(self) -> bool:
        """Whether there is no server to talk to, as opposed to one that refuses."""
        return self.reason == NO_SERVER or (self.code == "UNAVAILABLE" and not self.reason)

    @property
    def server_full(self) -> bool:
        """Whether the server had no room for the call just then, so that it may be made again."""
        return self.code == "UNAVAILABLE" and not self.server_away

    def __str__(self) -> str:
        """Say what happened and what to do, in one line."""
        if self.reason in _OWN_REASONS:
            return self.message
        label = f"{self.code}, {self.reason}" if self.reason else self.code
        said = f"{self.message} ({label})" if self.message else label
        return f"{self.advice}: {said}" if self.advice else said


def no_server(server: str) -> RecognitionError:
    """Make the error for an address at which nobody answers."""
    return RecognitionError(
        "UNAVAILABLE",
        f"no server answers at {server}; start one with: python -m service --listen {server}",
        reason=NO_SERVER,
    )


def not_trusted(sentence: str) -> RecognitionError:
    """Make the error for a server with which no encrypted connection comes about."""
    return RecognitionError("UNAUTHENTICATED", sentence, reason=NOT_TRUSTED)


def from_status(
    server: str, code: str, message: str, trailing_metadata: Iterable[tuple[str, str | bytes]]
) -> RecognitionError:
    """Make an error from a status and its trailing metadata.

    Args:
        server: Address that was called.
        code: Name of the gRPC status code.
        message: Details of the status.
        trailing_metadata: What came with the status; may hold google.rpc details.
    """
    reason = _reason(trailing_metadata)
    advice = _ADVICE_BY_REASON.get(reason, "") if reason else _ADVICE.get(code, "")
    return RecognitionError(code, message, reason=reason, advice=advice.format(server=server))


def _reason(trailing_metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Find the reason of google.rpc.ErrorInfo; empty where there is none."""
    for key, value in trailing_metadata:
        if key != _DETAILS_KEY or isinstance(value, str):
            continue
        info = error_details_pb2.ErrorInfo()
        try:
            details = status_pb2.Status.FromString(value).details
            if any(detail.Unpack(info) for detail in details):
                return str(info.reason)
        except DecodeError:
            # Whoever wrote these bytes, the status itself still tells the story.
            return ""
    return ""
