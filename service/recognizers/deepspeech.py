"""Mozilla DeepSpeech, and Coqui STT, which grew out of it: natively streaming recognizers.

A stream of the library carries its state from chunk to chunk, so a growing segment is
heard once: interims feed what is new and ask for the text so far, the final feeds the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.core.agreed_words import beginning_with
from service.core.capabilities import Capabilities
from service.core.errors import InvalidFieldError
from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    DecodeOptions,
    Hypothesis,
    Phrase,
    Samples,
    Window,
    Word,
    without_places,
)
from service.recognizers.base import LEAST_SAMPLES, ModelUnavailableError
from service.recognizers.deepspeech_alphabet import read_alphabet
from service.recognizers.deepspeech_library import COQUI, DEEPSPEECH, Flavour, load_functions
from service.recognizers.deepspeech_model import NativeModel, NativeStream, Reading
from service.recognizers.deepspeech_options import DeepSpeechOptions, parse_options
from service.recognizers.deepspeech_scorer import Vocabulary, read_scorer
from service.recognizers.deepspeech_stderr import captured_stderr, unusual
from service.recognizers.deepspeech_trial import try_out
from service.recognizers.deepspeech_words import hypothesis_of

FLAVOURS: Final[Mapping[str, Flavour]] = {
    ".pbmm": DEEPSPEECH,
    ".pb": DEEPSPEECH,
    ".tflite": COQUI,
}
LONGEST_WINDOW_S: Final = 28.0
"""The search goes through all prefixes that it keeps at each step, so that the cost of a
second grows with the segment (mozilla/DeepSpeech#1757); docs/deepspeech.md has the figures."""
READINGS: Final = 8
"""Always asked for, so that confidences do not depend on how many are shown. The library copies
the scores of its whole beam for each comparison of its sort, so that 16 take 5 ms more."""
MOST_ALTERNATIVES: Final = 5
FULL_SCALE: Final = 32_768


def load(
    argument: str, options: Mapping[str, str], threads: int, decodes: int
) -> DeepSpeechRecognizer:
    """Load a model.

    Args:
        argument: Path of a .pbmm or .pb file of DeepSpeech, or a .tflite file of Coqui.
        options: Any of those in ``deepspeech_options``, by name.
        threads: Processor threads of one decode.
        decodes: Decodes at the same time.

    Raises:
        ModelUnavailableError: says what to install, download or write instead.
    """
    path = Path(argument).expanduser()
    flavour = FLAVOURS.get(path.suffix)
    if not argument or flavour is None:
        raise ModelUnavailableError(
            f"deepspeech:{argument} names no model; write deepspeech:MODEL.pbmm (or .pb, or a "
            ".tflite of Coqui STT). docs/deepspeech.md says where models are published"
        )
    if not path.is_file():
        raise ModelUnavailableError(
            f"deepspeech:{argument}: there is no such file; docs/deepspeech.md says where models "
            "are published"
        )
    chosen = parse_options(options)
    functions = load_functions(flavour, chosen.library, threads)
    vocabulary = None
    if chosen.scorer:
        scorer = Path(chosen.scorer).expanduser()
        vocabulary = read_scorer(scorer, read_alphabet(path))
        chosen = replace(chosen, scorer=str(scorer))
    try_out(flavour.package, path, chosen)
    with captured_stderr() as lines:
        model = NativeModel(functions, path, chosen, decodes)
    sys.stderr.writelines(f"{line}\n" for line in unusual(lines))
    if model.sample_rate_hz != SAMPLE_RATE_HZ:
        rate_hz = model.sample_rate_hz
        model.close()
        raise ModelUnavailableError(
            f"{path} hears {rate_hz} Hz, and only models of {SAMPLE_RATE_HZ} Hz are served"
        )
    return DeepSpeechRecognizer(model, chosen, vocabulary)


class DeepSpeechRecognizer:
    """Implements Recognizer."""

    def __init__(
        self, model: NativeModel, options: DeepSpeechOptions, vocabulary: Vocabulary | None
    ) -> None:
        """Offer a loaded model; phrases are held against the vocabulary where it is known."""
        self._model = model
        self._vocabulary = vocabulary
        self._hot_words = lru_cache(maxsize=64)(self._check_phrases)
        self._capabilities = Capabilities(
            languages=(options.language,) if options.language else (),
            longest_window_s=LONGEST_WINDOW_S,
            native_streaming=True,
            word_offsets=True,
            max_alternatives=MOST_ALTERNATIVES,
            phrases=bool(options.scorer),
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do; phrases are boosted through the scorer, so they need one."""
        return self._capabilities

    def open_stream(self, options: DecodeOptions) -> DeepSpeechStream:
        """Begin a segment.

        Raises:
            InvalidFieldError: a phrase cannot be preferred.
        """
        return DeepSpeechStream(self._model, options, self._hot_words(options.phrases))

    def close(self) -> None:
        """Free the model."""
        self._model.close()

    def _check_phrases(self, phrases: tuple[Phrase, ...]) -> Mapping[str, float]:
        """Return the words to prefer, spelled as the vocabulary has them."""
        hot_words: dict[str, float] = {}
        for index, phrase in enumerate(phrases):
            word = phrase.text.strip()
            if self._vocabulary is not None and word not in self._vocabulary:
                word = word.lower()
            if len(word.split()) != 1:
                problem = "is not one word; this model prefers single words, so give each its own"
            elif "\0" in word:
                problem = "holds a zero byte; give the word without it"
            elif word in hot_words:
                problem = "stands twice; give each word once"
            elif self._vocabulary is not None and word not in self._vocabulary:
                problem = "is not in the vocabulary of the scorer, so it would have no effect"
            else:
                hot_words[word] = phrase.boost
                continue
            raise InvalidFieldError(f"phrase {phrase.text!r} {problem}", f"phrases[{index}].text")
        return hot_words


class DeepSpeechStream:
    """Implements RecognizerStream."""

    def __init__(
        self, model: NativeModel, options: DecodeOptions, hot_words: Mapping[str, float]
    ) -> None:
        """Begin a segment; the library's stream is created when there is audio for it."""
        self._model = model
        self._options = options
        self._hot_words = hot_words
        self._native: NativeStream | None = None
        self._fed_samples = 0

    def interim(self, window: Window) -> Hypothesis:
        """Hear what is new, and tell the text so far if it is wanted."""
        samples = window.samples
        if len(samples) < LEAST_SAMPLES:
            return Hypothesis(is_doubtful=True, heard_samples=0)
        native = self._native_for(samples)
        new_samples = len(samples) - self._fed_samples

        def hear() -> str:
            self._feed(native, samples)
            return native.text_so_far() if self._options.interim_results else ""

        text = native.run(hear)
        words = tuple(Word(word) for word in text.split())
        return Hypothesis(beginning_with(window.agreed_words, words), heard_samples=new_samples)

    def final(self, window: Window) -> Hypothesis:
        """Hear the rest and end the library's stream."""
        samples = window.samples
        if len(samples) < LEAST_SAMPLES or not samples.any():
            return Hypothesis(heard_samples=0)
        native = self._native_for(samples)
        new_samples = len(samples) - self._fed_samples

        def hear() -> Sequence[Reading]:
            self._feed(native, samples)
            self._native = None
            return native.finish(READINGS)

        hypothesis = hypothesis_of(
            native.run(hear), self._options.max_alternatives - 1, len(samples) / SAMPLE_RATE_HZ
        )
        words = hypothesis.words
        if not self._options.word_offsets:
            words = without_places(words)
        return replace(hypothesis, words=words, heard_samples=new_samples)

    def close(self) -> None:
        """Free the library's stream."""
        native, self._native = self._native, None
        if native is not None:
            native.close()

    def _native_for(self, samples: Samples) -> NativeStream:
        """Return a stream of the library that has heard nothing but a beginning of these samples.

        What it has heard cannot be taken back, so it begins anew for a segment that was cut
        before its newest sample.
        """
        if self._native is not None and len(samples) < self._fed_samples:
            self.close()
        if self._native is None:
            self._native = self._model.open_stream(self._hot_words)
            self._fed_samples = 0
        return self._native

    def _feed(self, native: NativeStream, samples: Samples) -> None:
        native.feed(_pcm(samples[self._fed_samples :]))
        self._fed_samples = len(samples)


def _pcm(samples: Samples) -> NDArray[np.int16]:
    """Return samples as 16 bit, each by itself, so that no cut changes any."""
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    pcm: NDArray[np.int16] = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return pcm
