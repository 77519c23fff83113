"""How a stream ends: as asked, or as the server has said before."""

import asyncio

import grpc
import pytest

from client.stream import Client, RecognitionError, to_seconds
from tests.client.fake_server import STARTED, abort, ending, fake_server, final


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
