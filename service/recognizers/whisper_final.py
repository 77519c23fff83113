"""Finals: a segment in full context, and what guards them.

A final hears the segment behind the speech before it, and has the decoder go on from the
texts of that speech.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    Alternative,
    ContextSegment,
    DecodeOptions,
    Hypothesis,
    Samples,
    Window,
)
from service.recognizers.context import fitting
from service.recognizers.guards import (
    LEAST_LOG_PROBABILITY,
    LEAST_SUPPORT,
    TOKENS_BESIDE,
    has_words,
    most_tokens,
    plain_words,
    repeats,
    without_loops,
)
from service.recognizers.whisper_model import (
    WIDE_BEAM_SIZE,
    Decoded,
    Encoded,
    Prompt,
    WhisperModel,
)
from service.recognizers.whisper_segments import (
    EncodedSegment,
    GrowingSegmentEncoder,
    SegmentEncoder,
)
from service.recognizers.whisper_words import timed_words

SPEECH_LOG_PROBABILITY = ((0.6, -0.5), (0.4, -1.2), (0.0, -1.8))
"""No-speech probability above which a text must be so probable to count as speech.
The paper has one pair, 0.6 and -1.0. Measured on 163 segments of speech, whose no-speech
probabilities reached 0.57, and on 240 pieces of a kitchen's noise, where these let through
a third of the texts that the paper's pair does."""
LOOP_NO_SPEECH = 0.6
"""No-speech probability above which a loop is noise and not worth another try."""
SUPPORT_PADDING_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A decode that is to become a result."""

    encoded: Encoded
    prefix: Sequence[int]
    decoded: Decoded
    begin_s: float
    """Where the segment begins in the encoded window."""
    end_s: float


class FinalDecoder:
    """Decodes finished segments; a pure function of samples, context and options."""

    def __init__(
        self,
        model: WhisperModel,
        segments: SegmentEncoder,
        language: str,
        options: DecodeOptions,
        beam_size: int,
    ) -> None:
        """Use this model, for streams in this language that asked for these options."""
        self._model = model
        self._segments = segments
        self._options = options
        self._language = language
        self._beam_size = beam_size
        self._heard_samples = 0

    def decode(self, window: Window, growing: GrowingSegmentEncoder | None = None) -> Hypothesis:
        """Hear a segment.

        Args:
            window: The segment.
            growing: What has encoded it while it grew, if anything has.
        """
        if not window.samples.any():
            return Hypothesis(heard_samples=0, memory=window.memory)
        self._heard_samples = 0
        segment = growing.whole(window.samples) if growing and window.is_growing else None
        if growing and segment:
            context = growing.context
        else:
            context = self.context(window)
            segment = self._segments.behind(window.samples, context, window.memory, growing)
        self._count(segment.whole)
        heard = (
            self._in_context(window.samples, segment, self._prefix(context)) if context else None
        )
        if heard is None:
            alone = self._count(segment.own(math.inf)) if context else segment.whole
            heard = self._alone(window.samples, alone)
        hypothesis = Hypothesis() if heard is None else self._hypothesis(heard)
        return replace(
            hypothesis,
            heard_samples=self._heard_samples,
            # Without words it is no context of the next segment.
            memory=segment.memory if hypothesis.words else window.memory,
        )

    def context(self, window: Window) -> Sequence[ContextSegment]:
        """Return what of a window's context is heard."""
        return fitting(window, self._model.tokens, self._segments.most_context_s)[0]

    def _in_context(
        self, samples: Samples, segment: EncodedSegment, prefix: Sequence[int]
    ) -> Heard | None:
        """Hear a segment behind what was said before; None if the result is doubtful."""
        decoded = self._decode(segment.whole, samples, prefix)
        if self._is_doubtful(decoded) or not self._supports(segment, decoded.tokens):
            return None
        end_s = segment.begin_s + _duration_s(samples)
        return Heard(segment.whole, prefix, decoded, segment.begin_s, end_s)

    def _alone(self, samples: Samples, encoded: Encoded) -> Heard | None:
        """Hear a segment by itself; None if there is no speech."""
        decoded = self._decode(encoded, samples, doubts_speech=True)
        if not _is_speech(decoded) or (
            decoded.no_speech_probability > LOOP_NO_SPEECH and self._loops(decoded)
        ):
            return None
        if self._is_doubtful(decoded):
            other = self._decode(encoded, samples, beam_size=WIDE_BEAM_SIZE, no_repeat_ngram_size=4)
            decoded = self._without_loops(self._better(decoded, other))
        if not has_words(self._model.text(decoded.tokens)):
            return None
        return Heard(encoded, (), decoded, 0.0, _duration_s(samples))

    def _count(self, encoded: Encoded) -> Encoded:
        self._heard_samples += encoded.encoded_samples
        return encoded

    def _prefix(self, context: Sequence[ContextSegment]) -> list[int]:
        return [token for segment in context for token in self._model.tokens(segment.text)]

    def _decode(
        self,
        encoded: Encoded,
        samples: Samples,
        prefix: Sequence[int] = (),
        *,
        beam_size: int | None = None,
        no_repeat_ngram_size: int = 0,
        doubts_speech: bool = False,
    ) -> Decoded:
        return self._model.decode(
            encoded,
            Prompt(self._language, prefix),
            most_tokens=most_tokens(samples),
            beam_size=beam_size or self._beam_size,
            no_repeat_ngram_size=no_repeat_ngram_size,
            doubts_speech=doubts_speech,
        )[0]

    def _is_doubtful(self, decoded: Decoded) -> bool:
        return (
            decoded.log_probability < LEAST_LOG_PROBABILITY
            or not has_words(self._model.text(decoded.tokens))
            or self._loops(decoded)
        )

    def _loops(self, decoded: Decoded) -> bool:
        return decoded.is_cut or repeats(self._model.text(decoded.tokens))

    def _better(self, first: Decoded, second: Decoded) -> Decoded:
        """Return the one without a loop, or the more probable one."""
        return max(first, second, key=lambda item: (not self._loops(item), item.log_probability))

    def _without_loops(self, decoded: Decoded) -> Decoded:
        words = self._model.text(decoded.tokens).split()
        kept = without_loops(words)
        if kept == words:
            return decoded
        return replace(decoded, tokens=tuple(self._model.tokens(" ".join(kept))))

    def _supports(self, segment: EncodedSegment, tokens: Sequence[int]) -> bool:
        """Whether the segment's own audio bears out a text that was heard in context."""
        encoded = self._count(segment.own(SUPPORT_PADDING_S))
        found = self._model.log_probabilities(encoded, self._language, tokens)
        mean = sum(found) / len(found)
        return mean >= LEAST_SUPPORT

    def _hypothesis(self, heard: Heard) -> Hypothesis:
        if self._options.word_offsets:
            tokens = heard.decoded.tokens
            behind = [*heard.prefix, *tokens]
            times = self._model.align(heard.encoded, self._language, behind)[len(heard.prefix) :]
            words = timed_words(self._model, tokens, times, heard.begin_s, heard.end_s)
        else:
            words = plain_words(self._model.text(heard.decoded.tokens))
        confidence = min(1.0, math.exp(heard.decoded.log_probability))
        return Hypothesis(words, confidence, self._alternatives(heard))

    def _alternatives(self, heard: Heard) -> tuple[Alternative, ...]:
        """Return what else the audio may say; beam search, whatever found the best."""
        count = self._options.max_alternatives
        if count <= 1:
            return ()
        answers = self._model.decode(
            heard.encoded,
            Prompt(self._language, heard.prefix),
            most_tokens=len(heard.decoded.tokens) + TOKENS_BESIDE,
            beam_size=max(WIDE_BEAM_SIZE, count),
            hypotheses=max(WIDE_BEAM_SIZE, count),
        )
        best = self._text(heard.decoded)
        others: dict[str, float] = {}
        for answer in answers:
            text = self._text(answer)
            if text != best and has_words(text) and not self._loops(answer):
                others.setdefault(text, math.exp(answer.log_probability))
        return tuple(Alternative(*other) for other in others.items())[: count - 1]

    def _text(self, decoded: Decoded) -> str:
        return " ".join(self._model.text(decoded.tokens).split())


def _is_speech(decoded: Decoded) -> bool:
    least = next(
        least
        for above, least in SPEECH_LOG_PROBABILITY
        if decoded.no_speech_probability > above or above == 0
    )
    return decoded.log_probability >= least


def _duration_s(samples: Samples) -> float:
    return len(samples) / SAMPLE_RATE_HZ
