"""The client library against a server on loopback."""

import pytest

from client.stream import MESSAGE_BYTES, Client, RecognitionError, StreamingConfig, to_seconds
from tests.client.fake_server import STARTED, fake_server


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
