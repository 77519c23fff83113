"""Whisper, by faster-whisper: the default recognizer."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.capabilities import Capabilities
from service.core.hypothesis import DecodeOptions, Hypothesis, Window
from service.recognizers.base import LEAST_SAMPLES
from service.recognizers.context import LONGEST_WINDOW_S
from service.recognizers.whisper_final import FinalDecoder
from service.recognizers.whisper_interim import InterimDecoder
from service.recognizers.whisper_load import load_parts
from service.recognizers.whisper_model import WhisperModel
from service.recognizers.whisper_options import parse_options
from service.recognizers.whisper_segments import GrowingSegmentEncoder, SegmentEncoder

MOST_ALTERNATIVES = 5


def load(
    spec_argument: str, options: Mapping[str, str], threads: int, decodes: int
) -> WhisperRecognizer:
    """Load a model.

    Args:
        spec_argument: Empty for the bundled tiny.en; else the name of a size, which is
            downloaded once, or the path of a CTranslate2 folder.
        options: Any of ``whisper_options``, by name.
        threads: CPU threads of one decode, if the options do not say.
        decodes: Decodes that run at once.

    Raises:
        ModelUnavailableError: says what to install, download or write instead.
    """
    chosen = parse_options(options)
    model, segments = load_parts(spec_argument, chosen, threads, decodes)
    language = chosen.language or model.languages[0]
    return WhisperRecognizer(model, segments, language, chosen.beam_size)


class WhisperRecognizer:
    """Implements Recognizer."""

    def __init__(
        self, model: WhisperModel, segments: SegmentEncoder, language: str, beam_size: int
    ) -> None:
        """Offer a loaded model.

        Args:
            model: The weights.
            segments: What encodes for its decoder.
            language: Of streams that name none. Languages are never guessed: a guess from
                the first words would change with how much of them was heard.
            beam_size: Of finals; 1 is greedy search.
        """
        self._model = model
        self._segments = segments
        self._beam_size = beam_size
        others = [other for other in model.languages if other != language]
        self._capabilities = Capabilities(
            languages=(language, *others),
            longest_window_s=LONGEST_WINDOW_S,
            left_context=True,
            most_context_s=segments.most_context_s if segments.has_memory else None,
            confirm_interval_s=segments.confirm_interval_s,
            confirm_lookahead_s=segments.confirm_lookahead_s,
            word_offsets=True,
            max_alternatives=MOST_ALTERNATIVES,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What Whisper can do; it has no bias for phrases that could be measured."""
        return self._capabilities

    def open_stream(self, options: DecodeOptions) -> WhisperStream:
        """Begin a segment."""
        language = options.language or self._capabilities.languages[0]
        finals = FinalDecoder(self._model, self._segments, language, options, self._beam_size)
        return WhisperStream(self._segments, InterimDecoder(self._model, language), finals)

    def close(self) -> None:
        """Free the weights."""
        self._model.close()


class WhisperStream:
    """Implements RecognizerStream."""

    def __init__(
        self, segments: SegmentEncoder, interims: InterimDecoder, finals: FinalDecoder
    ) -> None:
        """Begin a segment."""
        self._segments = segments
        self._interims = interims
        self._finals = finals
        self._growing: GrowingSegmentEncoder | None = None
        """What was encoded of the segment so far."""

    def interim(self, window: Window) -> Hypothesis:
        """Hear a growing segment."""
        if len(window.samples) < LEAST_SAMPLES:
            return Hypothesis(is_doubtful=True, heard_samples=0)
        return self._interims.decode(window, self._growing_segment(window))

    def final(self, window: Window) -> Hypothesis:
        """Hear a finished segment in full context."""
        if len(window.samples) < LEAST_SAMPLES:
            return Hypothesis(heard_samples=0, memory=window.memory)
        growing = self._growing_segment(window) if window.is_growing else self._growing
        return self._finals.decode(window, growing)

    def close(self) -> None:
        """Nothing outlives a call but what was encoded, and how far interims are settled."""
        self._growing = None

    def _growing_segment(self, window: Window) -> GrowingSegmentEncoder:
        if self._growing is None:
            self._growing = self._segments.growing(self._finals.context(window), window.memory)
        return self._growing
