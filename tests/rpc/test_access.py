"""Tokens over real connections: who gets in, to what, and for how long."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from client.access import Token
from client.stream import Client, RecognitionError, StreamingConfig
from protos.asr.v1 import asr_pb2
from service.access.token_file import Entry, hash_of
from tests.conftest import stub_for
from tests.rpc.streams import audio, config, details, text
from tests.tones import pcm, tones

SPEECH = audio(pcm(tones("alfa bravo")))


class Tokens:
    """A file of tokens, and what a call bears."""

    def __init__(self, path) -> None:
        self.path = path
        self.settings = {"tokens": str(path)}
        path.write_text("")

    def add(self, name: str, scopes: str = "recognize,list", lasts_s: float = 3_600) -> None:
        end = datetime.now(UTC) + timedelta(seconds=lasts_s)
        line = Entry(name, hash_of(f"{name}-token"), frozenset(scopes.split(",")), None).line()
        text = self.path.read_text()
        self.path.write_text(f"{text}{line.replace('never', end.isoformat())}\n")

    @staticmethod
    def of(name: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {name}-token"),)


@pytest.fixture
def tokens(tmp_path) -> Tokens:
    return Tokens(tmp_path / "tokens.txt")


async def hear(stub, name: str, messages=None) -> list[asr_pb2.Transcript]:
    call = stub.StreamingRecognize(messages or [config(), *SPEECH], metadata=Tokens.of(name))
    return [transcript async for transcript in call]


async def reason_of(call) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return details(refusal.value)[0].reason


async def test_a_token_opens_what_its_scopes_say(serve, tokens):
    """Recognizing and listing are two permissions; everything else needs none or is not there."""
    tokens.add("ann", "recognize")
    tokens.add("probe", "list")
    async with serve(**tokens.settings) as running, stub_for(running.address) as stub:
        assert text(await hear(stub, "ann")) == "alfa bravo"
        assert await stub.ListModels(asr_pb2.ListModelsRequest(), metadata=tokens.of("probe"))
        assert await reason_of(hear(stub, "probe", [config()])) == "SCOPE_MISSING"
        for name, method, request in (
            ("ann", stub.ListModels, asr_pb2.ListModelsRequest()),
            ("probe", stub.Recognize, asr_pb2.RecognizeRequest()),
        ):
            assert await reason_of(method(request, metadata=tokens.of(name))) == "SCOPE_MISSING"


async def test_a_stranger_is_refused_before_anything_else(serve, tokens):
    """Neither load, slots, quotas nor models are told to who has no token."""
    settings = tokens.settings | {"max_streams": 1, "max_starts_per_caller": 0.001}
    async with serve(**settings) as running, stub_for(running.address) as stub:
        running.engine.slots.drain()
        for _ in range(5):
            assert await reason_of(hear(stub, "nobody", [config(model="?")])) == "TOKEN_INVALID"
            assert await reason_of(stub.ListModels(asr_pb2.ListModelsRequest())) == "TOKEN_MISSING"
        two = (*tokens.of("a"), *tokens.of("b"))
        assert await reason_of(stub.Recognize(asr_pb2.RecognizeRequest(), metadata=two)) == (
            "TOKEN_INVALID"
        )


async def test_health_needs_no_token_and_reflection_does(serve, tokens):
    """Probes have no tokens; who may list models may look at the contract as well."""
    tokens.add("ann", "recognize")
    tokens.add("probe", "list")
    async with (
        serve(**tokens.settings) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "liveness", "readiness", "asr.v1.SpeechService"):
            response = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert response.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)

        async def look(metadata) -> int:
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            call = reflection.ServerReflectionInfo([request], metadata=metadata)
            return len([response async for response in call])

        assert await look(tokens.of("probe")) == 1
        assert await reason_of(look(())) == "TOKEN_MISSING"
        assert await reason_of(look(tokens.of("ann"))) == "SCOPE_MISSING"


async def test_a_caller_is_its_token(serve, tokens):
    """Quotas are a token's own, from whatever address; the log knows its name and not itself."""
    tokens.add("ann")
    tokens.add("bob")
    settings = tokens.settings | {"max_streams_per_caller": 1}
    async with serve(**settings) as running, stub_for(running.address) as stub:
        call = stub.StreamingRecognize(metadata=tokens.of("ann"))
        await call.write(config())
        await call.read()
        assert await reason_of(hear(stub, "ann", [config()])) == "STREAM_QUOTA_EXCEEDED"
        assert text(await hear(stub, "bob")) == "alfa bravo"
        [record] = running.servicer.ledger.open
        assert (record.caller.identity, record.caller.label) == ("token:ann", "token-ann")
        call.cancel()


async def test_tokens_come_and_go_while_the_server_runs(serve, tokens):
    """A line that is added counts at once, and one that is gone soon counts no more."""
    async with serve(**tokens.settings) as running, stub_for(running.address) as stub:
        assert await reason_of(hear(stub, "ann", [config()])) == "TOKEN_INVALID"
        tokens.add("ann")
        assert text(await hear(stub, "ann")) == "alfa bravo"
        tokens.path.write_text("")

        async def hear_until_refused() -> None:
            while True:
                await hear(stub, "ann", [config()])

        assert await reason_of(hear_until_refused()) == "TOKEN_INVALID"


async def test_a_token_that_expires_ends_its_stream_in_good_order(serve, tokens):
    """The stream is told, what it said is made final, and then it ends with TOKEN_EXPIRED."""
    settings = tokens.settings | {"notice_s": 1.0}
    async with serve(**settings) as running, stub_for(running.address) as stub:
        tokens.add("ann", lasts_s=6)

        # Who still writes when the end comes may be told of that instead, by grpc.aio itself.
        async def say_and_wait():
            for message in (config(), *SPEECH):
                yield message
            await asyncio.get_running_loop().create_future()

        transcripts = []
        with pytest.raises(grpc.aio.AioRpcError) as end:  # noqa: PT012 - what came before counts
            call = stub.StreamingRecognize(say_and_wait(), metadata=tokens.of("ann"))
            async for transcript in call:
                transcripts.append(transcript)  # noqa: PERF401 - kept when the iteration raises
    assert text(transcripts) == "alfa bravo"
    endings = [t.stream_ending.reason for t in transcripts if t.HasField("stream_ending")]
    assert endings == ["TOKEN_EXPIRED"] == [details(end.value)[0].reason]
    assert end.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_stream_may_outlive_its_token_where_the_server_allows(serve, tokens):
    """With --max-expired-s a stream goes on; only the next one needs a new token."""
    settings = tokens.settings | {"max_expired_s": 60, "notice_s": 0}
    async with serve(**settings) as running, stub_for(running.address) as stub:
        tokens.add("ann", lasts_s=4)

        async def outlive():
            yield config()
            with pytest.raises(grpc.aio.AioRpcError):  # noqa: PT012 - until then they succeed
                while True:
                    await stub.ListModels(asr_pb2.ListModelsRequest(), metadata=tokens.of("ann"))
            for message in SPEECH:
                yield message

        transcripts = await hear(stub, "ann", outlive())
        assert text(transcripts) == "alfa bravo"
        assert await reason_of(hear(stub, "ann", [config()])) == "TOKEN_EXPIRED"


async def test_the_clients_say_what_to_do(serve, tokens):
    """Refusals of tokens come with advice that names the options of the client programs."""
    tokens.add("ann", lasts_s=-1)
    async with serve(**tokens.settings) as running:
        for token, advice in (
            (None, "name your token by --token-file FILE or in ASR_TOKEN"),
            (Token("wrong"), "check the token of --token-file or ASR_TOKEN"),
            (Token("ann-token"), "get a new token"),
        ):
            async with Client(running.address, token=token) as client:
                with pytest.raises(RecognitionError, match=advice):
                    async with client.stream(StreamingConfig()):
                        pass
