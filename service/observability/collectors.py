"""Metrics that are asked for when somebody looks, and otherwise cost nothing."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

Counts = Callable[[], Mapping[str, int]]
"""A number for each model."""

GRPC_SERVICE = "asr.v1.SpeechService"
GRPC_TYPE = {"StreamingRecognize": "bidi_stream"}
UNARY = "unary"
GRPC_LABELS = ("grpc_type", "grpc_service", "grpc_method")

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Workers(Collector):
    """The processes that decode, as they are when somebody looks."""

    def __init__(self, ready: Counts, lost: Counts) -> None:
        """Ask these, from the thread of whoever looks."""
        self._ready = ready
        self._lost = lost

    def collect(self) -> Iterable[Metric]:
        """Return their numbers."""
        ready = GaugeMetricFamily(
            "asr_workers_ready", "Processes that decode, by model", labels=["model"]
        )
        lost = CounterMetricFamily(
            "asr_workers_lost", "Processes that died and were to be replaced", labels=["model"]
        )
        for family, counts in (
            (ready, self._ready()),
            (lost, self._lost()),
        ):
            for model, number in counts.items():
                family.add_metric([model], number)
        return [ready, lost]


class Calls(Collector):
    """How many calls have begun, and how they have ended; by our names and by common ones.

    Kept in dictionaries, since each call is counted many times over, and each metric of the
    library has a lock.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """Begin with none."""
        self._began: defaultdict[str, int] = defaultdict(int)
        self._ended: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._callers: defaultdict[str, int] = defaultdict(int)
        self._audio_s: defaultdict[str, float] = defaultdict(float)
        registry.register(self)

    def begin(self, method: str) -> None:
        """Count a call that begins."""
        self._began[method] += 1

    def end(self, method: str, outcome: str, code: str, caller: str, audio_s: float) -> None:
        """Count it when it has ended."""
        self._ended[method, outcome, code] += 1
        self._callers[caller] += 1
        self._audio_s[caller] += audio_s

    def collect(self) -> Iterable[Metric]:
        """Return the numbers."""
        # In this order, lest more seem to have ended than have begun.
        ended = self._ended.copy()
        began = self._began.copy()
        running = GaugeMetricFamily("asr_calls_open", "Calls that run", labels=["method"])
        started = CounterMetricFamily(
            "grpc_server_started", "RPCs that were begun", labels=GRPC_LABELS
        )
        for method, number in began.items():
            over = sum(count for (name, _, _), count in ended.items() if name == method)
            running.add_metric([method], number - over)
            started.add_metric(_grpc_labels(method), number)
        calls = CounterMetricFamily(
            "asr_calls",
            "Calls that have ended, by outcome: OK, CANCELLED or a reason",
            labels=["method", "outcome"],
        )
        codes: defaultdict[tuple[str, str], int] = defaultdict(int)
        for (method, outcome, code), number in ended.items():
            calls.add_metric([method, outcome], number)
            codes[method, code] += number
        handled = CounterMetricFamily(
            "grpc_server_handled", "RPCs by code", labels=[*GRPC_LABELS, "grpc_code"]
        )
        for (method, code), number in codes.items():
            handled.add_metric([*_grpc_labels(method), code], number)
        callers = CounterMetricFamily("asr_caller_calls", "Calls, by caller", labels=["caller"])
        audio = CounterMetricFamily(
            "asr_caller_audio_seconds",
            "Audio of calls that have ended, by caller",
            labels=["caller"],
        )
        for caller, number in self._callers.copy().items():
            callers.add_metric([caller], number)
        for caller, seconds in self._audio_s.copy().items():
            audio.add_metric([caller], seconds)
        return [running, started, calls, handled, callers, audio]


def _grpc_labels(method: str) -> list[str]:
    return [GRPC_TYPE.get(method, UNARY), GRPC_SERVICE, method]


class AudioSeconds(Collector):
    """Audio that has come, also that of calls that still run.

    Asked of the streams when somebody looks, so that no message costs anything.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._ended: defaultdict[str, float] = defaultdict(float)
        self._open: dict[object, tuple[str, Callable[[], float]]] = {}
        registry.register(self)

    def add(self, call: object, model: str, received_s: Callable[[], float]) -> None:
        """Count a stream from now on."""
        with self._lock:
            self._open[call] = (model, received_s)

    def end(self, call: object) -> None:
        """Keep what a stream has brought; without one, nothing."""
        with self._lock:
            model, received_s = self._open.pop(call, ("", float))
            if model:
                self._ended[model] += received_s()

    def collect(self) -> Iterable[Metric]:
        """Return the sums."""
        family = CounterMetricFamily("asr_audio_seconds", "Audio received", labels=["model"])
        # So that no call is counted twice or not at all while it ends.
        with self._lock:
            sums = self._ended.copy()
            for model, received_s in self._open.values():
                sums[model] += received_s()
        for model, seconds in sums.items():
            family.add_metric([model], seconds)
        return [family]


class BatchSizes(Collector):
    """Sizes of batches, as recognizers have counted them.

    Asked of them when somebody looks: a recognizer knows nothing of metrics.
    """

    def __init__(self, batch_sizes: Callable[[], Mapping[str, Mapping[int, int]]]) -> None:
        """Ask this, from the thread of whoever looks."""
        self._batch_sizes = batch_sizes

    def collect(self) -> Iterable[Metric]:
        """Return a histogram for each model."""
        family = HistogramMetricFamily(
            "asr_batch_size", "Decodes that were computed at once", labels=["model"]
        )
        for model, sizes in self._batch_sizes().items():
            bounds = [(str(float(bound)), bound) for bound in BATCHES]
            buckets = [
                (name, sum(count for size, count in sizes.items() if size <= bound))
                for name, bound in [*bounds, ("+Inf", math.inf)]
            ]
            total = sum(size * count for size, count in sizes.items())
            family.add_metric([model], buckets, sum_value=total)
        return [family]
