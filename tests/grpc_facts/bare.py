"""Bare servers of grpc.aio: none of our code, so that only gRPC's behaviour is seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

METHOD = "/fact.Fact/Stream"

SMALL_READ_AHEAD = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384))


@asynccontextmanager
async def bare_server(
    handler: Callable[..., Any],
    *,
    options: tuple = (),
    handlers: tuple = (),
    deserializer: Callable[[bytes], Any] | None = None,
    **arguments: Any,
) -> AsyncIterator[str]:
    """Serve one stream-stream handler of bytes; yields the address."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), *options], **arguments)
    method = grpc.stream_stream_rpc_method_handler(handler, request_deserializer=deserializer)
    service = grpc.method_handlers_generic_handler("fact.Fact", {"Stream": method})
    server.add_generic_rpc_handlers((service, *handlers))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def call_of(address: str, *options: tuple[str, int]) -> AsyncIterator[Any]:
    """Open a stream of bytes on a channel of its own."""
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield channel.stream_stream(METHOD)()
