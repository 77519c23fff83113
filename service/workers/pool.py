"""The workers of one model: kept at their number, and each decode given to one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from service.engine.refusals import WorkerFailedError
from service.recognizers.base import ModelUnavailableError
from service.workers.memory import weights_file
from service.workers.messages import Loaded
from service.workers.roster import Roster
from service.workers.worker import Launch, Worker

log = structlog.get_logger()


@dataclass(slots=True)
class Backoff:
    """How long to wait before a worker is replaced.

    Not at all the first time; each time that the next one does not live long either, twice as
    long, so that a model which kills its workers does not take the machine with it. Not long
    in the end: what kills them may be the audio of one client, and all others wait as well.
    """

    first_s: float = 0.5
    most_s: float = 5.0
    long_life_s: float = 60.0
    _next_s: float = 0.0

    def delay_s(self, lived_s: float) -> float:
        """Return the time to wait after a worker that was ready for so long."""
        if lived_s >= self.long_life_s:
            self._next_s = 0.0
        delay_s = self._next_s
        self._next_s = min(self.most_s, max(self.first_s, 2 * delay_s))
        return delay_s


class WorkerPool:
    """Keeps so many workers of a model. May be used from any thread."""

    def __init__(self, model: str, launch: Launch, size: int, roster: Roster) -> None:
        """Start them; returns when all are ready.

        One loads the model before the others: it may have to download it, what it measures in
        order to choose from is taken by the others as it was found, and what they have loaded
        as well they hold where it does.

        Raises:
            ModelUnavailableError: one cannot load the model.
        """
        self._model = model
        self._launch = launch
        self._roster = roster
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._processes: dict[int, Worker] = {}
        self._ready: list[Worker] = []
        self._past_batch_sizes: Counter[int] = Counter()
        # Each worker has a thread that starts it and outlives it, see ``lifetime``.
        self._keepers: list[threading.Thread] = []
        self._weights = weights_file() if size > 1 else None
        self._first: Future[Loaded] = Future()
        """What the first one has loaded; all that come later are held to it."""
        try:
            first = self._add_keeper(self._first).result()
            self._launch = launch.settled(first.settled_options)
            loads = [self._add_keeper(Future()) for _ in range(1, size)]
            loaded = [first, *(load.result() for load in loads)]
        except BaseException:
            self.close()
            raise
        self.capabilities = first.capabilities
        """What the model can do."""
        self.memory_bytes = sum(each.memory_bytes for each in loaded)
        """By which loading it made the workers grow, in sum."""

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """How many batches there have been of each size, in those that have gone as well."""
        with self._lock:
            sizes = self._past_batch_sizes.copy()
            for worker in self._ready:
                sizes.update(worker.batch_sizes)
        return sizes

    def check(self) -> None:
        """See whether there is a worker.

        Raises:
            WorkerFailedError: none is ready.
        """
        with self._lock:
            self._choice(None)

    @contextmanager
    def placed(self, home: Worker | None) -> Iterator[Worker]:
        """Choose the worker of a decode, and count it as running there.

        A model that carries state hears a segment where its state is, and a new segment where
        the fewest are being heard. For others the least busy worker is best; of those that are
        alike, the one that has heard the segment before.

        Raises:
            WorkerFailedError: none is ready.
        """
        with self._lock:
            worker = self._choice(home)
            worker.running += 1
        try:
            yield worker
        finally:
            with self._lock:
                worker.running -= 1

    def close(self) -> None:
        """End all workers. Idempotent."""
        with self._lock:
            self._closing.set()
            workers = list(self._processes.values())
        for worker in workers:
            worker.end()
        for keeper in self._keepers:
            keeper.join()
        if self._weights is not None:
            self._weights.close()

    def _choice(self, home: Worker | None) -> Worker:
        usable = [worker for worker in self._ready if worker.is_usable]
        if not usable:
            raise WorkerFailedError
        keeps_state = self.capabilities.native_streaming
        least = min(worker.running for worker in usable)
        if home is not None and home.is_usable and (keeps_state or home.running == least):
            return home
        if keeps_state:
            return min(usable, key=lambda worker: (worker.streams, worker.running))
        return min(usable, key=lambda worker: (worker.running, worker.streams))

    def _add_keeper(self, load: Future[Loaded]) -> Future[Loaded]:
        """Take a seat for another worker; returns ``load``, which gets what is loaded there."""
        seat = len(self._keepers)
        name = f"keep-{self._model}-{seat}"
        keeper = threading.Thread(target=self._keep, args=(seat, load), name=name, daemon=True)
        self._keepers.append(keeper)
        keeper.start()
        return load

    def _keep(self, seat: int, load: Future[Loaded]) -> None:
        """See to it that there is a worker, until the pool is closed."""
        backoff = Backoff()
        delay_s = 0.0
        while not self._closing.wait(delay_s):
            try:
                worker = self._start(seat)
                loaded = self._load(worker)
            except ModelUnavailableError as error:
                if not load.done():
                    load.set_exception(error)
                    return
                if self._closing.is_set():
                    return
                log.warning("a worker could not be replaced", model=self._model, problem=str(error))
                delay_s = backoff.delay_s(0.0)
                continue
            ready_s = time.monotonic()
            self._serve(worker, load, loaded)
            delay_s = backoff.delay_s(time.monotonic() - ready_s)

    def _start(self, seat: int) -> Worker:
        with self._lock:
            if self._closing.is_set():
                raise ModelUnavailableError("the server is stopping")
            try:
                worker = Worker(self._launch, seat, self._weights)
            except OSError as error:
                raise ModelUnavailableError(
                    f"no process could be started for model {self._model}: {error}"
                ) from error
            self._processes[seat] = worker
            return worker

    def _load(self, worker: Worker) -> Loaded:
        """Wait until a worker has its model, and the same one as those before it."""
        try:
            # The first may download a model; for what it has found, nobody waits forever.
            limit_s = self._launch.max_reload_s if self._first.done() else None
            loaded = worker.wait_until_ready(limit_s)
            if not self._first.done() or loaded.capabilities == self._first.result().capabilities:
                return loaded
        except BaseException:
            worker.kill()
            worker.wait()
            raise
        worker.kill()
        worker.wait()
        raise ModelUnavailableError("its files have changed; restart the server")

    def _serve(self, worker: Worker, load: Future[Loaded], loaded: Loaded) -> None:
        """Have a worker take decodes until its end."""
        with self._lock:
            self._ready.append(worker)
        self._roster.joined(self._model, worker.pid)
        if not load.done():
            load.set_result(loaded)
        else:
            log.info("a worker was replaced", model=self._model, worker_pid=worker.pid)
        ending = worker.wait()
        with self._lock:
            self._ready.remove(worker)
            self._past_batch_sizes.update(worker.batch_sizes)
            is_loss = not self._closing.is_set()
        self._roster.left(self._model, worker.pid, is_loss=is_loss)
        if is_loss:
            log.error(
                "a worker has failed", model=self._model, worker_pid=worker.pid, ending=ending
            )
