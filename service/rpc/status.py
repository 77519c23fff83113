"""From an exception to a gRPC status with its details."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from service.core.errors import ClientError
from service.engine.refusals import Quota, RefusalError
from service.rpc.catalogue import CATALOGUE

DOMAIN = "asr.v1"

MAX_MESSAGE_BYTES = 1_000
"""A status travels in headers, three times and partly escaped; clients take 8 KiB of them."""

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, Message]"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Failure:
    """A status as the client sees it."""

    reason: str
    """One of the catalogue."""
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    details: tuple[Message, ...] = ()
    retry_after_ms: int | None = None

    @property
    def code(self) -> grpc.StatusCode:
        """The code of its reason."""
        return CATALOGUE[self.reason].code


def failure_of(error: Exception) -> Failure:
    """Return what the client is told. Of our own faults it learns an id, not the text."""
    match error:
        case ClientError(reason=reason) if reason in CATALOGUE:
            return Failure(reason, str(error), error.metadata, _bad_request(error))
        case RefusalError(reason=reason) if reason in CATALOGUE:
            after_s = error.retry_after_s
            after_ms = None if after_s is None else math.ceil(after_s * 1000)
            details = _refusal_details(error.quota, after_ms)
            return Failure(reason, str(error), error.metadata, details, after_ms)
        case _:
            error_id = uuid.uuid4().hex[:12]
            log.error("internal error", error_id=error_id, exc_info=error)
            message = f"internal error; the server's log has it under {error_id}"
            return Failure("INTERNAL", message, {"error_id": error_id})


async def abort(context: Context, failure: Failure) -> NoReturn:
    """End the RPC with a status.

    With ``abort`` and the details in the trailing metadata, not by
    ``abort_with_status``: tracing records the code only of the former.
    """
    message = _clipped(failure.message)
    status = status_pb2.Status(code=_number(failure.code), message=message)
    info = error_details_pb2.ErrorInfo(
        reason=failure.reason, domain=DOMAIN, metadata=failure.metadata
    )
    for detail in (info, *failure.details):
        status.details.add().Pack(detail)
    metadata: tuple[tuple[str, str | bytes], ...] = (
        ("grpc-status-details-bin", status.SerializeToString()),
    )
    if failure.retry_after_ms is not None:
        # What gRPC's own retries go by (gRFC A6).
        metadata = (*metadata, ("grpc-retry-pushback-ms", str(failure.retry_after_ms)))
    await context.abort(failure.code, message, trailing_metadata=metadata)
    raise AssertionError("abort returned")


def _bad_request(error: ClientError) -> tuple[Message, ...]:
    if not error.field:
        return ()
    violation = error_details_pb2.BadRequest.FieldViolation(
        field=error.field, description=_clipped(str(error)), reason=error.reason
    )
    return (error_details_pb2.BadRequest(field_violations=[violation]),)


def _refusal_details(quota: Quota | None, retry_after_ms: int | None) -> tuple[Message, ...]:
    details: list[Message] = []
    if quota is not None:
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=quota.subject, description=quota.description
        )
        details.append(error_details_pb2.QuotaFailure(violations=[violation]))
    if retry_after_ms is not None:
        delay = Duration()
        delay.FromMilliseconds(retry_after_ms)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return tuple(details)


def _clipped(text: str) -> str:
    data = text.encode(errors="replace")
    if len(data) <= MAX_MESSAGE_BYTES:
        return text
    return data[:MAX_MESSAGE_BYTES].decode(errors="ignore") + "…"


def _number(code: grpc.StatusCode) -> code_pb2.Code:
    return code_pb2.Code.Value(code.name)
