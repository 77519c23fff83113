"""Bad input: each has its status, its reason, and a message that says what to do."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from protos.asr.v1 import asr_pb2
from tests.conftest import stub_for
from tests.rpc.streams import audio, config, details, flush, paced, recognize, text, until
from tests.tones import pcm, tones

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def _format(**fields: object) -> asr_pb2.AudioChunk:
    known = {"encoding": asr_pb2.AUDIO_ENCODING_PCM_S16LE, "sample_rate_hertz": 16_000}
    return config(audio_format=asr_pb2.AudioFormat(**(known | fields)))


def _silence(seconds: int) -> asr_pb2.AudioChunk:
    return asr_pb2.AudioChunk(silence=asr_pb2.Silence(duration=Duration(seconds=seconds)))


async def _gather(transcripts: AsyncIterator, gathered: list) -> None:
    async for transcript in transcripts:
        gathered.append(transcript)  # noqa: PERF401 - kept when the iteration raises


BAD_STREAMS = {
    "no config first": ([flush()], "PROTOCOL_VIOLATION", "config", "before any audio"),
    "audio first": (audio(bytes(3_200)), "PROTOCOL_VIOLATION", "config", "before any audio"),
    "config twice": ([config(), config()], "PROTOCOL_VIOLATION", "config", "open another"),
    "no payload": ([config(), asr_pb2.AudioChunk()], "PROTOCOL_VIOLATION", "payload", "set"),
    "empty audio": ([config(), asr_pb2.AudioChunk(audio=b"")], "INVALID_FIELD", "audio", "send 1"),
    "large audio": (
        [config(), *audio(bytes(300_000), 300_000)],
        "INVALID_FIELD",
        "audio",
        "100 ms",
    ),
    "a file": ([config(), *audio(b"RIFF" + bytes(99))], "INVALID_AUDIO", "audio", "Recognize"),
    "no encoding": (
        [_format(encoding=0)],
        "INVALID_FIELD",
        "audio_format.encoding",
        "PCM_S16LE",
    ),
    "unknown encoding": (
        [_format(encoding=77)],
        "INVALID_FIELD",
        "audio_format.encoding",
        "PCM_S16LE",
    ),
    "rate 0": (
        [_format(sample_rate_hertz=0)],
        "INVALID_FIELD",
        "audio_format.sample_rate_hertz",
        "8000",
    ),
    "rate 1 000 000": (
        [_format(sample_rate_hertz=1_000_000)],
        "INVALID_FIELD",
        "audio_format.sample_rate_hertz",
        "192000",
    ),
    "9 channels": (
        [_format(channel_count=9)],
        "INVALID_FIELD",
        "audio_format.channel_count",
        "1 to 8",
    ),
    "phrases": (
        [config(phrases=[{"text": "alfa", "boost": 3.0}])],
        "INVALID_FIELD",
        "phrases",
        "another model",
    ),
    "language": ([config(language_code="tlh")], "INVALID_FIELD", "language_code", "it knows en"),
    "alternatives": ([config(max_alternatives=4)], "INVALID_FIELD", "max_alternatives", "1 to 3"),
    "alternatives -1": ([config(max_alternatives=-1)], "INVALID_FIELD", "max_alternatives", "1 to"),
    "silence duration": (
        [config(endpointing={"silence_duration": Duration(seconds=11)})],
        "INVALID_FIELD",
        "endpointing.silence_duration",
        "0.1 to 10",
    ),
    "longest segment": (
        [config(endpointing={"max_segment_duration": Duration(seconds=29)})],
        "INVALID_FIELD",
        "endpointing.max_segment_duration",
        "2 to 28",
    ),
    "at odds": (
        [config(endpointing={"single_utterance": True, "disabled": True})],
        "INVALID_FIELD",
        "endpointing.single_utterance",
        "drop one",
    ),
    "no silence": ([config(), _silence(0)], "INVALID_FIELD", "silence.duration", "at most 60"),
    "negative silence": ([config(), _silence(-1)], "INVALID_FIELD", "silence.duration", "60"),
    "long silence": ([config(), _silence(61)], "INVALID_FIELD", "silence.duration", "60"),
    "long flush id": ([config(), flush("x" * 129)], "INVALID_FIELD", "flush.id", "128"),
}


@pytest.mark.parametrize("case", BAD_STREAMS)
async def test_bad_streams_are_refused_by_name(stub, case):
    """The client's mistake is INVALID_ARGUMENT, naming the field and the remedy."""
    messages, reason, field, remedy = BAD_STREAMS[case]
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await recognize(stub, messages)
    assert refusal.value.code() is INVALID
    assert remedy in refusal.value.details()
    info, by_name = details(refusal.value)
    assert (info.reason, info.domain) == (reason, "asr.v1")
    bad_request = error_details_pb2.BadRequest.FromString(by_name["BadRequest"])
    assert [violation.field for violation in bad_request.field_violations] == [field]


async def test_an_unknown_model_is_not_found(stub):
    """An unknown model is NOT_FOUND and the message lists the known ones."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await recognize(stub, [config(model="telepathy")])
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert "choose one of: scripted" in refusal.value.details()
    assert details(refusal.value)[0].reason == "UNKNOWN_MODEL"


@pytest.mark.parametrize("method", ["StreamingRecognize", "Recognize", "ListModels"])
async def test_malformed_protobuf_is_the_clients_error(server, method):
    """Bytes that are no message are INVALID_ARGUMENT, never UNKNOWN."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        path = f"/asr.v1.SpeechService/{method}"
        garbage = b"\xff\xff\xff"
        if method == "StreamingRecognize":
            answer = channel.stream_stream(path)(iter([garbage])).read()
        else:
            answer = channel.unary_unary(path)(garbage)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await answer
    assert refusal.value.code() is INVALID
    assert ".proto" in refusal.value.details()


async def test_failed_calls_do_not_use_up_a_connection(serve):
    """However many calls of a connection fail in a row, the next one is served."""
    gc.disable()
    try:
        async with serve(max_streams=1) as running, stub_for(running.address) as stub:
            for _ in range(150):
                call = stub.StreamingRecognize()
                await call.write(flush())
                assert await call.code() is INVALID
            assert text(await recognize(stub, [config(), *audio(pcm(tones("alfa")))])) == "alfa"
    finally:
        gc.enable()


@pytest.mark.parametrize("method", ["StreamingRecognize", "Recognize", "ListModels"])
async def test_failed_calls_are_freed_at_once(server, method):
    """What a call held, such as its recording, does not wait for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            for _ in range(3):
                call = channel.stream_stream(f"/asr.v1.SpeechService/{method}")(iter([b"\xff"]))
                assert await call.code() is INVALID
            # grpc itself keeps the last one until the next call.
            await until(lambda: len(_aborts()) <= 1)
    finally:
        gc.enable()


def _aborts() -> list[grpc.aio.AbortError]:
    """Return what holds the frames of failed calls, with all that is in them."""
    # Asking some objects for their class, as isinstance does, gives warnings.
    return [known for known in gc.get_objects() if type(known) is grpc.aio.AbortError]


async def test_garbage_as_audio_is_audio(stub):
    """Random bytes are listened to like noise; the stream ends with OK and the server lives."""
    garbage = np.random.default_rng(5).bytes(100_001)
    await recognize(stub, [config(), *audio(garbage, 777)])
    assert text(await recognize(stub, [config(), *audio(pcm(tones("alfa")))])) == "alfa"


async def test_a_full_server_refuses_at_once(serve):
    """The stream beyond the limit is UNAVAILABLE with a time to try again; the first goes on."""
    async with serve(max_streams=1) as running, stub_for(running.address) as stub:
        words = audio(pcm(tones("alfa bravo charlie")))
        transcripts = aiter(stub.StreamingRecognize(paced([config(), *words], 0.02)))
        await anext(transcripts)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await recognize(stub, [config()])
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        info, by_name = details(refusal.value)
        assert info.reason == "SERVER_FULL"
        retry = error_details_pb2.RetryInfo.FromString(by_name["RetryInfo"])
        assert retry.retry_delay.ToMilliseconds() > 0
        assert text([transcript async for transcript in transcripts]) == "alfa bravo charlie"


async def test_a_broken_recognizer_is_internal_and_silent(serve, monkeypatch):
    """Our own fault is INTERNAL with an id; its text does not reach the client."""
    async with serve() as running, stub_for(running.address) as stub:

        def fail(*_: object) -> None:
            raise ValueError("the password is swordfish")

        monkeypatch.setattr("service.recognizers.scripted.ScriptedStream.final", fail)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await recognize(stub, [config(), *audio(pcm(tones("alfa")))])
        assert failure.value.code() is grpc.StatusCode.INTERNAL
        assert "swordfish" not in str(failure.value)
        assert all(workers.is_alive for workers in running.engine.schedulers.values())
        monkeypatch.undo()
        assert text(await recognize(stub, [config(), *audio(pcm(tones("alfa")))])) == "alfa"


async def test_a_draining_server_keeps_what_was_said(serve):
    """A stream that outlives the grace gets its final, then UNAVAILABLE; new ones are refused."""
    async with serve() as running, stub_for(running.address) as stub:
        call = stub.StreamingRecognize()
        await call.write(config(interim_results=True))
        await call.write(audio(pcm(tones("alfa bravo charlie")), 100_000)[0])
        transcripts = aiter(call)
        while (await anext(transcripts)).WhichOneof("event") != "interim_result":
            pass
        draining = asyncio.create_task(running.drain(grace_s=0.2))
        before_the_end: list[asr_pb2.Transcript] = []
        with pytest.raises(grpc.aio.AioRpcError) as end:
            await _gather(transcripts, before_the_end)
        assert text(before_the_end) == "alfa bravo charlie"
        assert end.value.code() is grpc.StatusCode.UNAVAILABLE
        assert details(end.value)[0].reason == "DRAINING"
        await draining
