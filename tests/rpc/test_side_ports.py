"""Ports beside that for speech: probes, channelz, reflection."""

from __future__ import annotations

import socket

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from service.process import ExitStatus, StartError
from tests.conftest import stub_for
from tests.rpc.streams import audio, config, recognize
from tests.tones import pcm, tones

SPEECH = audio(pcm(tones("alfa bravo")))


async def services(channel: grpc.aio.Channel) -> set[str]:
    """Ask reflection what there is."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    async for response in stub.ServerReflectionInfo([request]):
        return {service.name for service in response.list_services_response.service}
    return set()


async def test_channelz_sees_the_streams(serve):
    """The admin port tells how many calls the server for speech has had, and how they ended."""
    async with (
        serve(admin_listen="127.0.0.1:0") as running,
        stub_for(running.address) as stub,
        grpc.aio.insecure_channel(running.sides.admin) as channel,
    ):
        await recognize(stub, [config(), *SPEECH])
        with pytest.raises(grpc.aio.AioRpcError):
            await recognize(stub, [config(model="?")])
        admin = channelz_pb2_grpc.ChannelzStub(channel)
        found = await admin.GetServers(channelz_pb2.GetServersRequest())
        assert max(server.data.calls_started for server in found.server) == 2
        assert "grpc.channelz.v1.Channelz" in await services(channel)
        health = health_pb2_grpc.HealthStub(channel)
        response = await health.Check(health_pb2.HealthCheckRequest(service="readiness"))
        assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_speech_has_no_channelz(server):
    """Who may recognize may not look at the others' connections."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        admin = channelz_pb2_grpc.ChannelzStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await admin.GetServers(channelz_pb2.GetServersRequest())
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_reflection_can_be_taken_away(serve):
    """With --reflection false the contract is not told; the rest works as before."""
    async with serve() as running, grpc.aio.insecure_channel(running.address) as channel:
        assert "asr.v1.SpeechService" in await services(channel)
    async with (
        serve(reflection=False) as running,
        grpc.aio.insecure_channel(running.address) as channel,
        stub_for(running.address) as stub,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await services(channel)
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert await recognize(stub, [config(), *SPEECH])


@pytest.mark.parametrize("setting", ["health_listen", "admin_listen"])
async def test_a_side_port_that_is_taken_stops_the_start(serve, setting):
    """A port that cannot be had is said at once, with the status of addresses."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match=f"cannot listen on {address}") as refusal:
            async with serve(**{setting: address}):
                pass
    assert refusal.value.status is ExitStatus.CANNOT_LISTEN
