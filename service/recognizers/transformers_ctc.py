"""wav2vec2 and every other CTC model of Hugging Face transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from service.core.agreed_words import beginning_with
from service.core.capabilities import Capabilities
from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    Alternative,
    DecodeOptions,
    Hypothesis,
    Samples,
    Window,
    Word,
    without_places,
)
from service.recognizers.base import LEAST_SAMPLES
from service.recognizers.transformers_beam import readings
from service.recognizers.transformers_ctc_model import GRID_S, CtcModel
from service.recognizers.transformers_fusion import Fusion, LanguageModel
from service.recognizers.transformers_lm import load_language_model
from service.recognizers.transformers_options import TransformersOptions
from service.recognizers.transformers_stitch import Frames, Stitcher, on_grid
from service.recognizers.transformers_tokens import (
    Token,
    align,
    best_path,
    confidence,
    own_frames,
)

LONGEST_WINDOW_S: Final = 30.0
"""The time and memory of attention grow with its square."""
MOST_ALTERNATIVES: Final = 5


def load(folder: Path, options: TransformersOptions, language: str) -> CtcRecognizer:
    """Load a folder; ``language`` is that of the model, empty if it is not known.

    A model with weights for each language says itself which it was loaded for.

    Raises:
        ModelUnavailableError: says what to install, download or write instead.
    """
    words = load_language_model(options.lm, options.alpha, options.beta) if options.lm else None
    model = CtcModel(folder, options)
    return CtcRecognizer(model, options, model.language or language, words)


class CtcRecognizer:
    """Implements Recognizer."""

    def __init__(
        self,
        model: CtcModel,
        options: TransformersOptions,
        language: str,
        words: LanguageModel | None = None,
    ) -> None:
        """Offer a loaded model, whose finals a model of words may help."""
        self.model = model
        self._words = words
        self._options = options
        self._capabilities = Capabilities(
            languages=(language,) if language else (),
            longest_window_s=LONGEST_WINDOW_S,
            left_context=options.context_s > 0,
            word_offsets=True,
            max_alternatives=MOST_ALTERNATIVES,
            phrases=True,
            batch_size=model.batch_size,
        )

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """How many batches there have been of each size."""
        return self.model.batch_sizes

    @property
    def settled_options(self) -> Mapping[str, str]:
        """The precision, which may have been chosen by the time that it took."""
        return {"precision": self.model.precision}

    @property
    def capabilities(self) -> Capabilities:
        """What a CTC model can do."""
        return self._capabilities

    def open_stream(self, options: DecodeOptions) -> CtcStream:
        """Begin a segment."""
        return CtcStream(self.model, self._options, options, self._words)

    def close(self) -> None:
        """Free the weights."""
        self.model.close()


class CtcStream:
    """Implements RecognizerStream."""

    def __init__(
        self,
        model: CtcModel,
        options: TransformersOptions,
        decode_options: DecodeOptions,
        words: LanguageModel | None,
    ) -> None:
        """Begin a segment."""
        self._model = model
        self._words_model = words
        self._beam_width = options.beam_width
        self._decode_options = decode_options
        self._context_samples = round(options.context_s * SAMPLE_RATE_HZ)
        self._stitcher = Stitcher(self._frames_in(options.left_s), self._frames_in(options.right_s))

    def interim(self, window: Window) -> Hypothesis:
        """Hear what a growing segment has gained, with context on both sides."""
        samples = window.samples
        if len(samples) < LEAST_SAMPLES:
            return Hypothesis(is_doubtful=True, heard_samples=0)
        if not samples.any():
            return Hypothesis(tuple(map(Word, window.agreed_words)), heard_samples=0)
        self._stitcher.shorten(len(samples) // self._model.frame_samples)
        begin = self._stitcher.window_begin * self._model.frame_samples
        frames = self._stitcher.add(self._hear_newest(samples))
        tokens = best_path(frames, self._model.vocabulary.blank)
        words = without_places(self._words(tokens, samples))
        return Hypothesis(
            beginning_with(window.agreed_words, words),
            confidence(tokens),
            heard_samples=len(samples) - begin,
        )

    def final(self, window: Window) -> Hypothesis:
        """Hear a finished segment at once, in full context."""
        samples = window.samples
        if len(samples) < LEAST_SAMPLES or not samples.any():
            return Hypothesis(heard_samples=0)
        before = self._context(window)
        frames = self._model.hear(np.concatenate([before, samples]), is_final=True)
        first_frame = round(len(before) / self._model.frame_samples)
        blank = self._model.vocabulary.blank
        fusion = self._fusion(window)
        own = frames[own_frames(frames, blank, first_frame) :]
        if fusion is None:
            tokens = best_path(frames, blank, first_frame)
        else:
            ((indices, _),) = readings(own, blank, 1, fusion, self._beam_width)
            offset = len(frames) - len(own) - first_frame
            tokens = [token.later(offset) for token in align(own, indices, blank)]
        words = self._words(tokens, samples)
        if not self._decode_options.word_offsets:
            words = without_places(words)
        others = self._alternatives(own, tokens, fusion)
        return Hypothesis(
            words,
            confidence(tokens) if words else None,
            others,
            heard_samples=len(before) + len(samples),
        )

    def close(self) -> None:
        """Nothing outlives a call but the frames that interims have settled."""

    def _context(self, window: Window) -> Samples:
        """Return the newest samples before the segment, up to the context that is wanted.

        So many that both together are a multiple of half a second long: finals that are due at
        the same time then often have the same length, and can be heard at once. Whether they
        are makes no difference to how much is heard.
        """
        if not self._context_samples or not window.context:
            return np.zeros(0, dtype=np.float32)
        before = np.concatenate([segment.samples for segment in window.context])
        own = len(window.samples)
        longest = round(LONGEST_WINDOW_S * SAMPLE_RATE_HZ)
        heard = min(own + min(self._context_samples, len(before)), longest)
        heard -= heard % round(GRID_S * SAMPLE_RATE_HZ)
        return before[len(before) - max(0, heard - own) :]

    def _fusion(self, window: Window) -> Fusion | None:
        """Return what is known beside the audio, None if nothing is: then greedy is right."""
        phrases = self._decode_options.phrases
        if not phrases and self._words_model is None:
            return None
        history = " ".join(segment.text for segment in window.context).split()
        return Fusion(self._model.vocabulary, phrases, self._words_model, history)

    def _hear_newest(self, samples: Samples) -> Frames:
        """Return the frames of a growing segment that are not settled, from ``window_begin``."""
        frame_samples, grid_frames = self._model.frame_samples, self._model.grid_frames
        begin = self._stitcher.window_begin * frame_samples
        if grid_frames == 1:
            return self._model.hear(samples[begin:], is_final=False)
        whole_frames = samples[: len(samples) // frame_samples * frame_samples]
        heard, more = on_grid(whole_frames, begin, grid_frames * frame_samples)
        return self._model.hear(heard, is_final=False)[more // frame_samples :]

    def _words(self, tokens: list[Token], samples: Samples) -> tuple[Word, ...]:
        frame_s = self._model.frame_samples / SAMPLE_RATE_HZ
        return self._model.vocabulary.words(tokens, frame_s, len(samples) / SAMPLE_RATE_HZ)

    def _alternatives(
        self, frames: Frames, tokens: list[Token], fusion: Fusion | None
    ) -> tuple[Alternative, ...]:
        count = self._decode_options.max_alternatives
        if count <= 1:
            return ()
        vocabulary = self._model.vocabulary
        best = vocabulary.text([token.index for token in tokens])
        others: dict[str, float] = {}
        found = readings(frames, vocabulary.blank, 4 * count, fusion, self._beam_width)
        for indices, log_probability in found:
            text = vocabulary.text(indices)
            if text and text != best:
                mean = log_probability / max(1, len(indices))
                others.setdefault(text, float(np.exp(min(0.0, mean))))
        return tuple(Alternative(*other) for other in others.items())[: count - 1]

    def _frames_in(self, seconds: float) -> int:
        return round(seconds * SAMPLE_RATE_HZ / self._model.frame_samples)
