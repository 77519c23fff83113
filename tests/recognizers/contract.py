"""The recognizers that the contract suite runs against; one more is one more line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.core.hypothesis import Samples
from service.recognizers import scripted, whisper
from service.recognizers.base import Recognizer
from tests.samples import read_sample
from tests.tones import tones


@dataclass(frozen=True)
class Case:
    """A recognizer, and speech that it understands."""

    name: str
    load: Callable[[], Recognizer]
    speech: Callable[[], tuple[Samples, ...]]
    """Three different segments or more, each of 1 to 6 s with at least three words."""


def _recordings() -> tuple[Samples, ...]:
    return tuple(read_sample(f"{name}.flac") for name in ("kitchen", "bakery", "weather"))


def _tones() -> tuple[Samples, ...]:
    return (
        tones("alfa bravo charlie delta"),
        tones("echo foxtrot golf"),
        tones("hotel india juliett kilo lima"),
    )


CASES = (
    Case("whisper", lambda: whisper.load("", {}, threads=1, workers=2), _recordings),
    Case("scripted", lambda: scripted.load("", {}), _tones),
)
