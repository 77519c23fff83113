"""Traces of OpenTelemetry: a span for each call, and under it its segments and decodes.

A caller's own trace is taken up from its metadata (``traceparent``, W3C Trace Context). Where
spans go, and how many, is said by the standard variables ``OTEL_…``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.core.events import Event, SpeechEnded, SpeechStarted
from service.engine.observer import Decode
from service.rpc.record import CANCELLED, OK, CallObserver, Metadata, Record

SERVICE_NAME = "streaming-speech"
GRPC_SERVICE = "asr.v1.SpeechService"
W3C = ("traceparent", "tracestate")
NANOSECONDS = 1_000_000_000


def otlp_processor(endpoint: str) -> SpanProcessor:
    """Return what sends spans to a collector, by OTLP over gRPC, in a thread of its own."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint))


class Tracing:
    """Makes spans of every RPC."""

    def __init__(self, processor: SpanProcessor) -> None:
        """Give finished spans to this processor."""
        # Variables such as OTEL_SERVICE_NAME go before what stands here.
        resource = Resource.create({"service.name": SERVICE_NAME}).merge(Resource.create())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("service.observability")
        self._propagator = TraceContextTextMapPropagator()

    def began(self, record: Record, metadata: Metadata) -> CallObserver:
        """Begin the span of a call, in its caller's trace if it has one."""
        carrier = {key: value for key, value in metadata if key in W3C and isinstance(value, str)}
        span = self._tracer.start_span(
            f"{GRPC_SERVICE}/{record.method}",
            self._propagator.extract(carrier, Context()),
            SpanKind.SERVER,
            {
                "rpc.system.name": "grpc",
                "rpc.method": f"{GRPC_SERVICE}/{record.method}",
                "asr.call_id": record.call_id,
            },
        )
        return _Call(self._tracer, span)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class _Segment:
    """The span of a segment, which ends when the last thing done for it has ended."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.context = trace.set_span_in_context(span, Context())
        self.until_ns = time.time_ns()

    def end(self) -> None:
        self.span.end(self.until_ns)


class _Call:
    def __init__(self, tracer: trace.Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = trace.set_span_in_context(span, Context())
        self._segments: dict[int, _Segment] = {}
        self._next_segment_id = 0

    def admitted(self, model: str, _: Callable[[], float]) -> None:
        self._span.set_attribute("asr.model", model)
        self._span.add_event("admitted")

    def happened(self, event: Event) -> None:
        match event:
            case SpeechStarted():
                self._segment(self._next_segment_id)
            case SpeechEnded():
                self._segment(self._next_segment_id).until_ns = time.time_ns()
                self._next_segment_id += 1

    def shown(self, kind: type[Event], after_s: float) -> None:
        self._span.add_event(kind.__name__, {"after_s": after_s})

    def decoded(self, decode: Decode) -> None:
        # Decodes are in the order of their segments, while speech is ahead of them.
        for old in [old for old in self._segments if old < decode.segment_id]:
            self._segments.pop(old).end()
        segment = self._segment(decode.segment_id)
        end_ns = time.time_ns()
        span = self._tracer.start_span(
            "decode",
            segment.context,
            attributes={
                "asr.decode.kind": decode.kind.name.lower(),
                "asr.decode.heard_s": decode.heard_s,
                "asr.decode.queued_s": decode.queued_s,
            },
            start_time=end_ns - round(decode.ran_s * NANOSECONDS),
        )
        span.end(end_ns)
        segment.until_ns = end_ns

    def foreseen(self, *, is_used: bool) -> None:
        self._span.add_event("speculative final", {"used": is_used})

    def fields(self) -> Mapping[str, str]:
        context = self._span.get_span_context()
        return {"trace_id": trace.format_trace_id(context.trace_id)} if context.is_valid else {}

    def ended(self, record: Record) -> None:
        for segment in self._segments.values():
            segment.end()
        self._segments.clear()
        self._span.set_attributes(
            {
                "enduser.id": record.caller.label,
                "rpc.response.status_code": record.code,
                "asr.outcome": record.outcome,
                "asr.audio_s": record.received_s,
                "asr.finals": record.finals,
            }
        )
        if record.outcome not in (OK, CANCELLED):
            self._span.set_attribute("error.type", record.outcome)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    def _segment(self, segment_id: int) -> _Segment:
        """Return the span of a segment."""
        segment = self._segments.get(segment_id)
        if segment is None:
            span = self._tracer.start_span(
                "segment", self._context, attributes={"asr.segment_id": segment_id}
            )
            segment = self._segments[segment_id] = _Segment(span)
        return segment
