"""Behaviour of grpc.aio that the service is built around, one test for each fact.

A test that fails after an upgrade of grpcio says that the fact is no longer one: the code
that it names may be simplified, or must be thought through again.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from service.rpc.intake import CANCELLATION_DELAY_S
from tests.faults.proxy import chaos_proxy
from tests.grpc_facts.bare import METHOD, SMALL_READ_AHEAD, bare_server, call_of
from tests.rpc.streams import until

GRPC_VERSION = tuple(int(part) for part in grpc.__version__.split(".")[:2])
SERVICE = Path(__file__).parent.parent.parent / "service"
ROUNDS = 40


async def _cancelled(wait_s: float) -> Counter[str]:
    """Cancel streams; tell how their handlers learn of it."""
    seen: Counter[str] = Counter()

    async def handler(requests, context):
        yield b"begun"
        try:
            async for _ in requests:
                pass
            seen["ended"] += 1
            seen["cancelled() said so"] += context.cancelled()
            await asyncio.sleep(wait_s)
            seen["went on"] += 1
        except asyncio.CancelledError:
            seen["cancelled"] += 1
            raise

    async with bare_server(handler) as address:
        for _ in range(ROUNDS):
            async with call_of(address) as call:
                await call.write(b"audio")
                await call.read()
                call.cancel()
        await until(lambda: seen["cancelled"] + seen["went on"] == ROUNDS)
    return seen


async def test_a_cancelled_stream_looks_half_closed_first():
    """The requests of a cancelled stream just end, and cancelled() is False: rpc/intake waits."""
    seen = await _cancelled(CANCELLATION_DELAY_S)
    assert seen["ended"] > ROUNDS / 2, "a cancellation can now be told from a half-close"
    assert seen["cancelled() said so"] == 0, "cancelled() now tells"
    assert seen["cancelled"] == ROUNDS, "the delay in rpc/intake is too short"


PEER_AFTER_THE_END = """
import asyncio
from tests.grpc_facts.bare import bare_server, call_of

async def main():
    kept = []
    async def handler(requests, context):
        kept.append(context)
        yield b""
    async with bare_server(handler) as address, call_of(address) as call:
        await call.done_writing()
        async for _ in call:
            pass
        await asyncio.sleep(0.1)
        kept[0].peer()

asyncio.run(main())
"""


def test_peer_after_the_end_may_crash_the_process():
    """From 1.83 on, peer() of an RPC that has ended is a segmentation fault."""
    folder = SERVICE.parent
    command = [sys.executable, "-c", PEER_AFTER_THE_END]
    status = subprocess.run(command, cwd=folder, check=False, timeout=30).returncode
    assert status == (-11 if GRPC_VERSION >= (1, 83) else 0)


def test_only_one_place_asks_for_the_peer():
    """The caller is found out in rpc/caller alone, at the begin of an RPC."""
    dangerous = {"peer", "peer_identities", "peer_identity_key", "auth_context"}
    found = {
        path.relative_to(SERVICE).as_posix()
        for path in SERVICE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in dangerous
    }
    assert found == {"rpc/caller.py"}


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
        with suppress(TimeoutError):
            await asyncio.wait_for(gone.wait(), 4.0)
        assert gone.is_set() is has_third


async def test_a_read_that_times_out_ends_the_stream():
    """After wait_for(read()) the next read shows an end that is none: rpc/intake never does it."""
    read_after = []

    async def handler(_, context):
        with suppress(TimeoutError):
            await asyncio.wait_for(context.read(), 0.05)
        read_after.append(await context.read())

    async with bare_server(handler) as address, call_of(address) as call:
        # Nothing was sent, and the stream is open; yet the server ends it with OK.
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
    assert read_after == [grpc.aio.EOF], "a cancelled read no longer ends the stream"


async def test_two_writes_at_once_fail():
    """One writer for each stream: the handler's own yield."""
    results = []

    async def handler(_, context):
        writes = [context.write(bytes(100)) for _ in range(4)]
        results.extend(await asyncio.gather(*writes, return_exceptions=True))

    async with bare_server(handler) as address, call_of(address) as call:
        await call.done_writing()
        with suppress(grpc.aio.AioRpcError):
            async for _ in call:
                pass
    assert any(isinstance(result, Exception) for result in results)


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


async def test_what_a_handler_raises_reaches_the_client():
    """UNKNOWN, with the exception's text: rpc/servicer and rpc/guard catch everything."""

    async def handler(_, __):
        raise ValueError("swordfish")
        yield b""

    async with bare_server(handler) as address, call_of(address) as call:
        assert await call.code() is grpc.StatusCode.UNKNOWN
        assert "swordfish" in await call.details()


async def test_what_a_deserializer_raises_is_unknown():
    """So the handlers take bytes, and rpc/convert parses them."""

    async def handler(requests, _):
        async for _ in requests:
            yield b""

    parse = health_pb2.HealthCheckRequest.FromString
    async with bare_server(handler, deserializer=parse) as address, call_of(address) as call:
        with suppress(grpc.aio.AioRpcError):
            await call.write(b"\xff\xff\xff")
        assert await call.code() is grpc.StatusCode.UNKNOWN


async def _accepted_bytes(options: tuple) -> int:
    """Write to a handler that does not read until no more is taken."""
    forever = asyncio.Event()

    async def handler(_, __):
        await forever.wait()
        yield b""

    sent = 0
    async with bare_server(handler, options=options) as address, call_of(address) as call:
        while True:
            writing = asyncio.ensure_future(call.write(bytes(3_200)))
            done, _ = await asyncio.wait({writing}, timeout=0.5)
            if not done:
                break
            sent += 3_200
        call.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    return sent


async def test_unread_messages_are_bounded_far_too_late_by_default():
    """Minutes of audio without the options of rpc/transport, less than 4 s with them."""
    assert await _accepted_bytes(()) > 30 * 32_000
    assert await _accepted_bytes(SMALL_READ_AHEAD) < 4 * 32_000


async def test_a_client_that_does_not_read_stops_a_server_that_writes():
    """A write waits for the reader: engine/outbox keeps only the newest interim."""
    written = 0
    is_stuck = asyncio.Event()

    async def handler(_, context):
        nonlocal written
        while True:
            writing = asyncio.ensure_future(context.write(bytes(2_000)))
            done, _ = await asyncio.wait({writing}, timeout=0.5)
            if not done:
                is_stuck.set()
                await writing
            written += 1

    async with bare_server(handler) as address, call_of(address) as call:
        await is_stuck.wait()
        assert written < 20_000
        call.cancel()


async def test_keepalive_does_not_see_a_blocked_loop():
    """gRPC's own threads answer pings, so only a health check finds a blocked event loop."""

    async def handler(requests, _):
        yield b"begun"
        async for message in requests:
            yield message

    answers: list[bytes] = []
    deadlines: list[grpc.StatusCode] = []
    begun, blocked = threading.Event(), threading.Event()

    def client(address: str) -> None:
        keepalive = [
            ("grpc.keepalive_time_ms", 500),
            ("grpc.keepalive_timeout_ms", 1_000),
            ("grpc.http2.ping_timeout_ms", 1_000),
        ]
        with grpc.insecure_channel(address, keepalive) as channel:
            messages = iter(lambda: blocked.wait() and b"after", None)
            call = channel.stream_stream(METHOD)(messages)
            next(call)
            begun.set()
            try:
                channel.unary_unary("/any/Method")(b"", timeout=0.7)
            except grpc.RpcError as error:
                deadlines.append(error.code())
            blocked.wait()
            answers.append(next(call))
            call.cancel()

    async with bare_server(handler) as address:
        thread = threading.Thread(target=client, args=(address,))
        thread.start()
        await asyncio.to_thread(begun.wait)
        time.sleep(3.5)  # noqa: ASYNC251 - blocking the loop is the point
        blocked.set()
        await asyncio.to_thread(thread.join)
    assert answers == [b"after"]
    assert deadlines == [grpc.StatusCode.DEADLINE_EXCEEDED]


async def _fate_of_a_pinging_client(min_interval_ms: int) -> bool:
    """Whether a client that pings every second lives through 8 s of a silent stream."""
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
        done, _ = await asyncio.wait({asyncio.ensure_future(call.code())}, timeout=8.0)
        call.cancel()
    return not done


async def test_a_client_that_pings_too_often_is_thrown_out():
    """So the least interval in rpc/transport is well below what clients are told to use."""
    fates = await asyncio.gather(*map(_fate_of_a_pinging_client, (60_000, 500)))
    assert fates == [False, True]


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


@pytest.mark.parametrize("timeout_ms", [None, 500])
async def test_silent_connections_are_held_unless_told_not_to(timeout_ms):
    """server_handshake_timeout_ms drops a connection that never speaks; by default it is held."""

    async def handler(_, __):
        yield b""

    options = (("grpc.server_handshake_timeout_ms", timeout_ms),) if timeout_ms else ()
    async with bare_server(handler, options=options) as address:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))

        async def to_the_end() -> None:
            while await reader.read(100):
                pass

        done, pending = await asyncio.wait({asyncio.create_task(to_the_end())}, timeout=2.0)
        assert bool(done) is bool(timeout_ms)
        for task in pending:
            task.cancel()
        writer.close()


async def test_an_aborted_call_is_held_until_garbage_is_collected():
    """It counts as a stream of its connection meanwhile: rpc/guard breaks the circles.

    In 1.85.1 this is no longer so, and the wrapper there may go.
    """
    codes: Counter[grpc.StatusCode] = Counter()

    async def handler(requests, context):
        await anext(requests)
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        yield b""

    options = (("grpc.max_concurrent_streams", 20),)
    gc.disable()
    try:
        async with bare_server(handler, options=options) as address:
            for _ in range(40):
                async with call_of(address) as call:
                    with suppress(grpc.aio.AioRpcError):
                        await call.write(b"audio")
                        await call.read()
                    codes[await call.code()] += 1
    finally:
        gc.enable()
    assert codes[grpc.StatusCode.INVALID_ARGUMENT] < 40, "freed at once, as in 1.85.1"


async def test_a_status_from_outside_ends_a_call_whose_handler_is_stuck():
    """abort() works from another task while a write waits: rpc/servicer ends unread streams so."""
    codes = []

    async def handler(_, context):
        running = asyncio.current_task()

        async def end() -> None:
            with suppress(grpc.aio.AbortError, TimeoutError):
                await asyncio.wait_for(
                    asyncio.shield(context.abort(grpc.StatusCode.OUT_OF_RANGE, "unread")), 0.3
                )
            running.cancel()

        while True:
            writing = asyncio.ensure_future(context.write(bytes(50_000)))
            done, _ = await asyncio.wait({writing}, timeout=0.3)
            if not done:
                ending = asyncio.create_task(end())
                with suppress(asyncio.CancelledError):
                    await writing
                codes.append("stuck")
                await ending

    async with bare_server(handler) as address, call_of(address) as call:
        await until(lambda: codes)
        with pytest.raises(grpc.aio.AioRpcError):
            async for _ in call:
                pass
        assert await call.code() is grpc.StatusCode.OUT_OF_RANGE
