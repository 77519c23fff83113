"""Traces of a server that does something."""

from __future__ import annotations

import json
import subprocess
import sys

import grpc
import numpy as np
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from protos.asr.v1 import asr_pb2
from service.observability import tracing
from service.process import ExitStatus, StartError
from tests.conftest import stub_for
from tests.rpc.streams import audio, config, recognize
from tests.tones import pcm, quiet, tones

SPEECH = pcm(np.concatenate([tones("alfa bravo"), quiet(1_500), tones("charlie")]))
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def exporter(monkeypatch) -> InMemorySpanExporter:
    """Spans come here instead of going to a collector."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "otlp_processor", lambda _: SimpleSpanProcessor(exporter))
    return exporter


TRACED = {"otlp_endpoint": "http://collector.example:4317"}


@pytest.mark.parametrize("model", ["scripted", "scripted?delay_ms=200"])
async def test_a_stream_is_a_tree_of_spans(serve, exporter, model):
    """One span for the stream, under it its segments, under them their decodes.

    Also where speech is ahead of its decodes.
    """
    metadata = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
    async with serve(**TRACED, model=[model]) as running, stub_for(running.address) as stub:
        messages = [config(interim_results=True), *audio(SPEECH)]
        async for _ in stub.StreamingRecognize(messages, metadata=metadata):
            pass
        [root] = [s for s in exporter.get_finished_spans() if s.name.endswith("Recognize")]
        spans = exporter.get_finished_spans()
    assert root.name == "asr.v1.SpeechService/StreamingRecognize"
    assert f"{root.context.trace_id:032x}" == TRACE
    assert f"{root.parent.span_id:016x}" == PARENT
    assert root.attributes["asr.outcome"] == root.attributes["rpc.response.status_code"] == "OK"
    segments = [span for span in spans if span.name == "segment"]
    decodes = [span for span in spans if span.name == "decode"]
    assert sorted(s.attributes["asr.segment_id"] for s in segments) == [0, 1]
    assert {s.parent.span_id for s in segments} == {root.context.span_id}
    assert {s.parent.span_id for s in decodes} == {s.context.span_id for s in segments}
    by_id = {span.context.span_id: span for span in spans}
    for span in (*segments, *decodes):
        parent = by_id[span.parent.span_id]
        assert span.start_time <= span.end_time <= parent.end_time
    assert {span.context.trace_id for span in spans} == {root.context.trace_id}


async def test_a_failure_is_an_error_with_its_reason(serve, exporter):
    """The span of a refused call says why; a caller without a trace gets one of its own."""
    async with serve(**TRACED) as running, stub_for(running.address) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await recognize(stub, [config(model="?")])
        await stub.ListModels(asr_pb2.ListModelsRequest(), metadata=(("traceparent", "junk"),))
    failed, listed = exporter.get_finished_spans()
    assert failed.attributes["error.type"] == "UNKNOWN_MODEL"
    assert failed.attributes["rpc.response.status_code"] == "NOT_FOUND"
    assert not failed.status.is_ok
    assert listed.parent is None
    assert listed.status.is_ok


async def test_the_log_names_the_trace(serve, exporter, capsys):
    """From a line in the log one finds the trace."""
    async with serve(**TRACED) as running, stub_for(running.address) as stub:
        await recognize(stub, [config()])
    [root] = exporter.get_finished_spans()
    assert f"trace_id={root.context.trace_id:032x}" in capsys.readouterr().out


async def test_without_the_extra_the_start_says_what_to_install(serve, monkeypatch):
    """OpenTelemetry is wanted only by who wants traces."""
    monkeypatch.setitem(sys.modules, "service.observability.tracing", None)
    with pytest.raises(StartError, match=r"pip install .*\[otel\]") as refusal:
        async with serve(**TRACED):
            pass
    assert refusal.value.status is ExitStatus.WRONG_SETTINGS


def test_off_loads_nothing():
    """Who wants neither metrics nor traces does not pay for their libraries."""
    code = "import sys, json, service.app; print(json.dumps([*sys.modules]))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    roots = {name.partition(".")[0] for name in json.loads(loaded.stdout)}
    assert not roots & {"opentelemetry", "prometheus_client"}
