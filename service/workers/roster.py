"""Which workers there are, for whoever wants to know: health and metrics."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping


class Roster:
    """The workers that are ready, by model. May be used from any thread."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        """Begin with nobody; ``on_change`` is called, in any thread, when one comes or goes."""
        self._on_change = on_change
        self._lock = threading.Lock()
        self._ready: dict[str, frozenset[int]] = {}
        self._losses: Counter[str] = Counter()

    @property
    def ready(self) -> Mapping[str, frozenset[int]]:
        """The process ids of each model's workers."""
        with self._lock:
            return dict(self._ready)

    @property
    def losses(self) -> Mapping[str, int]:
        """How often a worker of each model has ended unasked."""
        with self._lock:
            return {model: self._losses[model] for model in self._ready}

    @property
    def deserted(self) -> frozenset[str]:
        """The models that have none."""
        return frozenset(model for model, pids in self.ready.items() if not pids)

    def joined(self, model: str, pid: int) -> None:
        """Note that a worker is ready."""
        with self._lock:
            self._ready[model] = self._ready.get(model, frozenset()) | {pid}
        self._on_change()

    def left(self, model: str, pid: int, *, is_loss: bool) -> None:
        """Note that a worker has ended; a loss was not asked for."""
        with self._lock:
            self._ready[model] = self._ready.get(model, frozenset()) - {pid}
            self._losses[model] += is_loss
        self._on_change()
