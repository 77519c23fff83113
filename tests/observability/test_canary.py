"""A secret that is said, asked for and borne appears in nothing that a server writes."""

from __future__ import annotations

import base64
import contextlib
import logging

import grpc
import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from protos.asr.v1 import asr_pb2
from service.access.token_file import Entry, hash_of
from service.app import RunningServer
from service.observability import tracing
from tests.conftest import stub_for
from tests.observability.scrape import scrape
from tests.rpc.streams import audio, config, flush, recognize
from tests.tones import pcm, tones

CANARY = "canary7f3a"
SPOKEN = "kilo lima"
"""What the scripted recognizer hears."""

TOKEN = f"asr_{CANARY}_token"
SECRETS = (CANARY, SPOKEN, "lima", hash_of(TOKEN).hex(), base64.b64encode(CANARY.encode()).decode())
SPEECH = audio(pcm(tones(SPOKEN)))


@pytest.fixture
def spans(monkeypatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "otlp_processor", lambda _: SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture
def log(monkeypatch) -> list[str]:
    """Every line of the log, as JSON and with whatever else Python logs."""
    lines: list[str] = []
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
            lambda _, __, line: lines.append(line) or line,
        ]
    )
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)
    structlog.reset_defaults()


async def everything_goes_wrong(running: RunningServer, errors: list[str]) -> None:
    """Say, ask for and bear the secret in every place where a client can put it."""
    good = (("authorization", f"Bearer {TOKEN}"), ("x-secret", CANARY))
    async with stub_for(running.address) as stub:

        async def run(messages, metadata=good) -> None:
            try:
                async for _ in stub.StreamingRecognize(messages, metadata=metadata):
                    pass
            except grpc.aio.AioRpcError as error:
                errors.append(f"{error.details()} {error.trailing_metadata()}")

        await run([config(interim_results=True), *SPEECH, flush(CANARY)])
        await run([config(phrases=[asr_pb2.Phrase(text=CANARY, boost=1)]), *SPEECH])
        await run([config(), *audio(CANARY.encode() * 100)])
        await run([config(), asr_pb2.AudioChunk()])
        for token in (f"Bearer {CANARY}", f"Basic {CANARY}", f"Bearer a.{CANARY}.c", CANARY):
            await run([config()], (("authorization", token),))
        with contextlib.suppress(grpc.aio.AioRpcError):
            await stub.Recognize(
                asr_pb2.RecognizeRequest(audio=b"RIFF" + CANARY.encode() * 50), metadata=good
            )
        call = stub.StreamingRecognize(metadata=good)
        await call.write(config())
        for message in SPEECH:
            await call.write(message)
        call.cancel()
        await running.engine.slots.wait_until_free(50)

        def fail(*_: object) -> None:
            raise OSError(CANARY)

        for model in running.engine._models.values():
            model.recognizer.open_stream = fail
        await run([config(), *SPEECH])


async def test_nothing_secret_is_written_anywhere(serve, spans, log, tmp_path, capfd):
    """Speech, phrases, flush ids, tokens, metadata: in no log, metric, span or error."""
    tokens = tmp_path / "tokens.txt"
    tokens.write_text(Entry("ann", hash_of(TOKEN), frozenset(["recognize"]), None).line() + "\n")
    settings = {
        "tokens": str(tokens),
        "metrics_listen": "127.0.0.1:0",
        "otlp_endpoint": "http://collector.example:4317",
    }
    errors: list[str] = []
    async with serve(**settings) as running:
        await everything_goes_wrong(running, errors)
        metrics = await scrape(running.metrics_address)
    written = {
        "log": "\n".join(log),
        "metrics": metrics,
        "spans": "\n".join(span.to_json() for span in spans.get_finished_spans()),
        "errors": "\n".join(errors),
        "standard output and error": "".join(capfd.readouterr()),
    }
    assert len(errors) >= 5
    assert written["log"].count("call ended") >= 10
    assert "token-ann" in written["log"]
    assert "token-ann" in written["metrics"]
    for place, text in written.items():
        for secret in SECRETS:
            # Of our own faults the log, and only that, has what the exception says.
            is_log = place in ("log", "standard output and error")
            found = text.replace(f"OSError: {CANARY}", "") if is_log else text
            assert secret not in found, (place, secret)


async def test_the_canary_sings(serve, log):
    """The test above would notice: what it looks for is what the server hears."""
    async with serve() as running, stub_for(running.address) as stub:
        transcripts = await recognize(stub, [config(), *SPEECH])
    assert SPOKEN in "".join(str(transcript) for transcript in transcripts)
    assert any("call ended" in line for line in log)
