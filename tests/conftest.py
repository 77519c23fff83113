"""Real servers on loopback for every test that wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc
import pytest

from protos.asr.v1 import asr_pb2_grpc
from service.app import RunningServer, run_server
from service.settings import Settings

Serve = Callable[..., AbstractAsyncContextManager[RunningServer]]


@pytest.fixture
def serve() -> Serve:
    """Run a server with the scripted recognizer on a free port; settings by name."""

    def run(**settings: object) -> AbstractAsyncContextManager[RunningServer]:
        defaults = {
            "listen": "127.0.0.1:0",
            "model": ["scripted"],
            "voice_activity": "energy",
        }
        return run_server(Settings.model_validate(defaults | settings))

    return run


@asynccontextmanager
async def stub_for(address: str) -> AsyncIterator[asr_pb2_grpc.SpeechServiceStub]:
    """Open a plain channel, as any generated client does."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield asr_pb2_grpc.SpeechServiceStub(channel)


@pytest.fixture
async def server(serve: Serve) -> AsyncIterator[RunningServer]:
    """A server with the scripted recognizer."""
    async with serve() as running:
        yield running


@pytest.fixture
async def stub(server: RunningServer) -> AsyncIterator[asr_pb2_grpc.SpeechServiceStub]:
    """A stub for that server."""
    async with stub_for(server.address) as opened:
        yield opened
