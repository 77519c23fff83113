"""What a worker does: loads a model, and decodes what it is asked to. Started by ``worker``.

python -m service.workers TASK
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from multiprocessing.connection import Connection
from typing import NoReturn

import structlog

from service.core.hypothesis import Hypothesis, Samples, Window
from service.memory import giving_back, one_heap, resident_bytes
from service.process import ExitStatus, exit_now
from service.recognizers import registry
from service.recognizers.base import (
    Batching,
    ModelUnavailableError,
    Recognizer,
    RecognizerStream,
    Settling,
)
from service.recognizers.doubt import Doubt
from service.recognizers.warming import warm_up
from service.telemetry import configure_logging
from service.workers import lanes
from service.workers import memory as lane_memory
from service.workers.lanes import Lane
from service.workers.lifetime import die_with_parent, ignore_stop_signals
from service.workers.messages import (
    ANSWER,
    DECODE,
    STARTED,
    TASK,
    Answer,
    Decode,
    Loaded,
    Started,
    Task,
    fault_of,
    released,
)
from service.workers.weights import hold_once

log = structlog.get_logger()


class Decoder:
    """A recognizer, and the segments that are being heard by it.

    After some decodes in a row that raised it is tried on audio of our own, which every sound
    model can decode. If that fails as well, the worker ends: that another one takes its place
    may help, and it would draw decodes to itself, since those that fail do not take long.
    """

    def __init__(self, recognizer: Recognizer, give_up: Callable[[], NoReturn]) -> None:
        """Begin with none.

        Args:
            recognizer: What decodes.
            give_up: Ends the process.
        """
        self._recognizer = recognizer
        self._give_up = give_up
        self._streams: dict[int, RecognizerStream] = {}
        self._memories: dict[int, object] = {}
        self._memory_numbers = count()
        self._lock = threading.Lock()
        self._doubt = Doubt()

    def answer(self, request: Decode, lane: Samples) -> Answer:
        """Decode; what the recognizer raises is the answer as well."""
        hypothesis, memory, fault = Hypothesis(), None, None
        try:
            hypothesis = self._hear(request, lane)
            memory = self._number(hypothesis.memory, request.memory)
            hypothesis = replace(hypothesis, memory=None)
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            fault = fault_of(error, traceback.format_exc())
        has_failed = fault is not None
        with self._lock:
            is_due = self._doubt.decoded(is_interim=not request.is_final, has_failed=has_failed)
            if is_due:
                self._doubt.clear()
        if is_due:
            self._try_out()
        batching = self._recognizer if isinstance(self._recognizer, Batching) else None
        return Answer(hypothesis, fault, memory, batching.batch_sizes if batching else None)

    def free(self, number: int, *, is_memory: bool) -> None:
        """Free what a segment left behind, or its state, if there is any."""
        if is_memory:
            self._memories.pop(number, None)
            return
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.close()

    def _hear(self, request: Decode, lane: Samples) -> Hypothesis:
        if request.options is not None:
            self._streams[request.stream] = self._recognizer.open_stream(request.options)
        stream = self._streams[request.stream]
        samples, context = lane_memory.read(lane, request.samples, request.context)
        remembered = None if request.memory is None else self._memories.get(request.memory)
        window = Window(samples, context, request.agreed_words, request.is_growing, remembered)
        return stream.final(window) if request.is_final else stream.interim(window)

    def _number(self, memory: object | None, known: int | None) -> int | None:
        """Keep what a hypothesis leaves behind; return its number."""
        if memory is None:
            return None
        if known is not None and self._memories.get(known) is memory:
            return known
        number = next(self._memory_numbers)
        self._memories[number] = memory
        return number

    def _try_out(self) -> None:
        try:
            warm_up(self._recognizer)
        except Exception:
            log.exception("the model fails on audio of our own as well")
            self._give_up()
        log.warning("decodes fail, but the model is sound")


def main(task: Task) -> ExitStatus:
    """Serve until the server has no more use for it."""
    ignore_stop_signals()
    die_with_parent()
    one_heap()
    lines = configure_logging(task.log_level, task.log_format)
    control = Connection(task.control)
    if control.poll():
        # The server says nothing before it is told what was loaded: it ended too early for
        # ``die_with_parent``.
        return ExitStatus.STOPPED
    try:
        recognizer, grown_bytes = _load(task)
    except ModelUnavailableError as error:
        control.send_bytes(STARTED.dump_json(Started(fault=fault_of(error, ""))))
        return ExitStatus.NO_MODEL
    decoder = Decoder(recognizer, lambda: exit_now(ExitStatus.FAILED, lines.drain))
    capabilities = recognizer.capabilities
    try:
        settled = recognizer.settled_options if isinstance(recognizer, Settling) else {}
        loaded = Loaded(capabilities, grown_bytes, settled)
        control.send_bytes(STARTED.dump_json(Started(loaded)))
        for lane in lanes.receive(control, capabilities.longest_window_s):
            threading.Thread(target=_work, args=(decoder, lane), daemon=True).start()
        with giving_back():
            while True:
                number, is_memory = released(control.recv_bytes())
                decoder.free(number, is_memory=is_memory)
    except (EOFError, OSError):
        # The server has gone, or wants no more. What is loaded goes with the process.
        exit_now(ExitStatus.STOPPED, lines.drain)


def _load(task: Task) -> tuple[Recognizer, int]:
    before_bytes = resident_bytes()
    recognizer = registry.load(registry.parse_spec(task.spec), task.threads, task.decodes)
    grown_bytes = max(0, resident_bytes() - before_bytes)
    warm_up(recognizer)
    # What is there now stays, as in the server.
    gc.collect()
    gc.freeze()
    if task.weights is not None:
        grown_bytes = max(0, grown_bytes - hold_once(task.weights))
        os.close(task.weights)
    return recognizer, grown_bytes


def _work(decoder: Decoder, lane: Lane) -> None:
    """Answer what is asked by a lane."""
    try:
        while True:
            request = DECODE.validate_json(lane.connection.recv_bytes())
            answer = decoder.answer(request, lane.samples)
            lane.connection.send_bytes(ANSWER.dump_json(answer))
    except (EOFError, OSError):
        pass  # The server has gone; the main thread ends the process.


if __name__ == "__main__":
    sys.exit(main(TASK.validate_json(sys.argv[1])))
