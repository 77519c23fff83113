"""What a server uses while streams run: processor time, memory, audio decoded."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.request import urlopen

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.load_figures import Cost
from benchmarks.support import Server

SAMPLE_EVERY_S = 0.5
RECEIVED = "asr_audio_seconds_total"
DECODED = "asr_decoded_audio_seconds_total"
INTERIM = "interim"
"""How the kinds of decodes end that are for interims."""

IDLE_SHARE = 0.05
"""Of one core: a server that uses less has nothing to do."""
SETTLE_S = 30.0


class Watch:
    """Looks at one server; what it does not know of it is None."""

    def __init__(self, server: Server | None, metrics: str = "") -> None:
        """Take the process, and where the metrics are (HOST:PORT, or empty)."""
        self._server = server
        self._metrics = metrics
        self._idle_bytes: int | None = None
        self.cost = Cost()
        """Of the last block that was watched."""
        self._samples: list[int] = []

    def take_baseline(self) -> None:
        """Take what it holds now for what it holds without streams."""
        if self._server is not None:
            self._idle_bytes = self._server.resident_bytes

    def settle(self) -> None:
        """Wait until the server has nothing to do, for SETTLE_S at most."""
        if self._server is None:
            return
        end_s = time.monotonic() + SETTLE_S
        used_s = self._server.cpu_s
        while time.monotonic() < end_s:
            time.sleep(SAMPLE_EVERY_S)
            before_s, used_s = used_s, self._server.cpu_s
            if used_s - before_s < IDLE_SHARE * SAMPLE_EVERY_S:
                break

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Measure what the block costs."""
        before_s = self._server.cpu_s if self._server is not None else 0.0
        audio_before = self._audio()
        self._samples = []
        is_over = threading.Event()
        watcher = threading.Thread(target=self._watch_memory, args=(is_over,))
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()
        cpu_s = self._server.cpu_s - before_s if self._server is not None else None
        memory = None
        if self._samples and self._idle_bytes is not None:
            memory = max(self._samples) - self._idle_bytes
        received, interims, finals = (
            None if before is None or after is None else after - before
            for before, after in zip(audio_before, self._audio(), strict=True)
        )
        self.cost = Cost(cpu_s, memory, received, interims, finals)

    def _watch_memory(self, is_over: threading.Event) -> None:
        while self._server is not None and not is_over.wait(SAMPLE_EVERY_S):
            # A child may end while it is looked at; the next look is soon.
            with suppress(psutil.NoSuchProcess):
                self._samples.append(self._server.resident_bytes)

    def _audio(self) -> tuple[float | None, float | None, float | None]:
        if not self._metrics:
            return None, None, None
        with urlopen(f"http://{self._metrics}/metrics", timeout=10) as response:
            return audio_of(response.read().decode())


def audio_of(exposition: str) -> tuple[float, float, float]:
    """Return seconds of audio received, decoded for interims, and decoded for finals."""
    received = interims = finals = 0.0
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == RECEIVED:
                received += sample.value
            elif sample.name == DECODED and sample.labels["kind"].endswith(INTERIM):
                interims += sample.value
            elif sample.name == DECODED:
                finals += sample.value
    return received, interims, finals


def free_address() -> str:
    """Return an address of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"
