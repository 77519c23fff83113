"""A stream of the library is called on one thread alone, or the process crashes now and then.

The reason stands in service/recognizers/deepspeech_threads.py. A crash is a matter of luck
(benchmarks/deepspeech_crash.py waits for it), so what is tested here is the rule.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.hypothesis import DecodeOptions, Window
from service.recognizers.deepspeech import DeepSpeechRecognizer, DeepSpeechStream
from service.recognizers.deepspeech_library import Functions
from service.recognizers.deepspeech_model import THREADS_PER_DECODE, NativeModel
from service.recognizers.deepspeech_options import DeepSpeechOptions
from tests.recognizers.small_deepspeech_model import MODEL, clips, functions

SPEECH = clips()[0][1]
ON_A_STREAM = (
    "FeedAudioContent",
    "IntermediateDecode",
    "FinishStreamWithMetadata",
    "FreeStream",
)
ENDS = ("FinishStreamWithMetadata", "FreeStream")
DECODES = 2
CALLERS = 4

steps = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["interim", "shorter interim", "final", "close"])),
    min_size=6,
    max_size=24,
)


class Watching:
    """The library's functions, and on which threads each stream was called."""

    def __init__(self, real: Functions) -> None:
        self._open: dict[int, int] = {}
        self._lock = threading.Lock()
        self.threads: defaultdict[int, set[threading.Thread]] = defaultdict(set)
        """By the stream's number; the library gives a handle again once it is free."""
        self.functions = dict(real) | {name: self._on(name, real[name]) for name in ON_A_STREAM}
        self.functions["CreateStream"] = self._creating(real["CreateStream"])

    @property
    def open_streams(self) -> int:
        return len(self._open)

    def _creating(self, create: Callable[..., Any]) -> Callable[..., Any]:
        def creating(model: int, stream: Any) -> Any:
            code = create(model, stream)
            with self._lock:
                number = len(self.threads)
                self._open[stream._obj.value] = number
                self.threads[number].add(threading.current_thread())
            return code

        return creating

    def _on(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def on(stream: int, *arguments: object) -> Any:
            with self._lock:
                number = self._open.pop(stream) if name in ENDS else self._open[stream]
                self.threads[number].add(threading.current_thread())
            return call(stream, *arguments)

        return on


@pytest.fixture(scope="module")
def real() -> Functions:
    return functions()


def _do(stream: DeepSpeechStream, step: str) -> None:
    if step == "close":
        stream.close()
    elif step == "final":
        stream.final(Window(SPEECH[:9_000]))
        stream.close()
    else:
        stream.interim(Window(SPEECH[: 8_000 if step == "interim" else 5_000]))


@settings(max_examples=10, deadline=None)
@given(steps=steps)
def test_whoever_calls_a_stream_keeps_to_one_thread(real, steps):
    """Created, fed, asked, finished and freed: each stream on one thread, that is the model's."""
    watching = Watching(real)
    options = DeepSpeechOptions(beam_width=8)
    model = NativeModel(watching.functions, MODEL, options, decodes=DECODES)
    recognizer = DeepSpeechRecognizer(model, options, None)
    streams: dict[int, DeepSpeechStream] = {}
    callers = [ThreadPoolExecutor(1) for _ in range(CALLERS)]
    for turn, (index, step) in enumerate(steps):
        if index not in streams:
            streams[index] = recognizer.open_stream(DecodeOptions())
        # One call of a stream at a time, as the service has it, and each from another thread.
        callers[turn % CALLERS].submit(_do, streams[index], step).result()
        if step in ("final", "close"):
            del streams[index]
    for stream in streams.values():
        stream.close()
    their_threads = {thread for caller in callers for thread in caller._threads}
    for caller in callers:
        caller.shutdown()
    recognizer.close()
    assert watching.open_streams == 0
    assert all(len(threads) == 1 for threads in watching.threads.values())
    used = set().union(*watching.threads.values())
    assert not used & {*their_threads, threading.current_thread()}


def test_streams_are_spread_over_the_threads(real):
    """Streams that are open side by side do not wait for one thread."""
    watching = Watching(real)
    options = DeepSpeechOptions(beam_width=8)
    model = NativeModel(watching.functions, MODEL, options, decodes=DECODES)
    recognizer = DeepSpeechRecognizer(model, options, None)
    streams = [recognizer.open_stream(DecodeOptions()) for _ in range(DECODES * THREADS_PER_DECODE)]
    for stream in streams:
        stream.interim(Window(SPEECH[:4_000]))
    used = set().union(*watching.threads.values())
    assert len(used) == len(streams)
    assert all(thread.is_alive() for thread in used)
    for stream in streams:
        stream.close()
    recognizer.close()
    assert not any(thread.is_alive() for thread in used)
