"""Recognize, ListModels, health and reflection through a real server."""

from __future__ import annotations

import io

import grpc
import numpy as np
import pytest
import soundfile
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from protos.asr.v1 import asr_pb2
from tests.rpc.streams import audio, config, details, finals, recognize
from tests.tones import pcm, quiet, tones

SPEECH = np.concatenate([tones("alfa bravo"), quiet(1_500), tones("charlie")])


def _file(kind: str, subtype: str | None = None, rate_hz: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, SPEECH, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
async def test_files_are_recognized_whole(stub, kind):
    """A WAV, FLAC, OGG or MP3 file yields its words and its length."""
    response = await stub.Recognize(asr_pb2.RecognizeRequest(audio=_file(kind)))
    assert [result.text for result in response.results] == ["alfa bravo", "charlie"]
    length_s = response.audio_duration.ToNanoseconds() / 1e9
    assert length_s == pytest.approx(len(SPEECH) / 16_000, abs=0.1)
    assert response.model == "scripted"


async def test_a_recording_says_what_its_stream_says(stub):
    """Raw audio in one request has the finals of the same audio streamed."""
    request = asr_pb2.RecognizeRequest(
        config=asr_pb2.StreamingConfig(word_offsets=True), audio=pcm(SPEECH)
    )
    response = await stub.Recognize(request)
    streamed = await recognize(stub, [config(word_offsets=True), *audio(pcm(SPEECH))])
    assert list(response.results) == finals(streamed)


async def test_a_long_recording_is_recognized(stub):
    """A recording far longer than any buffer is recognized to its end."""
    minute = np.concatenate([tones("alfa bravo charlie"), quiet(2_000)] * 20)
    response = await stub.Recognize(asr_pb2.RecognizeRequest(audio=pcm(np.tile(minute, 6))))
    assert len(response.results) == 120


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"audio": b""}, "audio"),
        ({"audio": b"fLaC" + bytes(500)}, "audio"),
        ({"audio": b"\0" * 2_000_000}, "audio"),
        ({"audio": b"..", "config": {"interim_results": True}}, "interim_results"),
        (
            {"audio": b"..", "config": {"endpointing": {"single_utterance": True}}},
            "endpointing.single_utterance",
        ),
        (
            {
                "audio": _file("WAV"),
                "config": {"audio_format": {"encoding": 1, "sample_rate_hertz": 16_000}},
            },
            "audio_format",
        ),
    ],
)
async def test_bad_recordings_are_refused(serve, request_fields, field):
    """What cannot be recognized is INVALID_ARGUMENT by the field's name."""
    async with (
        serve(max_recording_bytes=1_000_000) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        method = channel.unary_unary(
            "/asr.v1.SpeechService/Recognize",
            request_serializer=asr_pb2.RecognizeRequest.SerializeToString,
        )
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await method(asr_pb2.RecognizeRequest(**request_fields))
    if refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        assert len(request_fields["audio"]) > 1_000_000
        return
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    packed = details(refusal.value)[1]["BadRequest"]
    [violation] = error_details_pb2.BadRequest.FromString(packed).field_violations
    assert violation.field == field


async def test_models_tell_what_they_can_do(serve):
    """ListModels names each model, the default first, with its capabilities."""
    async with (
        serve(model=["scripted", "scripted?name=other&delay_ms=1"]) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        method = channel.unary_unary(
            "/asr.v1.SpeechService/ListModels",
            response_deserializer=asr_pb2.ListModelsResponse.FromString,
        )
        first, second = (await method(b"")).models
    assert (first.name, second.name) == ("scripted", "other")
    assert first.word_offsets
    assert not first.phrases
    assert first.max_alternatives == 3
    assert first.max_segment_duration.ToSeconds() == 28


async def test_health_follows_the_server(serve):
    """Health is SERVING when streams are taken, and NOT_SERVING once it drains."""
    async with serve() as running, grpc.aio.insecure_channel(running.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "asr.v1.SpeechService"):
            response = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert response.status == health_pb2.HealthCheckResponse.SERVING
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        await running.drain(grace_s=0.0)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_every_watcher_learns_of_a_change(serve):
    """One watcher that leaves, and one that does not read, take the news from no other."""
    async with serve() as running, grpc.aio.insecure_channel(running.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        for watch in watches[:2]:
            await watch.read()
        watches[0].cancel()
        for is_serving in (False, True, False):
            running.health.set([""], is_serving=is_serving)
            status = (await watches[1].read()).status
            assert (status == health_pb2.HealthCheckResponse.SERVING) is is_serving


async def test_liveness_and_readiness_are_two_things(serve):
    """A draining server lives and is not ready; a name that nobody knows is NOT_FOUND."""
    async with serve() as running, grpc.aio.insecure_channel(running.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        running.health.set(("", "readiness"), is_serving=False)
        statuses = {
            name: (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status
            for name in ("liveness", "readiness")
        }
        assert statuses["liveness"] == health_pb2.HealthCheckResponse.SERVING
        assert statuses["readiness"] == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
        assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="nobody"))
        unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        assert (await watch.read()).status == unknown


@pytest.mark.parametrize(
    "path",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
async def test_garbage_to_the_standard_services_is_invalid(server, path):
    """Bytes that are no request are INVALID_ARGUMENT there too, and tell nothing of the inside."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            async for _ in channel.stream_stream(path)(iter([b"\xff\xff\xff"])):
                pass
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(refusal.value)[0].reason == "MALFORMED_MESSAGE"
    assert "Error" not in refusal.value.details()


async def test_reflection_shows_the_contract(server):
    """A client without the .proto can ask the server for it."""
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="asr.v1.SpeechService")
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        response = await stub.ServerReflectionInfo(iter([request])).read()
    files = map(
        FileDescriptorProto.FromString, response.file_descriptor_response.file_descriptor_proto
    )
    [service] = [service for file in files for service in file.service]
    methods = service.method
    assert [method.name for method in methods] == ["StreamingRecognize", "Recognize", "ListModels"]
