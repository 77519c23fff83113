"""What becomes of the library when its streams move between threads.

    python -m benchmarks.deepspeech_crash [WAY...] [--runs 10] [--run-s 20]

Each run is a process of its own with four threads, which hear the small model's held-out
speech for so many seconds. WAY is how streams are treated; all of them by default:

- served: by service.recognizers.deepspeech_model, with calls from any thread
- moved: each piece is fed by whichever thread comes next
- freed elsewhere: one thread creates and feeds a stream, another one frees it
- outlived: a stream is freed after the thread that fed it has ended

Prints how many runs ended by a signal. Only the first way is to have none; the reason stands in
service/recognizers/deepspeech_threads.py. Exits with 1 if a run of it has ended so.
"""

from __future__ import annotations

import argparse
import ctypes
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.support import ROOT, read_clips
from service.recognizers.deepspeech_library import DEEPSPEECH, Functions, load_functions
from service.recognizers.deepspeech_model import NativeModel, NativeStream
from service.recognizers.deepspeech_options import DeepSpeechOptions

FOLDER = ROOT / "tests" / "recognizers" / "small_deepspeech"
THREADS = 4
PIECE_SAMPLES = 4_000
BEAM_WIDTH = 64
OPEN_STREAMS = 12

Speech = NDArray[np.int16]


class Library:
    """The library as it is: a model, and streams that anybody may call."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._model = ctypes.c_void_p()
        functions["CreateModel"](bytes(FOLDER / "model.pb"), ctypes.byref(self._model))
        functions["SetModelBeamWidth"](self._model, BEAM_WIDTH)

    def new_stream(self) -> ctypes.c_void_p:
        """Create a stream on this thread."""
        stream = ctypes.c_void_p()
        self._functions["CreateStream"](self._model, ctypes.byref(stream))
        return stream

    def feed(self, stream: ctypes.c_void_p, samples: Speech) -> None:
        """Hear samples on this thread."""
        self._functions["FeedAudioContent"](stream, samples.ctypes.data, len(samples))

    def free(self, stream: ctypes.c_void_p) -> None:
        """Free a stream on this thread."""
        self._functions["FreeStream"](stream)


def served(functions: Functions, speech: Sequence[Speech], end_s: float) -> int:
    """Hear streams as the service does, each step called by another thread."""
    options = DeepSpeechOptions(beam_width=BEAM_WIDTH)
    model = NativeModel(functions, FOLDER / "model.pb", options, decodes=2)
    waiting: queue.SimpleQueue[tuple[NativeStream, Speech]] = queue.SimpleQueue()
    heard: list[int] = []

    def work(chance: random.Random) -> None:
        while time.monotonic() < end_s:
            stream, left = waiting.get()
            stream.feed(left[:PIECE_SAMPLES])
            stream.text_so_far()
            left = left[PIECE_SAMPLES:]
            if not len(left):
                if chance.random() < 0.5:
                    stream.finish(4)
                stream.close()
                heard.append(1)
                stream, left = model.open_stream({}), chance.choice(speech)
            waiting.put((stream, left))

    for index in range(OPEN_STREAMS):
        waiting.put((model.open_stream({}), speech[index % len(speech)]))
    _side_by_side(work)
    while not waiting.empty():
        waiting.get()[0].close()
    model.close()
    return len(heard)


def moved(functions: Functions, speech: Sequence[Speech], end_s: float) -> int:
    """Feed each piece on whichever thread comes next."""
    library = Library(functions)
    waiting: queue.SimpleQueue[tuple[ctypes.c_void_p, Speech]] = queue.SimpleQueue()
    heard: list[int] = []

    def work(chance: random.Random) -> None:
        while time.monotonic() < end_s:
            stream, left = waiting.get()
            library.feed(stream, left[:PIECE_SAMPLES])
            left = left[PIECE_SAMPLES:]
            if not len(left):
                library.free(stream)
                heard.append(1)
                stream, left = library.new_stream(), chance.choice(speech)
            waiting.put((stream, left))

    for index in range(OPEN_STREAMS):
        waiting.put((library.new_stream(), speech[index % len(speech)]))
    _side_by_side(work)
    return len(heard)


def freed_elsewhere(functions: Functions, speech: Sequence[Speech], end_s: float) -> int:
    """Feed each stream on one thread, and free it on another."""
    library = Library(functions)
    fed: queue.SimpleQueue[ctypes.c_void_p] = queue.SimpleQueue()
    heard: list[int] = []

    def work(chance: random.Random) -> None:
        while time.monotonic() < end_s:
            stream = library.new_stream()
            library.feed(stream, chance.choice(speech))
            fed.put(stream)
            library.free(fed.get())
            heard.append(1)

    for _ in range(THREADS):
        fed.put(library.new_stream())
    _side_by_side(work)
    return len(heard)


def outlived(functions: Functions, speech: Sequence[Speech], end_s: float) -> int:
    """Free each stream after its thread has ended."""
    library = Library(functions)
    count = 0
    while time.monotonic() < end_s:
        stream = library.new_stream()
        thread = threading.Thread(target=library.feed, args=(stream, speech[count % len(speech)]))
        thread.start()
        thread.join()
        library.free(stream)
        count += 1
    return count


WAYS: dict[str, Callable[[Functions, Sequence[Speech], float], int]] = {
    "served": served,
    "moved": moved,
    "freed elsewhere": freed_elsewhere,
    "outlived": outlived,
}


def _side_by_side(work: Callable[[random.Random], None]) -> None:
    threads = [
        threading.Thread(target=work, args=(random.Random(index),)) for index in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _run(way: str, run_s: float) -> None:
    """Be one of the runs."""
    functions = load_functions(DEEPSPEECH, "", threads=1)
    clips = read_clips([FOLDER / "held_out" / "manifest.jsonl"])
    speech = [np.frombuffer(clip.pcm, dtype="<i2") for clip in clips]
    print(WAYS[way](functions, speech, time.monotonic() + run_s))


def main() -> int:
    """Run each way so often, and tell how it ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ways", nargs="*", metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--runs", type=int, default=10, help="of each way")
    parser.add_argument("--run-s", type=float, default=20.0, help="seconds of a run")
    parser.add_argument("--be", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.be:
        _run(arguments.be, arguments.run_s)
        return 0
    unknown = set(arguments.ways) - set(WAYS)
    if unknown:
        parser.error(f"no way is called {', '.join(sorted(unknown))}; there are: {', '.join(WAYS)}")
    program = [sys.executable, "-m", "benchmarks.deepspeech_crash", "--run-s", str(arguments.run_s)]
    has_failed = False
    for way in arguments.ways or WAYS:
        ends: Counter[int] = Counter()
        streams = 0
        for _ in range(arguments.runs):
            done = subprocess.run(
                [*program, "--be", way], cwd=ROOT, capture_output=True, text=True, check=False
            )
            if done.returncode > 0:
                # Not the library, but this program.
                sys.exit(done.stderr)
            ends[done.returncode] += 1
            streams += int(done.stdout or 0)
        crashed = arguments.runs - ends[0]
        has_failed |= way == "served" and crashed > 0
        told = ", ".join(
            f"{signal.Signals(-status).name}: {count}" for status, count in ends.items() if status
        )
        print(
            f"{way:16} {crashed} of {arguments.runs} runs of {arguments.run_s:g} s crashed"
            f"{f' ({told})' if told else ''}; {streams} streams in the others",
            flush=True,
        )
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
