"""Flow control of grpc.aio: what is taken that nobody reads, and who waits.

A test that fails after an upgrade of grpcio says that the fact is no longer one: the code
that it names may be simplified, or must be thought through again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import grpc
import pytest

from tests.grpc_facts.bare import SMALL_READ_AHEAD, bare_server, call_of
from tests.rpc.streams import until

NO_MORE_S = 5.0
"""A write that takes so long waits for the reader, and not for a busy machine."""


async def _accepted_bytes(options: tuple, enough: int) -> int:
    """Write to a handler that does not read until no more is taken, or enough was."""
    forever = asyncio.Event()

    async def handler(_, __):
        await forever.wait()
        yield b""

    sent = 0
    async with bare_server(handler, options=options) as address, call_of(address) as call:
        while sent <= enough:
            writing = asyncio.ensure_future(call.write(bytes(3_200)))
            done, _ = await asyncio.wait({writing}, timeout=NO_MORE_S)
            if not done:
                break
            sent += 3_200
        call.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    return sent


async def test_unread_messages_are_bounded_far_too_late_by_default():
    """Minutes of audio without the options of rpc/transport, less than 4 s with them."""
    far_too_many, few = 30 * 32_000, 4 * 32_000
    assert await _accepted_bytes((), far_too_many) > far_too_many
    assert await _accepted_bytes(SMALL_READ_AHEAD, few) < few


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


async def test_a_status_is_refused_while_the_headers_wait_with_the_first_answer():
    """abort() fails until the client takes them: rpc/servicer sends headers by themselves."""
    refused = asyncio.Event()

    async def handler(_, context):
        writing = asyncio.ensure_future(context.write(b"answer"))
        await asyncio.wait({writing}, timeout=0.3)
        try:
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, "unread")
        except grpc.aio.InternalError:
            refused.set()
            await writing
        yield b""

    closed_window = ("grpc.http2.lookahead_bytes", 0)
    async with (
        bare_server(handler) as address,
        call_of(address, ("grpc.http2.bdp_probe", 0), closed_window) as call,
    ):
        await call.write(b"audio")
        await refused.wait()
        call.cancel()


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
