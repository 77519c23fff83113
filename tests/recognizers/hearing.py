"""Hearing recordings with the default recognizer, and how many words come out wrong."""

from __future__ import annotations

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

from service.core.hypothesis import ContextSegment, DecodeOptions, Hypothesis, Samples, Window
from service.recognizers import whisper


def final(
    recognizer: whisper.WhisperRecognizer,
    samples: Samples,
    context: tuple[ContextSegment, ...] = (),
    options: DecodeOptions | None = None,
) -> Hypothesis:
    """Return the final of a segment behind this context."""
    return recognizer.open_stream(options or DecodeOptions()).final(Window(samples, context))


def error_rate(references: list[str], heard: list[str]) -> float:
    """Return the part of the words that is wrong, without regard to how they are written."""
    normalize = EnglishTextNormalizer()
    return jiwer.wer([normalize(text) for text in references], [normalize(text) for text in heard])
