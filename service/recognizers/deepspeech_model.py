"""A loaded model and its streams: the C API as objects that own what they hold."""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.recognizers.base import ModelUnavailableError
from service.recognizers.deepspeech_library import Functions, take_text
from service.recognizers.deepspeech_options import DeepSpeechOptions
from service.recognizers.deepspeech_threads import NativeThread

THREADS_PER_DECODE = 4
"""A decode waits for its stream's thread, so with only as many threads as decodes at once, two
would often wait for one thread while the other is idle."""

BEAM_WIDTH_ALONE = 100
"""Readings that the search keeps where there is no scorer, unless it is told how many, or the
model's own number is smaller. Published models say 500, which is meant for a scorer: that may yet
prefer an unlikely reading, and prunes what it cannot (DecoderState::next cuts a step's search off
only with one). Without it each step of 20 ms grows every reading by every letter, at five to
twenty times the cost, and nothing is won: docs/deepspeech.md has the figures."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Reading:
    """One text that the search kept for a stream's audio."""

    tokens: tuple[bytes, ...]
    """UTF-8 text of each label: a letter, or a byte in a model of bytes."""
    times_s: tuple[float, ...]
    """Where each was first heard, from the stream's first sample."""
    score: float
    """Logarithm; acoustic, and weighed with the scorer's where there is one."""


class NativeModel:
    """A model with its scorer. All methods may be called from several threads."""

    def __init__(
        self, functions: Functions, path: Path, options: DeepSpeechOptions, decodes: int = 1
    ) -> None:
        """Load a model and its scorer, for so many decodes at the same time.

        Raises:
            ModelUnavailableError: the library refuses one of them.
        """
        self._functions = functions
        self._creating = threading.Lock()
        count = decodes * THREADS_PER_DECODE if decodes > 1 else 1
        self._threads = [NativeThread(f"deepspeech-{index}") for index in range(count)]
        self._turns = itertools.cycle(self._threads)
        self._handle: int | None = None
        handle = ctypes.c_void_p()
        try:
            code = functions["CreateModel"](bytes(path), ctypes.byref(handle))
            self._require(code, f"model {path}")
            self._handle = handle.value
            self._configure(options)
        except ModelUnavailableError:
            self.close()
            raise

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio that the model hears."""
        return int(self._functions["GetModelSampleRate"](self._handle))

    def open_stream(self, hot_words: Mapping[str, float]) -> NativeStream:
        """Begin a stream that prefers these words by so much.

        The library's own stream is created with the first audio, on the thread it lives on.
        """
        return NativeStream(
            self._functions, lambda: self._create_stream(hot_words), next(self._turns)
        )

    def close(self) -> None:
        """Free the model. No stream is open. Idempotent."""
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.close()
        handle, self._handle = self._handle, None
        if handle is not None:
            self._functions["FreeModel"](handle)

    def _create_stream(self, hot_words: Mapping[str, float]) -> int:
        """Create a stream of the library.

        Hot words are set on the model, but a stream copies those that it finds when it is
        created (StreamingState and DecoderState::init in native_client). So they are set,
        the stream is created, and they are taken away again before any other stream is.
        """
        stream = ctypes.c_void_p()
        with self._creating:
            try:
                for word, boost in hot_words.items():
                    self._call("AddHotWord", self._handle, word.encode(), boost)
                self._call("CreateStream", self._handle, ctypes.byref(stream))
            finally:
                if hot_words:
                    self._call("ClearHotWords", self._handle)
        if stream.value is None:
            raise RuntimeError("CreateStream gave no stream")
        return stream.value

    def _configure(self, options: DeepSpeechOptions) -> None:
        functions, handle = self._functions, self._handle
        beam_width = options.beam_width
        if beam_width is None and not options.scorer:
            beam_width = min(functions["GetModelBeamWidth"](handle), BEAM_WIDTH_ALONE)
        if beam_width is not None:
            self._call("SetModelBeamWidth", handle, beam_width)
        if options.scorer:
            path = bytes(Path(options.scorer).expanduser())
            code = functions["EnableExternalScorer"](handle, path)
            self._require(code, f"scorer {options.scorer}")
        if options.lm_alpha is not None and options.lm_beta is not None:
            self._call("SetScorerAlphaBeta", handle, options.lm_alpha, options.lm_beta)

    def _call(self, name: str, *arguments: object) -> None:
        code = self._functions[name](*arguments)
        if code:
            raise RuntimeError(f"{name} failed: {self._message(code)}")

    def _require(self, code: int, what: str) -> None:
        if code:
            raise ModelUnavailableError(
                f"{what} cannot be loaded: {self._message(code)} (0x{code:x})"
            )

    def _message(self, code: int) -> str:
        functions = self._functions
        return take_text(functions, functions["ErrorCodeToErrorMessage"](code)).rstrip(".")


class NativeStream:
    """Audio being heard. Calls come one at a time, from any thread."""

    def __init__(
        self, functions: Functions, create: Callable[[], int], thread: NativeThread
    ) -> None:
        """Own a stream of the library that lives on this thread."""
        self._functions = functions
        self._create = create
        self._thread = thread
        self._handle: int | None = None
        self._has_ended = False

    def run(self, work: Callable[[], Result]) -> Result:
        """Do something on the stream's thread: several calls with one change of threads."""
        return self._thread.run(work)

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Hear more audio, shape (n,); the library buffers it in steps of its own."""
        if len(samples):
            data = np.ascontiguousarray(samples, dtype=np.int16)
            self._call(
                lambda handle: self._functions["FeedAudioContent"](
                    handle, data.ctypes.data, len(data)
                )
            )

    def text_so_far(self) -> str:
        """Return what was heard of the audio whose steps are full; changes nothing."""
        return self._call(
            lambda handle: take_text(self._functions, self._functions["IntermediateDecode"](handle))
        )

    def finish(self, readings: int) -> tuple[Reading, ...]:
        """Hear what is buffered and end the stream.

        Returns:
            At most so many readings, best first.
        """
        return self._call(lambda handle: self._finish(handle, readings))

    def close(self) -> None:
        """Free the stream unless it was finished. Idempotent; waits for nobody.

        It is called from the event loop too, where the thread may be busy with another stream.
        """
        handle, self._handle, self._has_ended = self._handle, None, True
        if handle is not None:
            self._thread.later(lambda: self._functions["FreeStream"](handle))

    def _call(self, work: Callable[[int], Result]) -> Result:
        return self._thread.run(lambda: work(self._open()))

    def _open(self) -> int:
        if self._has_ended:
            raise RuntimeError("the stream has ended")
        if self._handle is None:
            self._handle = self._create()
        return self._handle

    def _finish(self, handle: int, readings: int) -> tuple[Reading, ...]:
        self._handle, self._has_ended = None, True
        functions = self._functions
        metadata = functions["FinishStreamWithMetadata"](handle, readings)
        if not metadata:
            raise RuntimeError("FinishStreamWithMetadata gave no result")
        try:
            return _readings(metadata.contents)
        finally:
            functions["FreeMetadata"](metadata)


def _readings(metadata: ctypes.Structure) -> tuple[Reading, ...]:
    candidates: Sequence[ctypes.Structure] = metadata.candidates[: metadata.candidate_count]
    found = []
    for candidate in candidates:
        tokens = candidate.tokens[: candidate.token_count]
        found.append(
            Reading(
                tuple(token.text for token in tokens),
                # Of single precision: 0.1 would read 0.09999999403953552.
                tuple(round(token.start_s, 3) for token in tokens),
                candidate.score,
            )
        )
    return tuple(found)
