"""Bounds of time, of connections and of what is read ahead."""

from __future__ import annotations

import asyncio
import socket

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.asr.v1 import asr_pb2, asr_pb2_grpc
from tests.conftest import stub_for
from tests.rpc.streams import audio, config, details, recognize, text, until
from tests.tones import pcm, quiet, tones

SPEECH = pcm(np.concatenate([quiet(300), tones("alfa bravo charlie")]))


async def _to_the_end(call) -> tuple[list[asr_pb2.Transcript], grpc.aio.AioRpcError]:
    transcripts: list[asr_pb2.Transcript] = []
    with pytest.raises(grpc.aio.AioRpcError) as end:  # noqa: PT012 - what came before counts
        async for transcript in call:
            transcripts.append(transcript)  # noqa: PERF401 - kept when the iteration raises
    return transcripts, end.value


def _endings(transcripts: list[asr_pb2.Transcript]) -> list[asr_pb2.StreamEnding]:
    return [t.stream_ending for t in transcripts if t.HasField("stream_ending")]


async def test_an_idle_stream_is_told_and_keeps_what_it_said(serve):
    """Idleness is announced, then the finals come, then OUT_OF_RANGE."""
    async with serve(idle_s=4.0, notice_s=1.0) as running, stub_for(running.address) as stub:
        call = stub.StreamingRecognize()
        for message in [config(), *audio(SPEECH)]:
            await call.write(message)
        transcripts, end = await _to_the_end(call)
    assert text(transcripts) == "alfa bravo charlie"
    [ending] = _endings(transcripts)
    assert ending.reason == "STREAM_IDLE" == details(end)[0].reason
    assert 0 <= ending.time_left.ToNanoseconds() / 1e9 <= 1.0


async def test_an_idle_stream_that_goes_on_is_not_ended(serve):
    """A message after the announcement keeps the stream; a silence is one."""
    async with serve(idle_s=8.0, notice_s=6.0) as running, stub_for(running.address) as stub:
        call = stub.StreamingRecognize()
        await call.write(config())
        for _ in range(2):
            while not (await call.read()).HasField("stream_ending"):
                pass
            silence = asr_pb2.Silence()
            silence.duration.FromMilliseconds(10)
            await call.write(asr_pb2.AudioChunk(silence=silence))
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK


async def test_a_stream_that_lasts_too_long_is_told_and_keeps_what_it_said(serve):
    """The longest duration is announced; the finals of what was heard come before the status."""
    settings = {"max_stream_s": 5.0, "notice_s": 1.0}
    async with serve(**settings) as running, stub_for(running.address) as stub:
        call = stub.StreamingRecognize()
        for message in [config(), *audio(SPEECH)]:
            await call.write(message)
        transcripts, end = await _to_the_end(call)
    assert text(transcripts) == "alfa bravo charlie"
    assert [ending.reason for ending in _endings(transcripts)] == ["STREAM_TOO_LONG"]
    assert end.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_work_of_the_server_is_not_idleness(serve):
    """A stream whose client waits for a slow final is not ended for being silent itself."""
    settings = {"model": ["scripted?delay_ms=4000"], "idle_s": 3.0, "notice_s": 1.0}
    async with serve(**settings) as running, stub_for(running.address) as stub:
        transcripts = await recognize(stub, [config(), *audio(SPEECH)])
    assert text(transcripts) == "alfa bravo charlie"
    assert not _endings(transcripts)


async def test_a_stream_that_takes_not_even_the_first_answer_is_ended(serve):
    """A client whose window for answers is closed keeps its slot for ``idle_s`` and no longer."""
    closed_window = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 0))
    async with (
        serve(idle_s=1.0) as running,
        grpc.aio.insecure_channel(running.address, options=closed_window) as channel,
    ):
        slots = running.engine.slots
        call = asr_pb2_grpc.SpeechServiceStub(channel).StreamingRecognize()
        await call.write(config())
        await until(lambda: slots.taken)
        await call.done_writing()
        await until(lambda: not slots.taken)
        _, end = await _to_the_end(call)
        assert details(end)[0].reason == "RESULTS_UNREAD"


async def test_a_stream_without_config_takes_no_slot(serve):
    """While the config is waited for the slot is another's, and waiting ends in time."""
    settings = {"max_streams": 1, "first_message_s": 4.0}
    async with serve(**settings) as running, stub_for(running.address) as stub:
        waiting = stub.StreamingRecognize()
        assert text(await recognize(stub, [config(), *audio(SPEECH)])) == "alfa bravo charlie"
        assert await waiting.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_health_answers_a_full_server(serve):
    """Neither slots nor quotas count for health and reflection."""
    settings = {"max_streams": 1, "max_streams_per_caller": 1, "max_starts_per_caller": 0.001}
    async with (
        serve(**settings) as running,
        grpc.aio.insecure_channel(running.address) as channel,
        stub_for(running.address) as stub,
    ):
        call = stub.StreamingRecognize()
        await call.write(config())
        await call.read()
        with pytest.raises(grpc.aio.AioRpcError):
            await recognize(stub, [config()])
        health = health_pb2_grpc.HealthStub(channel)
        for _ in range(20):
            response = await health.Check(health_pb2.HealthCheckRequest())
            assert response.status == health_pb2.HealthCheckResponse.SERVING
        call.cancel()


async def test_connections_are_bounded_and_probes_have_their_own(serve):
    """Beyond the limit a connection is closed at once; the health port does not mind."""
    settings = {"max_connections": 2, "health_listen": "127.0.0.1:0"}
    async with serve(**settings) as running:
        host, _, port = running.address.rpartition(":")
        held = [socket.create_connection((host, int(port))) for _ in range(2)]
        # The count is of those that the server has taken from its queue.
        await asyncio.gather(*(asyncio.to_thread(one.recv, 1) for one in held))
        with socket.create_connection((host, int(port))) as one_more:
            one_more.settimeout(50)
            assert await asyncio.to_thread(one_more.recv, 1) == b""
        async with grpc.aio.insecure_channel(running.sides.health) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            response = await stub.Check(health_pb2.HealthCheckRequest())
            assert response.status == health_pb2.HealthCheckResponse.SERVING
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await channel.unary_unary("/asr.v1.SpeechService/ListModels")(b"")
            assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
        for one in held:
            one.close()
        async with grpc.aio.insecure_channel(running.address) as channel:
            # Until the server has noticed that the others are gone.
            await channel.channel_ready()
            stub = asr_pb2_grpc.SpeechServiceStub(channel)
            assert text(await recognize(stub, [config(), *audio(SPEECH)])) == "alfa bravo charlie"


@pytest.mark.parametrize(("read_ahead_s", "most_s"), [(0.5, 2.0), (2.0, 4.0)])
async def test_what_is_read_ahead_is_bounded(serve, monkeypatch, read_ahead_s, most_s):
    """Of a stream that the server does not read, so much audio leaves the client and no more."""
    stalled = asyncio.Event()

    async def stall(*_: object) -> None:
        stalled.set()
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr("service.engine.stream.LiveStream.audio", stall)
    async with serve(read_ahead_s=read_ahead_s) as running, stub_for(running.address) as stub:
        call = stub.StreamingRecognize()
        await call.write(config())
        sent_bytes = 0
        message = asr_pb2.AudioChunk(audio=bytes(3_200))
        while True:
            writing = asyncio.ensure_future(call.write(message))
            await asyncio.wait({writing}, timeout=1.0)
            # So much must be taken, however long a busy machine takes.
            while not writing.done() and sent_bytes < read_ahead_s * 0.5 * 32_000:
                await asyncio.wait({writing}, timeout=1.0)
            if not writing.done():
                break
            sent_bytes += 3_200
        call.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert stalled.is_set()
    assert sent_bytes / 32_000 <= most_s


async def test_a_stream_that_waits_for_its_config_is_told_of_the_end(serve):
    """A server that stops does not wait for configs: their streams end with DRAINING at once."""
    async with serve(first_message_s=600) as running, stub_for(running.address) as stub:
        call = stub.StreamingRecognize()
        await until(lambda: running.servicer.ledger.open)
        running.engine.slots.drain()
        _, end = await _to_the_end(call)
        assert details(end)[0].reason == "DRAINING"
