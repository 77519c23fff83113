"""The client library against a server on loopback."""

import asyncio
import contextlib

import grpc
import pytest

from client.stream import (
    MESSAGE_BYTES,
    Client,
    KeepAlive,
    RecognitionError,
    StreamingConfig,
    to_seconds,
)
from tests.client.fake_server import (
    STARTED,
    abort,
    count_bytes,
    ending,
    fake_server,
    final,
    interim,
)


async def block_source(*blocks):
    for block in blocks:
        yield block


async def test_feed_and_iterate():
    """Ten lines are enough: what is fed is recognized, in order, and the stream ends by itself."""
    async with (
        fake_server() as server,
        Client(server.address) as client,
        client.stream(StreamingConfig(model="fake")) as stream,
    ):
        stream.feed(block_source(b"12", b"345", b"6"))
        events = [transcript.WhichOneof("event") async for transcript in stream]
    assert events[0] == "stream_started"
    assert events[-1] == "final_result"
    assert (server.audio_bytes, server.config.model) == (6, "fake")
    assert server.half_closed.is_set()


async def test_no_config_sends_an_empty_one():
    """A stream without a config begins with an empty one, which means the defaults."""
    async with (
        fake_server() as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        await stream.finish()
        assert [transcript async for transcript in stream] == [STARTED]
        assert server.config == StreamingConfig()


async def test_flush_and_silence_are_messages():
    """Flush and silence go out as the contract says, and the flush is answered."""
    async with (
        fake_server() as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        assert await stream.silence(1.25)
        assert await stream.flush("turn-1")
        await stream.finish()
        answers = [transcript async for transcript in stream]
    assert [a.flush_done.id for a in answers if a.HasField("flush_done")] == ["turn-1"]
    assert to_seconds(server.messages[1].silence.duration) == 1.25


async def test_long_audio_is_cut():
    """One send may hold minutes of audio; no message is larger than servers take."""
    sizes = []

    async def record_sizes(_, requests, __):
        yield STARTED
        sizes.extend([len(r.audio) async for r in requests if r.HasField("audio")])

    async with (
        fake_server(record_sizes) as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        await stream.send(bytes(3 * MESSAGE_BYTES + 1))
        await stream.send(b"")
        await stream.finish()
        assert len([t async for t in stream]) == 1
    assert sizes == [MESSAGE_BYTES, MESSAGE_BYTES, MESSAGE_BYTES, 1]


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


async def test_leaving_cancels():
    """Leaving the block without finishing cancels the stream on the server."""

    async def for_ever(_, __, ___):
        yield STARTED
        await asyncio.Event().wait()

    async with fake_server(for_ever) as server, Client(server.address) as client:
        async with client.stream() as stream:
            await stream.send(b"1234")
            await anext(stream)
        await server.cancelled.wait()


async def test_failing_source_still_gives_finals():
    """A source that fails half-closes: the finals of what was sent come, then its error."""

    async def torn():
        yield b"1234"
        raise OSError("the disk is gone")

    async with (
        fake_server() as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        stream.feed(torn())
        texts = [(await anext(stream)).final_result.text for _ in range(3)]
        with pytest.raises(OSError, match="the disk is gone"):
            await anext(stream)
    assert texts == ["", "", "4 bytes"]


async def test_finish_stops_feeding():
    """Finishing while a source goes on for ever half-closes after what was sent."""

    async def endless():
        while True:
            yield bytes(100)

    async with (
        fake_server() as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        stream.feed(endless())
        assert [(await anext(stream)).WhichOneof("event") for _ in "12"][1] == "interim_result"
        await stream.finish()
        texts = [transcript.final_result.text async for transcript in stream]
        assert texts[-1] == f"{server.audio_bytes} bytes"
        with pytest.raises(RuntimeError, match="after finish"):
            await stream.send(b"more")


async def test_single_utterance_ends_feeding():
    """A server that ends the stream with OK while audio still comes ends it for the feeder too."""

    async def one_utterance(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
            if server.audio_bytes >= 300:
                yield final("stop")
                return

    async def endless():
        while True:
            yield bytes(100)

    async with (
        fake_server(one_utterance) as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        stream.feed(endless())
        assert [t.final_result.text async for t in stream] == ["", "stop"]
        assert stream.ended


async def test_sending_after_a_single_utterance():
    """Whoever sends by hand learns from `send` that the server listens no longer."""

    async def one_utterance(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
            if server.audio_bytes >= 300:
                yield final("stop")
                return

    for _ in range(20):
        async with (
            fake_server(one_utterance) as server,
            Client(server.address) as client,
            client.stream() as stream,
        ):
            while await stream.send(bytes(100)):
                pass
            assert [t.final_result.text async for t in stream] == ["", "stop"]
            assert not await stream.flush()


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
        keep_alive = KeepAlive(interval_s=0.5, timeout_s=0.5)
        async with (
            Client(address, keep_alive=keep_alive) as client,
            client.stream() as stream,
        ):
            await anext(stream)
            cut.set()
            with pytest.raises(RecognitionError) as caught:
                await asyncio.wait_for(anext(stream), 10)
    assert caught.value.server_away


async def test_models_and_recognize():
    """Models are listed, and a whole recording is recognized in one call, however large."""
    async with fake_server() as server, Client(server.address) as client:
        assert [model.name for model in await client.models()] == ["fake"]
        response = await client.recognize(bytes(3_000_000))
        assert response.results[0].text == "3000000 bytes"
        with pytest.raises(RecognitionError, match="there is no such model") as caught:
            await client.recognize(b"1234", StreamingConfig(model="x"))
    assert caught.value.reason == "UNKNOWN_MODEL"


async def test_client_outside_its_block():
    """A client that was never entered says how it is used."""
    with pytest.raises(RuntimeError, match="async with"):
        await Client().models()


async def test_a_stream_is_fed_once():
    """Feeding twice is a mistake that is told."""
    async with (
        fake_server() as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        stream.feed(block_source(b"12"))
        second = block_source(b"34")
        with pytest.raises(RuntimeError, match="already"):
            stream.feed(second)


async def test_the_notice_of_the_end_is_known_at_once():
    """A stream knows that the server will end it before anyone reads that transcript."""

    async def drain(_, requests, context):
        yield STARTED
        yield ending("DRAINING", 5.0)
        async for _ in requests:
            pass
        yield final("said")
        await abort(context, grpc.StatusCode.UNAVAILABLE, "DRAINING", "go elsewhere")

    async with (
        fake_server(drain) as server,
        Client(server.address) as client,
        client.stream() as stream,
    ):
        assert await anext(stream) == STARTED
        while stream.ending is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (stream.ending.reason, to_seconds(stream.ending.time_left)) == ("DRAINING", 5.0)
        await stream.finish()
        assert [t.WhichOneof("event") for t in [await anext(stream), await anext(stream)]] == [
            "stream_ending",
            "final_result",
        ]
        with pytest.raises(RecognitionError) as end:
            await anext(stream)
        assert end.value.reason == "DRAINING"
