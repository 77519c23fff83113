"""Which of several statuses of one call is the true one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
import pytest

from client.call import GrpcCall

TRUE = (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
MADE_UP = (grpc.StatusCode.INTERNAL, "Internal error from Core")


class EndingCall:
    """A call of gRPC that ends, and says of its end now this and now that."""

    def __init__(self) -> None:
        self._callbacks: list[Callable] = []
        self._status = TRUE

    def add_done_callback(self, callback: Callable) -> None:
        self._callbacks.append(callback)

    def end(self, status: tuple[grpc.StatusCode, str]) -> None:
        self._status = status
        for callback in self._callbacks:
            callback(self)

    async def code(self) -> grpc.StatusCode:
        return self._status[0]

    async def details(self) -> str:
        return self._status[1]

    async def trailing_metadata(self) -> Sequence[tuple[str, str]]:
        return ()


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ((TRUE,), TRUE),
        ((TRUE, MADE_UP), TRUE),
        ((MADE_UP, TRUE), TRUE),
        ((MADE_UP,), MADE_UP),
        (((grpc.StatusCode.INTERNAL, "internal error; see the log"), TRUE), None),
    ],
)
async def test_the_true_status_is_kept(said, believed):
    """What gRPC makes up for a failed write counts only where nothing else is said."""
    call = EndingCall()
    kept = GrpcCall("localhost:1", call)
    for status in said:
        call.end(status)
    failure = await kept.failure()
    assert failure is not None
    code, details = believed or said[0]
    assert (failure.code, failure.message) == (code.name, details)
