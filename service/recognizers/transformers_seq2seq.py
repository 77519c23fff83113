"""Whisper, Moonshine and other sequence-to-sequence models of Hugging Face transformers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from service.core.capabilities import Capabilities
from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    DecodeOptions,
    Hypothesis,
    Samples,
    Window,
    Word,
)
from service.recognizers.base import LEAST_SAMPLES, ModelUnavailableError
from service.recognizers.context import LONGEST_WINDOW_S, fitting
from service.recognizers.guards import (
    LEAST_LOG_PROBABILITY,
    LEAST_SUPPORT,
    has_words,
    most_tokens,
    outside_loops,
    plain_words,
    repeats,
)
from service.recognizers.transformers_options import TransformersOptions
from service.recognizers.transformers_seq2seq_model import Decoded, Seq2SeqModel

MOST_CONTEXT_S: Final = 15.0
"""Context that is heard before a segment. By Whisper tiny.en, on 13 minutes of pausing speech,
6.8 % of the words were wrong without context, and 5.7, 5.4, 5.3 and 5.4 % with up to 6, 10, 15
and 28 s."""
SPEECH_LOG_PROBABILITY: Final = ((0.8, -0.3), (0.6, -0.5), (0.4, -1.2), (-1.0, -1.8))
"""No-speech probability above which a text must be so probable to count as speech; measured
for Whisper tiny.en, see ``whisper_final``. The first is for the way transformers pads, with
digital silence: faint noise is then heard as "you" at 0.94 and -0.49. A model without a
no-speech token has the last."""


def load(folder: Path, family: str, options: TransformersOptions) -> Seq2SeqRecognizer:
    """Load a folder with a model of this family.

    Raises:
        ModelUnavailableError: says what to install, download or write instead.
    """
    model = Seq2SeqModel(folder, family, options)
    if model.languages and options.language and options.language not in model.languages:
        raise ModelUnavailableError(
            f"language={options.language!r}: {folder} knows {', '.join(model.languages)}"
        )
    return Seq2SeqRecognizer(model, options.language)


class Seq2SeqRecognizer:
    """Implements Recognizer."""

    def __init__(self, model: Seq2SeqModel, language: str) -> None:
        """Offer a loaded model; ``language`` is that of streams that name none."""
        self.model = model
        default = language or next(iter(model.languages), "")
        others = [other for other in model.languages if other != default]
        self._capabilities = Capabilities(
            languages=(default, *others) if default else (),
            longest_window_s=LONGEST_WINDOW_S,
            left_context=model.is_whisper,
            word_offsets=model.has_word_offsets,
        )

    @property
    def settled_options(self) -> Mapping[str, str]:
        """The precision, which may have been chosen by the time that it took."""
        return {"precision": self.model.precision}

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do; offsets only where it tells how to read its attention."""
        return self._capabilities

    def open_stream(self, options: DecodeOptions) -> Seq2SeqStream:
        """Begin a segment."""
        language = options.language or next(iter(self._capabilities.languages), "")
        return Seq2SeqStream(self.model, language, options)

    def close(self) -> None:
        """Free the weights."""
        self.model.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """A decode that is to become a final."""

    encoded: Any
    prefix: list[int]
    decoded: Decoded
    begin_s: float
    """Where the segment begins in what was encoded."""


class Seq2SeqStream:
    """Implements RecognizerStream; keeps nothing from call to call."""

    def __init__(self, model: Seq2SeqModel, language: str, options: DecodeOptions) -> None:
        """Begin a segment in this language."""
        self._model = model
        self._language = language
        self._options = options
        self._heard_samples = 0

    def interim(self, window: Window) -> Hypothesis:
        """Hear the segment so far again, and write on from what is stable."""
        samples, stable = window.samples, window.agreed_words
        if len(samples) < LEAST_SAMPLES:
            return Hypothesis(is_doubtful=True, heard_samples=0)
        if not samples.any():
            return Hypothesis(plain_words(" ".join(stable)), heard_samples=0)
        prefix = self._model.tokens(" ".join(stable))
        decoded = self._decode(self._model.encode(samples), samples, prefix)
        if self._is_doubtful(decoded):
            return Hypothesis(is_doubtful=True, heard_samples=len(samples))
        text = self._model.text(decoded.tokens)
        words = plain_words(" ".join((*stable, text if has_words(text) else "")))
        return Hypothesis(words, _confidence(decoded), heard_samples=len(samples))

    def final(self, window: Window) -> Hypothesis:
        """Hear a finished segment in full context."""
        if len(window.samples) < LEAST_SAMPLES or not window.samples.any():
            return Hypothesis(heard_samples=0)
        self._heard_samples = 0
        alone = self._encode(window.samples)
        heard = self._in_context(window, alone) or self._alone(alone, window.samples)
        if heard is None:
            return Hypothesis(heard_samples=self._heard_samples)
        if self._options.word_offsets:
            words = self._timed_words(heard, window.samples)
        else:
            words = plain_words(self._model.text(heard.decoded.tokens))
        # A loop that the second try did not get out of either.
        words = tuple(words[index] for index in outside_loops([word.text for word in words]))
        return Hypothesis(words, _confidence(heard.decoded), heard_samples=self._heard_samples)

    def close(self) -> None:
        """Nothing is held."""

    def _in_context(self, window: Window, alone: Any) -> _Heard | None:  # noqa: ANN401
        """Hear a segment behind what was said before; None if the result is doubtful.

        Args:
            window: The segment and what was before it.
            alone: The segment by itself, encoded; it must bear out what is heard.
        """
        context, prefix = (
            fitting(window, self._model.tokens, MOST_CONTEXT_S)
            if self._model.is_whisper
            else ([], [])
        )
        if not context:
            return None
        before = [segment.samples for segment in context]
        encoded = self._encode(np.concatenate([*before, window.samples]))
        decoded = self._decode(encoded, window.samples, prefix)
        if self._is_doubtful(decoded) or not has_words(self._model.text(decoded.tokens)):
            return None
        if self._model.log_probability(alone, self._language, decoded.tokens) < LEAST_SUPPORT:
            return None
        return _Heard(encoded, prefix, decoded, sum(map(len, before)) / SAMPLE_RATE_HZ)

    def _alone(self, encoded: Any, samples: Samples) -> _Heard | None:  # noqa: ANN401
        """Hear a segment by itself; None if there is no speech."""
        decoded = self._decode(encoded, samples)
        if not _is_speech(decoded):
            return None
        if self._is_doubtful(decoded):
            other = self._decode(encoded, samples, no_repeat_ngram_size=4)
            decoded = max(
                decoded, other, key=lambda item: (not self._loops(item), item.log_probability)
            )
        if not has_words(self._model.text(decoded.tokens)):
            return None
        return _Heard(encoded, [], decoded, 0.0)

    def _encode(self, samples: Samples) -> Any:  # noqa: ANN401  (of torch)
        self._heard_samples += len(samples)
        return self._model.encode(samples)

    def _decode(
        self,
        encoded: Any,  # noqa: ANN401  (of torch)
        samples: Samples,
        prefix: list[int] | None = None,
        *,
        no_repeat_ngram_size: int = 0,
    ) -> Decoded:
        return self._model.decode(
            encoded,
            self._language,
            prefix or (),
            most_tokens=most_tokens(samples),
            no_repeat_ngram_size=no_repeat_ngram_size,
        )

    def _is_doubtful(self, decoded: Decoded) -> bool:
        return decoded.log_probability < LEAST_LOG_PROBABILITY or self._loops(decoded)

    def _loops(self, decoded: Decoded) -> bool:
        return decoded.is_cut or repeats(self._model.text(decoded.tokens))

    def _timed_words(self, heard: _Heard, samples: Samples) -> tuple[Word, ...]:
        tokens, duration_s = heard.decoded.tokens, len(samples) / SAMPLE_RATE_HZ
        places = self._model.align(
            heard.encoded, self._language, heard.prefix, tokens, heard.begin_s + duration_s
        )
        words: list[Word] = []
        earliest_s = 0.0
        for first, end in self._word_bounds(tokens):
            start_s, stop_s = (
                max(earliest_s, min(max(0.0, places[at] - heard.begin_s), duration_s))
                for at in (first, end)
            )
            earliest_s = stop_s = max(start_s, stop_s)
            mean = sum(heard.decoded.log_probabilities[first:end]) / (end - first)
            text = self._model.text(tokens[first:end])
            words += [Word(part, start_s, stop_s, math.exp(mean)) for part in text.split()]
        return tuple(words)

    def _word_bounds(self, tokens: tuple[int, ...]) -> list[tuple[int, int]]:
        """Return first and one past the last token of each word; it begins with its space."""
        begins = [
            at
            for at in range(1, len(tokens))
            if self._model.text(tokens[at : at + 1]).startswith(" ")
        ]
        bounds = zip([0, *begins], [*begins, len(tokens)], strict=True)
        return [(first, end) for first, end in bounds if first < end]


def _confidence(decoded: Decoded) -> float:
    return math.exp(min(0.0, decoded.log_probability))


def _is_speech(decoded: Decoded) -> bool:
    no_speech = decoded.no_speech_probability
    least = next(least for above, least in SPEECH_LOG_PROBABILITY if no_speech > above)
    return decoded.log_probability >= least
