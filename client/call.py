"""One streaming call of gRPC, with the status that the server really sent."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio

from client.errors import RecognitionError, from_status
from protos.asr.v1.asr_pb2 import AudioChunk, Transcript

# A string, since the class takes parameters in its stubs only.
_Call: TypeAlias = "grpc.aio.StreamStreamCall[AudioChunk, Transcript]"
_Status: TypeAlias = tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]]

_T = TypeVar("_T")

_CALL_ENDED = (
    grpc.RpcError,
    grpc.aio.BaseError,
    asyncio.InvalidStateError,
    asyncio.CancelledError,
)
"""What gRPC raises when one writes to a call that has ended, or ends meanwhile."""


_MADE_UP = "Internal error from Core"
"""What the status INTERNAL says that gRPC itself makes up when a write fails."""

_TRUE_STATUS_S = 1.0
"""Within which the true status of such a call comes; it is mostly there already."""


class GrpcCall:
    """A streaming call of gRPC as `RecognitionStream` wants it."""

    def __init__(self, server: str, call: _Call) -> None:
        """Take over a call that has just been made."""
        self._server = server
        self._call = call
        self._status: asyncio.Future[_Status] = asyncio.get_running_loop().create_future()
        call.add_done_callback(self._keep_status)

    async def write(self, message: AudioChunk) -> bool:
        """Send a message; False where the call has ended, for whatever reason."""
        try:
            await self._call.write(message)
        # Which exception it is says nothing: it may lie, see `_keep_status`.
        except _CALL_ENDED:
            return False
        return True

    async def done_writing(self) -> None:
        """Half-close."""
        with contextlib.suppress(*_CALL_ENDED):
            await self._call.done_writing()

    async def read(self) -> Transcript | None:
        """Wait for the next transcript; None once the call has ended."""
        with contextlib.suppress(*_CALL_ENDED):
            transcript = await self._call.read()
            if isinstance(transcript, Transcript):
                return transcript
        return None

    async def failure(self) -> RecognitionError | None:
        """Wait for the end of the call; None where it is a good one."""
        code, details, trailing_metadata = await self._status
        if code is grpc.StatusCode.OK:
            return None
        return from_status(self._server, code.name, details, trailing_metadata)

    def cancel(self) -> None:
        """End the call if it has not ended."""
        self._call.cancel()

    def _keep_status(self, call: _Call) -> None:
        """Keep the status that the server sent, or that the call's deadline made.

        When a write fails because the call has just ended, gRPC makes up a status, after the
        true one or before it (https://github.com/grpc/grpc/issues/36066). It calls this for each.
        """
        code, details = _at_once(call.code()), _at_once(call.details()) or ""
        status = code, details, tuple(_at_once(call.trailing_metadata()) or ())
        if code is grpc.StatusCode.INTERNAL and details == _MADE_UP:
            asyncio.get_running_loop().call_later(_TRUE_STATUS_S, self._settle, status)
        else:
            self._settle(status)

    def _settle(self, status: _Status) -> None:
        if not self._status.done():
            self._status.set_result(status)


def _at_once(answer: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that has nothing to wait for, where awaiting is impossible."""
    try:
        answer.send(None)
    except StopIteration as stop:
        value: _T = stop.value
        return value
    answer.close()
    raise RuntimeError("gRPC does not know the status of a call that has ended")
