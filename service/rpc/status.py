"""From an exception to a gRPC status with its details."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import NoReturn

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from service.core.errors import ClientError, UnknownModelError
from service.engine.slots import UnavailableError

DOMAIN = "asr.v1"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Failure:
    """A status as the client sees it."""

    code: grpc.StatusCode
    reason: str
    message: str
    details: list[Message] = field(default_factory=list)


def failure_of(error: Exception) -> Failure:
    """Return what the client is told. Of our own faults it learns an id, not the text."""
    match error:
        case ClientError():
            code = grpc.StatusCode.INVALID_ARGUMENT
            if isinstance(error, UnknownModelError):
                code = grpc.StatusCode.NOT_FOUND
            details: list[Message] = []
            if error.field:
                violation = error_details_pb2.BadRequest.FieldViolation(
                    field=error.field, description=str(error), reason=error.reason
                )
                details.append(error_details_pb2.BadRequest(field_violations=[violation]))
            return Failure(code, error.reason, str(error), details)
        case UnavailableError():
            nanos = round(error.retry_after_s * 1_000_000_000)
            retry = error_details_pb2.RetryInfo(
                retry_delay=Duration(seconds=nanos // 1_000_000_000, nanos=nanos % 1_000_000_000)
            )
            return Failure(grpc.StatusCode.UNAVAILABLE, error.reason, str(error), [retry])
        case _:
            error_id = uuid.uuid4().hex[:12]
            log.error("internal error", error_id=error_id, exc_info=error)
            message = f"internal error; the server's log has it under {error_id}"
            return Failure(grpc.StatusCode.INTERNAL, "INTERNAL", message)


async def abort(context: grpc.aio.ServicerContext[bytes, Message], failure: Failure) -> NoReturn:
    """End the RPC with a status.

    With ``abort`` and the details in the trailing metadata, not by
    ``abort_with_status``: tracing records the code only of the former.
    """
    status = status_pb2.Status(code=_number(failure.code), message=failure.message)
    for detail in (
        error_details_pb2.ErrorInfo(reason=failure.reason, domain=DOMAIN),
        *failure.details,
    ):
        status.details.add().Pack(detail)
    metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(failure.code, failure.message, trailing_metadata=metadata)
    raise AssertionError("abort returned")


def _number(code: grpc.StatusCode) -> code_pb2.Code:
    return code_pb2.Code.Value(code.name)
