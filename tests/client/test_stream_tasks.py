"""Sending and reading by several tasks at once, and giving up halfway."""

import asyncio

from client.stream import MESSAGE_BYTES, Client
from tests.client.fake_server import STARTED, fake_server, final, interim


async def test_send_everything_before_reading():
    """Sending a whole recording first and reading afterwards does not deadlock."""

    async def chatty(server, requests, _):
        async for request in requests:
            server.note(request)
            yield interim("what has been said so far " * 20)
        yield final("done")

    async with (
        fake_server(chatty) as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        for _ in range(5000):
            await stream.send(bytes(3200))
        await stream.finish()
        transcripts = [transcript async for transcript in stream]
    assert transcripts[-1].final_result.text == "done"
    assert server.audio_bytes == 5000 * 3200


async def test_concurrent_sends_are_safe():
    """Any number of tasks may send on one stream; every message arrives whole."""
    async with (
        fake_server() as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        await asyncio.gather(*(stream.send(bytes(1000)) for _ in range(50)))
        await stream.finish()
        assert [t async for t in stream][-1].final_result.text == "50000 bytes"


async def test_cancelled_read_loses_nothing():
    """Giving up a read, as a timeout does, neither ends the stream nor loses a transcript."""
    async with (
        fake_server() as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        assert await anext(stream) == STARTED
        reading = asyncio.create_task(anext(stream))
        await asyncio.wait([reading], timeout=0.01)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        await stream.flush("after")
        assert (await anext(stream)).flush_done.id == "after"


async def test_cancelled_send_harms_nothing():
    """Giving up a send that the server is slow to take leaves the stream usable and whole."""
    reading = asyncio.Event()

    async def stubborn(server, requests, _):
        yield STARTED
        await reading.wait()
        async for request in requests:
            server.note(request)
        yield final(f"{server.audio_bytes}")

    async with (
        fake_server(stubborn) as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        await anext(stream)
        # Far more than all buffers on the way hold, so that this send must block.
        sending = asyncio.create_task(stream.send(bytes(64 * 1024 * 1024)))
        done, _ = await asyncio.wait([sending], timeout=0.5)
        assert not done
        sending.cancel()
        await asyncio.wait([sending])
        reading.set()
        await stream.flush("after")
        await stream.finish()
        sent_bytes = int((await anext(stream)).final_result.text)
    assert 0 < sent_bytes < 64 * 1024 * 1024
    assert sent_bytes % MESSAGE_BYTES == 0
    assert server.messages[-1].flush.id == "after"
