"""Why the server refuses or ends a stream that has nothing wrong with it.

A message says what to do. It may be shown to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class RefusalError(Exception):
    """The server's decision, not the client's mistake and not a failure."""

    reason = "REFUSED"
    """Stable, machine-readable; part of the contract."""
    retry_after_s: float | None = None
    """When the same may be tried again; None if time does not help."""
    quota: Quota | None = None
    """What was used up, if the caller has used up something of its own."""

    def __init__(self, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.metadata = metadata or {}
        """The message's varying parts, for programs."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A caller's own limit that it has reached."""

    subject: str
    """What the limit counts."""
    description: str


class UnavailableError(RefusalError):
    """This server cannot take the stream now, but another one, or a later try, may."""

    reason = "UNAVAILABLE"
    retry_after_s = 1.0


class ServerFullError(UnavailableError):
    """All slots are taken."""

    reason = "SERVER_FULL"


class LoadingError(UnavailableError):
    """The models are still being loaded."""

    reason = "LOADING"
    retry_after_s = 2.0

    def __init__(self) -> None:
        super().__init__("the server is still loading its models; try again in a moment")


class DrainingError(UnavailableError):
    """The server is about to stop."""

    reason = "DRAINING"

    def __init__(self) -> None:
        super().__init__("the server is stopping; go on with another one, or with this one shortly")


class WorkerFailedError(UnavailableError):
    """The process that decoded for the stream has died or hangs, or none is ready."""

    reason = "WORKER_FAILED"

    def __init__(self) -> None:
        super().__init__(
            "the process that recognized for this stream has failed and is being replaced; "
            "go on from final_offset on another server, or on this one shortly"
        )


class EngineFailedError(UnavailableError):
    """Recognition itself has died or hangs; the process is about to end."""

    reason = "ENGINE_FAILED"
    retry_after_s = 5.0

    def __init__(self) -> None:
        super().__init__(
            "recognition has failed on this server and it is about to restart; "
            "go on with another one, or with this one shortly"
        )


class StreamQuotaError(RefusalError):
    """This caller has all the streams open that it may have."""

    reason = "STREAM_QUOTA_EXCEEDED"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"you have {limit} streams open, as many as one caller may have here; "
            "end one before you open another",
            {"limit": str(limit)},
        )
        self.quota = Quota("streams", f"at most {limit} streams of one caller at once")


class RateQuotaError(RefusalError):
    """This caller opens streams faster than it may."""

    reason = "RATE_QUOTA_EXCEEDED"

    def __init__(self, per_s: float, retry_after_s: float) -> None:
        super().__init__(
            f"you open streams faster than {per_s:g} a second, which is what one caller may; "
            f"try again in {retry_after_s:.2g} s",
            {"limit_per_s": f"{per_s:g}"},
        )
        self.retry_after_s = retry_after_s
        self.quota = Quota("stream_starts", f"at most {per_s:g} new streams a second of one caller")


class LimitReachedError(RefusalError):
    """The stream has come to a limit of time."""


class StreamTooLongError(LimitReachedError):
    """The stream is open for as long as a stream may be."""

    reason = "STREAM_TOO_LONG"

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            f"the stream has been open for {limit_s:g} s, as long as one may be here; "
            "open another and go on",
            {"limit_s": f"{limit_s:g}"},
        )


class RecordingTooSlowError(LimitReachedError):
    """A recording has not been recognized in the time that one may take."""

    reason = "RECORDING_TOO_SLOW"

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            f"the recording was not recognized within {limit_s:g} s, as long as one may take here; "
            "stream it, or send it in parts",
            {"limit_s": f"{limit_s:g}"},
        )


class StreamIdleError(LimitReachedError):
    """The client has sent nothing for too long."""

    reason = "STREAM_IDLE"

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            f"nothing was sent for {limit_s:g} s; open another stream when there is audio, "
            "or send a silence now and then",
            {"limit_s": f"{limit_s:g}"},
        )


class ResultsUnreadError(LimitReachedError):
    """The client has not read what is sent to it for too long."""

    reason = "RESULTS_UNREAD"

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            f"results have waited unread for {limit_s:g} s; read while you send",
            {"limit_s": f"{limit_s:g}"},
        )


class FirstMessageLateError(LimitReachedError):
    """A stream was opened and its config did not come."""

    reason = "FIRST_MESSAGE_LATE"

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            f"the config did not come within {limit_s:g} s; "
            "send AudioChunk{config} as soon as the stream is open",
            {"limit_s": f"{limit_s:g}"},
        )
