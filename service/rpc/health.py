"""The standard health service, grpc.health.v1, for the names that probes ask for.

Our own few lines instead of grpcio-health-checking's: that one holds a lock while it
writes to a watcher, so that one which does not read keeps the status from being set,
and of several watchers of a name it forgets all when the first one leaves (1.80).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import grpc
from grpc_health.v1 import health_pb2

from service.core.errors import MalformedMessageError
from service.rpc import convert
from service.rpc.status import Context, abort, failure_of

HEALTH_SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

LIVENESS = "liveness"
"""Whether the process is worth keeping."""
READINESS = "readiness"
"""Whether it takes new streams."""

Response = health_pb2.HealthCheckResponse


class Health:
    """The state of some names, and whoever watches them. Belongs to the event loop."""

    def __init__(self, names: Iterable[str]) -> None:
        """Begin with every name NOT_SERVING."""
        self._is_serving = dict.fromkeys(names, False)
        self._suspended: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._is_closed = False

    def set(self, names: Iterable[str], *, is_serving: bool) -> None:
        """Say what is true from now on; whoever watches learns it."""
        self._is_serving |= dict.fromkeys(names, is_serving)
        self._tell()

    def suspend(self, names: Iterable[str]) -> None:
        """Have these names, and no others, NOT_SERVING for now, whatever is said of them."""
        self._suspended = frozenset(names)
        self._tell()

    def is_serving(self, name: str) -> bool:
        """Return what is so of a name."""
        return self._is_serving[name] and name not in self._suspended

    def close(self) -> None:
        """End all watches, after their last news."""
        self._is_closed = True
        self.set((), is_serving=False)

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server takes."""
        serializer = Response.SerializeToString
        return grpc.method_handlers_generic_handler(
            HEALTH_SERVICE,
            {
                "Check": grpc.unary_unary_rpc_method_handler(
                    self._check, response_serializer=serializer
                ),
                "Watch": grpc.unary_stream_rpc_method_handler(
                    self._watch, response_serializer=serializer
                ),
            },
        )

    async def _check(self, data: bytes, context: Context) -> health_pb2.HealthCheckResponse:
        name = await _name(data, context)
        response = self._response(name)
        if response.status == Response.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no service of that name")
        return response

    async def _watch(
        self, data: bytes, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        name = await _name(data, context)
        last = None
        while True:
            changed = self._changed
            response = self._response(name)
            if response != last:
                yield response
                last = response
            if self._is_closed:
                return
            await changed.wait()

    def _response(self, name: str) -> health_pb2.HealthCheckResponse:
        if name not in self._is_serving:
            return Response(status=Response.SERVICE_UNKNOWN)
        status = Response.SERVING if self.is_serving(name) else Response.NOT_SERVING
        return Response(status=status)

    def _tell(self) -> None:
        # Each wait has an event of its own, so that nobody misses a change.
        self._changed.set()
        self._changed = asyncio.Event()


async def _name(data: bytes, context: Context) -> str:
    try:
        return str(convert.parse(health_pb2.HealthCheckRequest, data).service)
    except MalformedMessageError as error:
        await abort(context, failure_of(error))
