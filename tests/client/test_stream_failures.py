"""Every failure of a server is one error that says what happened."""

import asyncio
import contextlib

import grpc
import pytest

from client.stream import Client, KeepAlive, RecognitionError, StreamingConfig
from tests.client.fake_server import STARTED, abort, count_bytes, fake_server
from tests.faults.proxy import chaos_proxy


async def test_refusal():
    """A stream that the server refuses is never opened; the error says why."""

    async def refuse(_, __, context):
        await abort(context, grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL", "no model is called x")
        yield STARTED

    async with fake_server(refuse) as server, Client(server.address) as client:
        opening = client.stream(StreamingConfig(model="x"))
        with pytest.raises(RecognitionError) as caught:
            await opening.__aenter__()
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "UNKNOWN_MODEL")
    assert str(caught.value) == "no model is called x (NOT_FOUND, UNKNOWN_MODEL)"
    assert not caught.value.server_away


async def test_failure_reaches_sender_and_reader():
    """A failure is one error with code, reason and message, whoever meets it first."""

    async def fail(_, requests, context):
        yield STARTED
        async for request in requests:
            if request.HasField("audio"):
                await abort(context, grpc.StatusCode.OUT_OF_RANGE, "TOO_LONG", "it is too long")

    async with (
        fake_server(fail) as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        await stream.send(b"1234")
        await anext(stream)
        with pytest.raises(RecognitionError) as read:
            await anext(stream)
        with pytest.raises(RecognitionError) as sent:
            await stream.send(b"1234")
    assert str(read.value) == str(sent.value) == "it is too long (OUT_OF_RANGE, TOO_LONG)"


async def test_sending_to_a_failing_server_tells_the_status():
    """A send that fails raises what the server said, never what the transport made of it."""

    async def fail(server, requests, context):
        yield STARTED
        async for request in requests:
            server.note(request)
            if server.audio_bytes:
                await abort(context, grpc.StatusCode.OUT_OF_RANGE, "TOO_LONG", "the stream is long")

    for _ in range(20):
        async with (
            fake_server(fail) as server,
            Client(server.address) as client,
            client.stream() as stream,
        ):
            with pytest.raises(RecognitionError, match="the stream is long") as caught:
                await stream.send(bytes(10_000_000))
        assert caught.value.reason == "TOO_LONG"


async def full_twice(server, requests, context):
    if server.streams <= 2:
        await abort(context, grpc.StatusCode.UNAVAILABLE, "NO_FREE_SLOT", "all slots are taken")
    async for transcript in count_bytes(server, requests, context):
        yield transcript


async def test_full_server_is_asked_again():
    """A server without a free slot is asked again, and then hears all of the audio."""
    async with (
        fake_server(full_twice) as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        for _ in range(20):
            await stream.send(bytes(3200))
        await stream.finish()
        assert [t async for t in stream][-1].final_result.text == "64000 bytes"
    assert server.streams == 3


async def test_full_server_without_retry():
    """Told not to ask again, the client reports a full server at once, and as a refusal."""
    async with fake_server(full_twice) as server, Client(server.address, retry=False) as client:
        opening = client.stream()
        with pytest.raises(RecognitionError, match="all slots are taken") as caught:
            await opening.__aenter__()
    assert server.streams == 1
    assert not caught.value.server_away


async def test_no_server():
    """Where nobody answers, that is said within the time-out, with the command that helps."""
    client = Client("127.0.0.1:1", connect_timeout_s=0.2)
    with pytest.raises(RecognitionError) as caught:
        async with client:
            pass
    assert str(caught.value) == (
        "no server answers at 127.0.0.1:1; start one with: python -m service --listen 127.0.0.1:1"
    )
    assert caught.value.server_away


async def test_a_slow_server_is_not_taken_for_none(monkeypatch):
    """A server that takes the connection is waited for longer than one that refuses it."""
    monkeypatch.setattr("client.stream.REFUSED_S", 0.1)
    async with fake_server() as server, chaos_proxy(server.address) as proxy:
        proxy.to_client.stall()
        client = Client(proxy.address, connect_timeout_s=50)
        connecting = asyncio.create_task(client.__aenter__())
        done, _ = await asyncio.wait({connecting}, timeout=1.0)
        assert not done
        proxy.to_client.resume()
        async with await connecting:
            assert await client.models()


async def test_server_that_goes_away():
    """A server that leaves in mid-stream is a lost connection, not a riddle."""
    async with (
        fake_server() as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        await anext(stream)
        await server.stop()
        with pytest.raises(RecognitionError, match=r"connection to .* was lost") as caught:
            await anext(stream)
    assert caught.value.server_away


async def test_server_that_falls_silent():
    """A connection through which nothing comes any more is given up within the keep-alive's time,
    not after minutes."""
    cut = asyncio.Event()

    async def pump(reader, writer):
        try:
            while (data := await reader.read(65_536)) and not cut.is_set():
                writer.write(data)
            if cut.is_set():
                # The connection stays open and carries nothing.
                await asyncio.Event().wait()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async with fake_server() as server, contextlib.AsyncExitStack() as stack:
        host, port = server.address.split(":")

        async def on_connection(reader, writer):
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            for pumped in (pump(reader, far_writer), pump(far_reader, writer)):
                task = asyncio.create_task(pumped)
                stack.push_async_callback(asyncio.wait, [task])
                stack.callback(task.cancel)

        proxy = await asyncio.start_server(on_connection, "127.0.0.1", 0)
        stack.callback(proxy.close)
        address = f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        keep_alive = KeepAlive(interval_s=2, timeout_s=5)
        async with (
            Client(address, keep_alive=keep_alive) as client,
            client.stream() as stream,
        ):
            await anext(stream)
            cut.set()
            with pytest.raises(RecognitionError) as caught:
                await asyncio.wait_for(anext(stream), 30)
    assert caught.value.server_away
