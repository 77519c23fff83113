"""Every reason with which a call can fail, in one table; docs/errors.md is made from it.

A reason and its code are part of the contract: they are added, never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grpc import StatusCode

Detail = Literal["BadRequest", "RetryInfo", "QuotaFailure"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a reason means."""

    code: StatusCode
    when: str
    remedy: str
    details: tuple[Detail, ...] = ()
    """What comes along beside ErrorInfo; every status has that."""


BAD_REQUEST: tuple[Detail, ...] = ("BadRequest",)
RETRY: tuple[Detail, ...] = ("RetryInfo",)

CATALOGUE = {
    "INVALID_FIELD": Entry(
        StatusCode.INVALID_ARGUMENT,
        "a field is out of its range, or the model cannot honour it",
        "mend the field that `BadRequest` names: by its path in `StreamingConfig`, as "
        "`audio_format.encoding`, or beside the config in the message, as `flush.id`",
        BAD_REQUEST,
    ),
    "PROTOCOL_VIOLATION": Entry(
        StatusCode.INVALID_ARGUMENT,
        "no config first, a second config, or a message without payload",
        "send one config, first, and then audio, flush and silence",
        BAD_REQUEST,
    ),
    "MALFORMED_MESSAGE": Entry(
        StatusCode.INVALID_ARGUMENT,
        "the bytes are not a message of the contract",
        "make the client's stubs from this server's .proto",
    ),
    "INVALID_AUDIO": Entry(
        StatusCode.INVALID_ARGUMENT,
        "the audio is not what the config says, or the file cannot be read",
        "send raw samples in the format of the config, and files to Recognize",
        BAD_REQUEST,
    ),
    "UNKNOWN_MODEL": Entry(
        StatusCode.NOT_FOUND,
        "no model of that name is served",
        "choose one that the sentence, or ListModels, names",
        BAD_REQUEST,
    ),
    "UNKNOWN_METHOD": Entry(
        StatusCode.UNIMPLEMENTED,
        "there is no such RPC here",
        "look at the contract, or at the port",
    ),
    "TOKEN_MISSING": Entry(
        StatusCode.UNAUTHENTICATED,
        "the server wants tokens (`--tokens`, `--jwt-keys`) and there is none",
        "send one, as the metadata `authorization: Bearer TOKEN`",
    ),
    "TOKEN_INVALID": Entry(
        StatusCode.UNAUTHENTICATED,
        "the token is not known here, was revoked, or is not rightly signed",
        "check which token is sent, and to whom",
    ),
    "TOKEN_EXPIRED": Entry(
        StatusCode.UNAUTHENTICATED,
        "the token has expired; an open stream has had its finals and a `stream_ending`",
        "get a new token, open another stream, and go on from `final_offset`",
    ),
    "SCOPE_MISSING": Entry(
        StatusCode.PERMISSION_DENIED,
        "the token is good, but does not allow this",
        "get a token with the scope that `ErrorInfo.metadata` names",
    ),
    "STREAM_QUOTA_EXCEEDED": Entry(
        StatusCode.RESOURCE_EXHAUSTED,
        "the caller has as many streams open as it may (`--max-streams-per-caller`)",
        "end one before opening another",
        ("QuotaFailure",),
    ),
    "RATE_QUOTA_EXCEEDED": Entry(
        StatusCode.RESOURCE_EXHAUSTED,
        "the caller opens streams faster than it may (`--max-starts-per-caller`)",
        "wait as long as `RetryInfo` says",
        ("QuotaFailure", "RetryInfo"),
    ),
    "STREAM_TOO_LONG": Entry(
        StatusCode.OUT_OF_RANGE,
        "the stream has been open as long as one may be (`--max-stream-s`)",
        "open another and go on from `final_offset`",
    ),
    "RECORDING_TOO_SLOW": Entry(
        StatusCode.OUT_OF_RANGE,
        "a recording for Recognize was not done in the time that one may take "
        "(`--max-recognize-s`)",
        "stream it, or send it in parts",
    ),
    "STREAM_IDLE": Entry(
        StatusCode.OUT_OF_RANGE,
        "the client has sent nothing for too long (`--idle-s`)",
        "open another stream when there is audio, or send a silence now and then",
    ),
    "RESULTS_UNREAD": Entry(
        StatusCode.OUT_OF_RANGE,
        "the client has not read what was sent to it for too long (`--idle-s`)",
        "read while sending",
    ),
    "FIRST_MESSAGE_LATE": Entry(
        StatusCode.OUT_OF_RANGE,
        "a stream was opened and no config came (`--first-message-s`)",
        "send the config as soon as the stream is open",
    ),
    "SERVER_FULL": Entry(
        StatusCode.UNAVAILABLE,
        "every slot is taken (`--max-streams`)",
        "try another server, or this one after `RetryInfo`",
        RETRY,
    ),
    "LOADING": Entry(
        StatusCode.UNAVAILABLE,
        "the models are still being loaded",
        "try another server, or this one after `RetryInfo`",
        RETRY,
    ),
    "DRAINING": Entry(
        StatusCode.UNAVAILABLE,
        "the server is stopping; an open stream has had its finals and a `stream_ending`",
        "go on with another server, or with this one after `RetryInfo`",
        RETRY,
    ),
    "WORKER_FAILED": Entry(
        StatusCode.UNAVAILABLE,
        "the process that decoded for the stream has died or hung (`--workers`), or none is ready "
        "to take its place yet; finals that came before stand",
        "go on from `final_offset`, with another server, or with this one after `RetryInfo`",
        RETRY,
    ),
    "ENGINE_FAILED": Entry(
        StatusCode.UNAVAILABLE,
        "a decode hangs, a decoding thread has died, every decode of a model fails, or a model was "
        "without workers for too long (`--max-deserted-s`); the process is about to end",
        "go on with another server, or with this one after `RetryInfo`",
        RETRY,
    ),
    "INTERNAL": Entry(
        StatusCode.INTERNAL,
        "the server's own fault",
        "report the id that the sentence and `error_id` hold; the server's log repeats it",
    ),
}
