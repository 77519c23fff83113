"""Metrics of Prometheus, on an HTTP port of their own.

Every label has few values: methods, models, reasons and kinds are lists of ours, and of
callers only so many have a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from service.core.events import Event, FinalResult
from service.engine.callers import Caller
from service.engine.observer import Decode
from service.observability.collectors import AudioSeconds, BatchSizes, Calls, Counts, Workers
from service.rpc.record import CallObserver, Metadata, Record

MAX_CALLERS = 100
"""Callers with a name in the metrics; all further ones are one."""
OTHER = "other"
ANONYMOUS = "anonymous"
"""Callers who have shown neither token nor certificate."""

WAITS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
LAGS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
DURATIONS_S = (1, 3, 10, 30, 60, 180, 600, 1_800, 3_600, 10_800, 86_400)
AMPLIFICATIONS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 50.0)
FACTORS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)


Family = TypeVar("Family", Counter, Gauge, Histogram)


@dataclass(frozen=True)
class Facts:
    """What is asked for whenever somebody looks; from another thread than the event loop's."""

    slots_taken: Callable[[], float]
    is_ready: Callable[[], float]
    log_lines_lost: Callable[[], float]
    certificate_expires_at: Callable[[], float] | None
    """Unix time; None without a certificate."""
    slots: int
    model_memory_bytes: Mapping[str, int]
    batch_sizes: Callable[[], Mapping[str, Mapping[int, int]]]
    """Of each model that batches: how many batches there have been of each size."""
    memory_bytes: Callable[[], float]
    """Of the server and its workers."""
    workers_ready: Counts
    """Of each model; none of them where the server itself decodes."""
    workers_lost: Counts


class Metrics:
    """Counts every RPC."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        # Else each series has a second one, with the time of its first value.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.calls = Calls(registry)
        self.audio = AudioSeconds(registry)
        self._callers: set[str] = set()
        self._series: dict[tuple[object, ...], Any] = {}

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(
            name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]
        ) -> Histogram:
            return Histogram(name, text, labels, registry=registry, buckets=buckets)

        self.refusals = counter("asr_refusals", "Calls that never had a slot, by reason", "reason")
        self.duration = histogram(
            "asr_call_duration_seconds", "From begin to end of a call", ("method",), DURATIONS_S
        )
        self.first_interim = histogram(
            "asr_first_interim_seconds",
            "From noticing a segment's speech to its first interim result",
            ("model",),
            WAITS_S,
        )
        self.final = histogram(
            "asr_final_seconds",
            "From the certain end of a segment to its final result",
            ("model",),
            WAITS_S,
        )
        self.queue = histogram(
            "asr_decode_queue_seconds", "Wait for a worker", ("model", "kind"), WAITS_S
        )
        self.decode = histogram(
            "asr_decode_seconds", "Time of a worker for a decode", ("model", "kind"), WAITS_S
        )
        self.decoded_audio = counter(
            "asr_decoded_audio_seconds",
            "Audio that the recognizer computed, counted as often as it did",
            "model",
            "kind",
        )
        self.factor = histogram(
            "asr_real_time_factor",
            "Time of workers for a second of audio, of each call",
            ("model",),
            FACTORS,
        )
        self.amplification = histogram(
            "asr_amplification",
            "Audio computed for a second of audio received, of each call",
            ("model",),
            AMPLIFICATIONS,
        )
        self.foreseen = counter(
            "asr_speculative_finals",
            "Finals decoded before their segment's end was certain: used or discarded",
            "model",
            "result",
        )
        self.lag = histogram(
            "asr_event_loop_lag_seconds", "By how much the event loop is late", (), LAGS_S
        )

    def began(self, record: Record, _: Metadata) -> CallObserver:
        """Count a call."""
        self.calls.begin(record.method)
        return _Call(self)

    def watch(self, facts: Facts) -> None:
        """Show what is so at the moment, too."""

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, registry=self.registry)

        gauge("asr_slots_taken", "Streams in flight").set_function(facts.slots_taken)
        gauge("asr_slots", "Streams at once, at most").set(facts.slots)
        gauge("asr_ready", "1 while new streams are welcome").set_function(facts.is_ready)
        gauge(
            "asr_log_lines_lost", "Log lines that could not be written since the start"
        ).set_function(facts.log_lines_lost)
        if facts.certificate_expires_at is not None:
            gauge(
                "asr_certificate_expiry_timestamp_seconds", "End of the server's certificate"
            ).set_function(facts.certificate_expires_at)
        memory = Gauge(
            "asr_model_memory_bytes",
            "By which loading a model made the process, or its workers, grow",
            ["model"],
            registry=self.registry,
        )
        for name, size in facts.model_memory_bytes.items():
            memory.labels(name).set(size)
        self.registry.register(BatchSizes(facts.batch_sizes))
        gauge(
            "asr_memory_bytes", "Of the server and its workers; what they share counts once"
        ).set_function(facts.memory_bytes)
        self.registry.register(Workers(facts.workers_ready, facts.workers_lost))

    def series(self, metric: Family, *labels: str) -> Family:
        """Return a metric with these labels. Finding it costs more than counting does."""
        key = (metric, *labels)
        found: Family | None = self._series.get(key)
        if found is None:
            found = self._series[key] = metric.labels(*labels)
        return found

    def caller_label(self, caller: Caller) -> str:
        """Return how a caller is called here."""
        if not caller.is_proved:
            return ANONYMOUS
        if caller.label not in self._callers:
            if len(self._callers) >= MAX_CALLERS:
                return OTHER
            self._callers.add(caller.label)
        return caller.label


@dataclass(slots=True, eq=False)
class _Call:
    metrics: Metrics
    model: str = ""

    def admitted(self, model: str, received_s: Callable[[], float]) -> None:
        self.model = model
        self.metrics.audio.add(self, model, received_s)

    def happened(self, event: Event) -> None:
        """Events are counted as what they show."""

    def shown(self, kind: type[Event], after_s: float) -> None:
        histogram = self.metrics.final if kind is FinalResult else self.metrics.first_interim
        self.metrics.series(histogram, self.model).observe(after_s)

    def decoded(self, decode: Decode) -> None:
        labels = (self.model, decode.kind.name.lower())
        metrics = self.metrics
        metrics.series(metrics.queue, *labels).observe(decode.queued_s)
        metrics.series(metrics.decode, *labels).observe(decode.ran_s)
        metrics.series(metrics.decoded_audio, *labels).inc(decode.heard_s)

    def foreseen(self, *, is_used: bool) -> None:
        result = "used" if is_used else "discarded"
        self.metrics.series(self.metrics.foreseen, self.model, result).inc()

    def fields(self) -> Mapping[str, str]:
        return {}

    def ended(self, record: Record) -> None:
        metrics = self.metrics
        metrics.audio.end(self)
        caller = metrics.caller_label(record.caller)
        metrics.calls.end(record.method, record.outcome, record.code, caller, record.received_s)
        metrics.series(metrics.duration, record.method).observe(record.duration_s)
        if not record.has_slot and record.outcome != record.code:
            metrics.series(metrics.refusals, record.outcome).inc()
        if record.real_time_factor is not None:
            metrics.series(metrics.factor, self.model).observe(record.real_time_factor)
        if record.amplification is not None:
            metrics.series(metrics.amplification, self.model).observe(record.amplification)
