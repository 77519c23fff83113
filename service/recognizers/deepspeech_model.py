"""A loaded model and its streams: the C API as objects that own what they hold."""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.recognizers.base import ModelUnavailableError
from service.recognizers.deepspeech_library import Functions, take_text
from service.recognizers.deepspeech_options import DeepSpeechOptions

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
    """A model with its scorer. All methods may be called from several threads.

    A stream stays on one thread from its creation to its end, whoever calls: the decoder takes
    the nodes of its search from a pool of the thread that it runs on (add_child in
    ctcdecode/path_trie.h), gives them back without a lock, and the pool dies with its thread.
    Streams that went from thread to thread made the process crash now and then.
    """

    def __init__(
        self, functions: Functions, path: Path, options: DeepSpeechOptions, threads: int = 1
    ) -> None:
        """Load a model and its scorer, for streams on so many threads.

        Raises:
            ModelUnavailableError: the library refuses one of them.
        """
        self._functions = functions
        self._creating = threading.Lock()
        self._threads = [_Thread() for _ in range(threads)]
        self._turns = itertools.cycle(self._threads)
        self._handle: int | None = None
        handle = ctypes.c_void_p()
        self._require(functions["CreateModel"](bytes(path), ctypes.byref(handle)), f"model {path}")
        self._handle = handle.value
        try:
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

        Hot words are set on the model, but a stream copies those that it finds when it is
        created (StreamingState and DecoderState::init in native_client). So they are set,
        the stream is created, and they are taken away again before any other stream is.
        """
        with self._creating:
            thread = next(self._turns)
            handle = thread.run(lambda: self._create_stream(hot_words))
        return NativeStream(self._functions, handle, thread)

    def close(self) -> None:
        """Free the model. No stream is open. Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._functions["FreeModel"](handle)
            for thread in self._threads:
                thread.close()

    def _create_stream(self, hot_words: Mapping[str, float]) -> int:
        stream = ctypes.c_void_p()
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
        if options.beam_width is not None:
            self._call("SetModelBeamWidth", handle, options.beam_width)
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


class _Thread:
    """A thread that some streams live on."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "deepspeech")

    def run(self, work: Callable[[], Result]) -> Result:
        """Do something there, and wait for it."""
        return self._executor.submit(work).result()

    def close(self) -> None:
        """End the thread; no stream lives on it any more."""
        self._executor.shutdown()


class NativeStream:
    """Audio being heard. Calls come one at a time, from any thread."""

    def __init__(self, functions: Functions, handle: int, thread: _Thread) -> None:
        """Own a stream of the library that lives on this thread."""
        self._functions = functions
        self._handle: int | None = handle
        self._thread = thread

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Hear more audio, shape (n,); the library buffers it in steps of its own."""
        if len(samples):
            data = np.ascontiguousarray(samples, dtype=np.int16)
            handle = self._open()
            self._thread.run(
                lambda: self._functions["FeedAudioContent"](handle, data.ctypes.data, len(data))
            )

    def text_so_far(self) -> str:
        """Return what was heard of the audio whose steps are full; changes nothing."""
        handle = self._open()
        return self._thread.run(
            lambda: take_text(self._functions, self._functions["IntermediateDecode"](handle))
        )

    def finish(self, readings: int) -> tuple[Reading, ...]:
        """Hear what is buffered and end the stream.

        Returns:
            At most so many readings, best first.
        """
        handle, self._handle = self._open(), None
        return self._thread.run(lambda: self._finish(handle, readings))

    def _finish(self, handle: int, readings: int) -> tuple[Reading, ...]:
        functions = self._functions
        metadata = functions["FinishStreamWithMetadata"](handle, readings)
        if not metadata:
            raise RuntimeError("FinishStreamWithMetadata gave no result")
        try:
            return _readings(metadata.contents)
        finally:
            functions["FreeMetadata"](metadata)

    def close(self) -> None:
        """Free the stream unless it was finished. Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._thread.run(lambda: self._functions["FreeStream"](handle))

    def _open(self) -> int:
        if self._handle is None:
            raise RuntimeError("the stream has ended")
        return self._handle


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
