"""Connections and ports of grpc.aio: which are held, and which are thrown out.

A test that fails after an upgrade of grpcio says that the fact is no longer one: the code
that it names may be simplified, or must be thought through again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.faults.proxy import chaos_proxy
from tests.grpc_facts.bare import METHOD, bare_server, call_of


@pytest.mark.parametrize("has_third", [False, True])
async def test_a_dead_peer_is_noticed_only_with_a_third_option(has_third):
    """keepalive_time and _timeout do nothing for a minute: rpc/transport sets ping_timeout."""
    gone = asyncio.Event()
    began = asyncio.Event()

    async def handler(requests, _):
        began.set()
        try:
            async for _ in requests:
                yield b""
        finally:
            gone.set()

    options = (("grpc.keepalive_time_ms", 500), ("grpc.keepalive_timeout_ms", 500))
    if has_third:
        options += (("grpc.http2.ping_timeout_ms", 500),)
    async with (
        bare_server(handler, options=options) as address,
        chaos_proxy(address) as proxy,
        call_of(proxy.address) as call,
    ):
        await call.write(b"audio")
        await began.wait()
        proxy.black_hole()
        if has_third:
            await gone.wait()
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(gone.wait(), 4.0)


async def test_keepalive_does_not_see_a_blocked_loop():
    """gRPC's own threads answer pings, so only a health check finds a blocked event loop."""

    async def handler(requests, _):
        yield b"begun"
        async for message in requests:
            yield message

    answers: list[bytes] = []
    deadlines: list[grpc.StatusCode] = []
    begun, blocked, over = threading.Event(), threading.Event(), threading.Event()

    def messages():
        over.wait()
        yield b"after"

    def client(address: str) -> None:
        keepalive = [
            ("grpc.keepalive_time_ms", 500),
            ("grpc.keepalive_timeout_ms", 1_000),
            ("grpc.http2.ping_timeout_ms", 1_000),
        ]
        with grpc.insecure_channel(address, keepalive) as channel:
            call = channel.stream_stream(METHOD)(messages())
            next(call)
            begun.set()
            blocked.wait()
            try:
                channel.unary_unary("/any/Method")(b"", timeout=0.7)
            except grpc.RpcError as error:
                deadlines.append(error.code())
            # Longer than an unanswered ping would be waited for.
            time.sleep(3)
            over.set()
            answers.extend(call)

    async with bare_server(handler) as address:
        thread = threading.Thread(target=client, args=(address,), daemon=True)
        thread.start()
        await asyncio.to_thread(begun.wait)
        # Nothing is awaited from here on: the loop stands still until the client has seen it.
        blocked.set()
        over.wait()
        await asyncio.to_thread(thread.join)
    assert answers == [b"after"]
    assert deadlines == [grpc.StatusCode.DEADLINE_EXCEEDED]


@asynccontextmanager
async def _silent_stream(min_interval_ms: int):
    """Open a stream on which nothing is said, by a client that pings every second."""
    forever = asyncio.Event()

    async def handler(_, __):
        yield b"begun"
        await forever.wait()

    options = (("grpc.http2.min_ping_interval_without_data_ms", min_interval_ms),)
    pings = (
        ("grpc.keepalive_time_ms", 1_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    )
    async with bare_server(handler, options=options) as address, call_of(address, *pings) as call:
        await call.read()
        yield call
        call.cancel()


async def test_a_client_that_pings_too_often_is_thrown_out():
    """So the least interval in rpc/transport is well below what clients are told to use."""
    async with _silent_stream(60_000) as too_often, _silent_stream(500) as allowed:
        assert await too_often.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(allowed.code(), 5.0)


@pytest.mark.parametrize("timeout_ms", [None, 500])
async def test_silent_connections_are_held_unless_told_not_to(timeout_ms):
    """server_handshake_timeout_ms drops a connection that never speaks; by default it is held."""

    async def handler(_, __):
        yield b""

    options = (("grpc.server_handshake_timeout_ms", timeout_ms),) if timeout_ms else ()
    async with bare_server(handler, options=options) as address:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        if timeout_ms:
            await reader.read()
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(), 2.0)
        writer.close()


async def test_the_limit_of_grpc_refuses_health_checks():
    """maximum_concurrent_rpcs counts every RPC: engine/slots counts streams instead."""
    servicer = health.aio.HealthServicer()
    handlers: list = []

    class Collect:
        def add_generic_rpc_handlers(self, added):
            handlers.extend(added)

        def add_registered_method_handlers(self, *_):
            pass

    health_pb2_grpc.add_HealthServicer_to_server(servicer, Collect())

    async def handler(requests, _):
        yield b"begun"
        async for _ in requests:
            pass

    arguments = {"handlers": tuple(handlers), "maximum_concurrent_rpcs": 1}
    async with bare_server(handler, **arguments) as address, call_of(address) as call:
        await call.read()
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_two_servers_share_a_port_unless_told_not_to():
    """rpc/transport sets so_reuseport to 0, or a failed restart would go unnoticed."""
    shared = [grpc.aio.server() for _ in range(2)]
    port = shared[0].add_insecure_port("127.0.0.1:0")
    assert shared[1].add_insecure_port(f"127.0.0.1:{port}") == port
    alone = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    with pytest.raises(RuntimeError):
        alone.add_insecure_port(f"127.0.0.1:{port}")
    for server in (*shared, alone):
        await server.stop(0)
