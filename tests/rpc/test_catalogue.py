"""Every reason of the catalogue, reached over a real connection."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2

from protos.asr.v1 import asr_pb2, asr_pb2_grpc
from scripts.errors_page import PAGE, render
from service import app
from service.access.token_file import Entry, hash_of
from service.app import RunningServer, load_engine
from service.core.errors import ClientError
from service.engine.refusals import EngineFailedError, RefusalError
from service.rpc.catalogue import CATALOGUE
from service.settings import Settings
from service.workers.roster import Roster
from tests.conftest import stub_for
from tests.rpc.streams import audio, config, details, flush, recognize, until
from tests.tones import pcm, quiet, tones

Stub = asr_pb2_grpc.SpeechServiceStub

SPEECH = audio(pcm(tones("alfa bravo charlie")))
RECORDING = pcm(np.tile(np.concatenate([tones("alfa"), quiet(1_500)]), 20))


async def _idle_after(stub: Stub, *messages: asr_pb2.AudioChunk) -> None:
    """Send messages and no more: who writes to a call that has just ended is told INTERNAL."""
    call = stub.StreamingRecognize()
    for message in messages:
        await call.write(message)
    async for _ in call:
        pass


async def _unread(stub: Stub, running: RunningServer) -> None:
    """Send flushes whose answers are not read; read once the server has given up."""
    call = stub.StreamingRecognize()
    await call.write(config())

    async def flood() -> None:
        while not call.done():
            await call.write(flush("x" * 128))

    flooding = asyncio.create_task(flood())
    await until(lambda: running.servicer.ledger.open)
    await until(lambda: not running.servicer.ledger.open)
    try:
        async for _ in call:
            pass
    finally:
        await asyncio.gather(flooding, return_exceptions=True)


@asynccontextmanager
async def _open(stub: Stub) -> AsyncIterator[None]:
    """Hold a stream open."""
    call = stub.StreamingRecognize()
    await call.write(config())
    await call.read()
    try:
        yield
    finally:
        call.cancel()


async def _second(stub: Stub, _: RunningServer) -> None:
    async with _open(stub):
        await recognize(stub, [config()])


async def _burst(stub: Stub, _: RunningServer) -> None:
    for _ in range(3):
        await recognize(stub, [config()])


async def _no_method(_: Stub, running: RunningServer) -> None:
    async with grpc.aio.insecure_channel(running.address) as channel:
        await channel.unary_unary("/asr.v1.SpeechService/Sing")(b"")


async def _malformed(_: Stub, running: RunningServer) -> None:
    async with grpc.aio.insecure_channel(running.address) as channel:
        await channel.unary_unary("/asr.v1.SpeechService/Recognize")(b"\xff\xff\xff")


async def _engine_failed(stub: Stub, running: RunningServer) -> None:
    running.engine.slots.refuse(EngineFailedError)
    await recognize(stub, [config()])


async def _no_worker(stub: Stub, running: RunningServer) -> None:
    for model in running.engine._models.values():
        await asyncio.to_thread(model.recognizer.close)
    await recognize(stub, [config()])


async def _draining(stub: Stub, running: RunningServer) -> None:
    running.engine.slots.drain()
    await recognize(stub, [config()])


async def _internal(stub: Stub, running: RunningServer) -> None:
    def fail(*_: object) -> None:
        raise OSError("/srv/models/secret")

    for model in running.engine._models.values():
        model.recognizer.open_stream = fail
    await _idle_after(stub, config())


async def _loading(stub: Stub, running: RunningServer) -> None:
    running.servicer._engine = None
    await recognize(stub, [config()])


def _messages(*messages: asr_pb2.AudioChunk) -> Callable[[Stub, RunningServer], Awaitable[None]]:
    async def run(stub: Stub, _: RunningServer) -> None:
        await _idle_after(stub, *messages)

    return run


def _with_token(
    token: str | None, scopes: str = "recognize", ends: str = "never"
) -> tuple[dict[str, object], Callable[[Stub, RunningServer], Awaitable[None]]]:
    """Return settings that know a token, and a call that bears some token."""
    known = Entry("ann", hash_of("good"), frozenset(scopes.split(",")), None).line()
    file = Path(tempfile.mkdtemp()) / "tokens.txt"
    file.write_text(known.replace("never", ends))
    metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def run(stub: Stub, _: RunningServer) -> None:
        call = stub.StreamingRecognize([config()], metadata=metadata)
        async for _ in call:
            pass

    return {"tokens": str(file)}, run


WAYS: dict[str, tuple[dict[str, object], Callable[[Stub, RunningServer], Awaitable[None]]]] = {
    # Settings, and what is then done.
    "INVALID_FIELD": ({}, _messages(config(max_alternatives=99))),
    "PROTOCOL_VIOLATION": ({}, _messages(config(), config())),
    "MALFORMED_MESSAGE": ({}, _malformed),
    "INVALID_AUDIO": ({}, _messages(config(), *audio(b"RIFF" + bytes(99)))),
    "UNKNOWN_MODEL": ({}, _messages(config(model="x" * 100_000))),
    "UNKNOWN_METHOD": ({}, _no_method),
    "TOKEN_MISSING": _with_token(None),
    "TOKEN_INVALID": _with_token("bad"),
    "TOKEN_EXPIRED": _with_token("good", ends="2020-01-01T00:00:00Z"),
    "SCOPE_MISSING": _with_token("good", scopes="list"),
    "STREAM_QUOTA_EXCEEDED": ({"max_streams_per_caller": 1}, _second),
    "RATE_QUOTA_EXCEEDED": ({"max_starts_per_caller": 0.001}, _burst),
    "STREAM_TOO_LONG": ({"max_stream_s": 0.3}, lambda stub, _: _idle_after(stub, config())),
    "RECORDING_TOO_SLOW": (
        {"max_recognize_s": 0.2, "model": ["scripted?delay_ms=100"]},
        lambda stub, _: stub.Recognize(asr_pb2.RecognizeRequest(audio=RECORDING)),
    ),
    "STREAM_IDLE": ({"idle_s": 4.0}, lambda stub, _: _idle_after(stub, config(), *SPEECH)),
    "RESULTS_UNREAD": ({"idle_s": 4.0}, _unread),
    "FIRST_MESSAGE_LATE": ({"first_message_s": 0.2}, lambda stub, _: _idle_after(stub)),
    "SERVER_FULL": ({"max_streams": 1}, _second),
    "LOADING": ({}, _loading),
    "DRAINING": ({}, _draining),
    "WORKER_FAILED": ({"workers": 1}, _no_worker),
    "ENGINE_FAILED": ({}, _engine_failed),
    "INTERNAL": ({}, _internal),
}


@pytest.mark.parametrize("reason", CATALOGUE)
async def test_every_reason_is_reached(serve, reason):
    """Each failure has its code, its reason in ErrorInfo, its details, and a sentence."""
    settings, fail = WAYS[reason]
    async with serve(**settings) as running, stub_for(running.address) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await fail(stub, running)
        error, entry = failure.value, CATALOGUE[reason]
        info, by_name = details(error)
        assert (info.reason, info.domain) == (reason, "asr.v1")
        assert error.code() is entry.code
        assert set(by_name) == {"ErrorInfo", *entry.details}
        assert len(error.details()) > 20
        assert "secret" not in str(error)
        assert "Error" not in error.details()
        if "RetryInfo" in entry.details:
            retry = error_details_pb2.RetryInfo.FromString(by_name["RetryInfo"])
            pushback = dict(error.trailing_metadata())["grpc-retry-pushback-ms"]
            assert retry.retry_delay.ToMilliseconds() == int(pushback) > 0
        if "QuotaFailure" in entry.details:
            quota = error_details_pb2.QuotaFailure.FromString(by_name["QuotaFailure"])
            assert quota.violations[0].subject in ("streams", "stream_starts")
        await running.engine.slots.wait_until_free(50)
        assert running.engine.slots.taken == 0


def test_every_exception_has_a_reason_of_the_catalogue():
    """Whatever the core or the engine raises for a client is in the table, and nothing else is."""
    abstract = {"INVALID_REQUEST", "REFUSED", "UNAVAILABLE"}
    reasons = {error.reason for base in (ClientError, RefusalError) for error in _all(base)}
    transport = {"UNKNOWN_METHOD", "INTERNAL"}
    assert reasons - abstract | transport == set(CATALOGUE)
    assert all(re.fullmatch("[A-Z][A-Z_]{1,62}", reason) for reason in CATALOGUE)


def _all(error: type) -> set[type]:
    return {error}.union(*(_all(derived) for derived in error.__subclasses__()))


def test_the_page_is_the_catalogue():
    """docs/errors.md is what `python -m scripts.errors_page` writes."""
    assert PAGE.read_text(encoding="utf-8") == render()


async def test_a_loading_server_refuses_and_says_that_it_lives(serve, monkeypatch):
    """Before its models are loaded a server listens, answers LOADING, and is not ready."""
    loading, loaded = asyncio.Event(), asyncio.Event()

    async def wait(settings: Settings, roster: Roster):
        loading.set()
        await loaded.wait()
        return await load_engine(settings, roster)

    monkeypatch.setattr(app, "load_engine", wait)
    addresses: list[str] = []
    bind = app.bind
    monkeypatch.setattr(app, "bind", lambda *args: addresses.append(bind(*args)) or addresses[-1])

    async def run() -> None:
        async with serve() as running, stub_for(running.address) as stub:
            assert await recognize(stub, [config()])

    running = asyncio.create_task(run())
    await loading.wait()
    async with stub_for(addresses[0]) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await recognize(stub, [config()])
        assert details(refusal.value)[0].reason == "LOADING"
    loaded.set()
    await running


async def test_a_long_message_still_fits_into_the_headers(stub):
    """A name of any length and in any script comes back cut, not as a broken status."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await recognize(stub, [config(language_code="ж" * 50_000)])
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(refusal.value.details()) < 500
