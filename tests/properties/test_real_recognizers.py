"""Promises 1 and 2, kept by the recognizers with real weights and real speech."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from service.core.decoding import JobKind
from service.core.events import FinalResult
from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Hypothesis, Samples, Window
from service.detectors import silero
from service.recognizers import registry, whisper
from service.recognizers.base import Recognizer
from service.recognizers.registry import parse_spec
from tests.driver import Driver
from tests.properties import offline
from tests.recognizers.mapped_whisper import checkpoint
from tests.samples import read_sample

SMALL_CTC = Path(__file__).parent.parent / "recognizers" / "small_ctc"

pytestmark = pytest.mark.timeout(400)
"""Whisper hears 30 s each time; under transformers that takes a second of CPU time."""


@dataclass(frozen=True)
class Case:
    """A recognizer, speech with pauses that it understands, and its offline reference."""

    name: str
    load: Callable[[], Recognizer]
    speech: Callable[[], list[Samples]]
    offline: Callable[[], offline.OfflineText]
    examples: int


def _samples() -> list[Samples]:
    return [read_sample(f"{name}.flac") for name in ("command", "kitchen", "bakery")]


def _held_out() -> list[Samples]:
    files = [SMALL_CTC / "held_out" / f"{number:02}.flac" for number in range(5)]
    return [soundfile.read(file, dtype="float32")[0] for file in files]


def _transformers(folder: Path, batch: int = 1) -> Recognizer:
    return registry.load(parse_spec(f"transformers:{folder}?precision=fp32&batch={batch}"), 1, 2)


CASES = (
    Case(
        "whisper",
        lambda: whisper.load("", {}, threads=1, decodes=2),
        _samples,
        offline.whisper_text,
        examples=5,
    ),
    Case(
        "transformers_ctc",
        lambda: _transformers(SMALL_CTC),
        _held_out,
        lambda: offline.ctc_text(SMALL_CTC),
        examples=12,
    ),
    Case(
        "transformers_ctc_batched",
        lambda: _transformers(SMALL_CTC, batch=4),
        _held_out,
        lambda: offline.ctc_text(SMALL_CTC),
        examples=12,
    ),
    Case(
        "transformers_seq2seq",
        lambda: _transformers(checkpoint()),
        _samples,
        lambda: offline.seq2seq_text(checkpoint()),
        examples=2,
    ),
)


@dataclass(frozen=True)
class Heard:
    """A recognizer at work, a recording, and what an undisturbed stream gives for it."""

    case: Case
    recognizer: Recognizer
    new_detector: Callable[[], object]
    pcm: bytes
    driver: Driver
    neighbours: list[tuple[Window, Hypothesis]]

    def new_driver(self, *, interim_results: bool) -> Driver:
        return _driver(self.recognizer, self.new_detector, interim_results=interim_results)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def heard(request: pytest.FixtureRequest) -> Iterator[Heard]:
    case = request.param
    if case.name != "whisper":
        pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    recognizer, new_detector = case.load(), silero.load()
    speech = case.speech()
    pcm = _with_pauses(speech)
    driver = _driver(recognizer, new_detector, interim_results=False)
    driver.run([pcm])
    windows = [Window(samples) for samples in speech[:2]]
    neighbours = [(window, _final(recognizer, window)) for window in windows]
    yield Heard(case, recognizer, new_detector, pcm, driver, neighbours)
    recognizer.close()


def _driver(recognizer, new_detector, *, interim_results: bool) -> Driver:
    return Driver(recognizer=recognizer, new_detector=new_detector, interim_results=interim_results)


def _with_pauses(speech: list[Samples]) -> bytes:
    """Sentences with a second of a quiet room between them, as 16-bit PCM."""
    room = np.random.default_rng(11).normal(0, 1e-4, SAMPLE_RATE_HZ).astype(np.float32)
    pieces = [piece for samples in speech for piece in (samples, room)]
    return (np.concatenate(pieces) * 32_767).astype("<i2").tobytes()


def _final(recognizer: Recognizer, window: Window) -> Hypothesis:
    stream = recognizer.open_stream(DecodeOptions(word_offsets=True))
    hypothesis = stream.final(window)
    stream.close()
    return hypothesis


def _cut(data: bytes, places: list[float], unit: int = 1) -> list[bytes]:
    edges = [0, *sorted(int(place * len(data)) // unit * unit for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


def _disturbed(
    heard: Heard, parts: list[bytes], places: list[float], pace: list[int]
) -> list[FinalResult]:
    """Finals of a stream that is cut and paced so, flushed after each part but the last, and
    whose neighbours are heard at the same time; theirs must be as ever, too."""
    driver = heard.new_driver(interim_results=True)
    turns = itertools.cycle(pace)
    with ThreadPoolExecutor(1) as pool:
        jobs = [pool.submit(_final, heard.recognizer, window) for window, _ in heard.neighbours]
        for number, part in enumerate(parts):
            for piece in _cut(part, places):
                driver.session.feed(piece)
                for _ in range(next(turns)):
                    driver.work_once()
            if number + 1 < len(parts):
                driver.session.flush("")
        finals = driver.run([])
        assert [job.result() for job in jobs] == [final for _, final in heard.neighbours]
    return finals


places = st.lists(st.floats(0, 1), max_size=6)
paces = st.lists(st.integers(0, 1), min_size=1, max_size=5)


def _few(heard: Heard, factor: float = 1.0) -> settings:
    return settings(
        max_examples=max(2, round(factor * heard.case.examples)),
        deadline=None,
        database=None,
        # A failing example of this size is read as it is: each try takes seconds.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def test_neither_cuts_nor_pace_nor_neighbours_change_a_final(heard):
    """Any split, any pace, any neighbours: the same finals, words and offsets included."""
    expected = heard.driver.finals
    assert len(expected) >= 3

    @_few(heard)
    @given(places=places, pace=paces)
    def holds(places, pace):
        assert _disturbed(heard, [heard.pcm], places, pace) == expected

    holds()


def test_a_flush_at_any_place_gives_the_same_finals_each_time(heard):
    """Where flushes lie in the audio decides about finals; cuts, pace and neighbours do not."""

    @_few(heard, 0.5)
    @given(flushes=st.lists(st.floats(0, 1), min_size=1, max_size=2), places=places, pace=paces)
    def holds(flushes, places, pace):
        parts = _cut(heard.pcm, flushes, unit=2)
        plain = heard.new_driver(interim_results=False)
        for part in parts[:-1]:
            plain.session.feed(part)
            plain.session.flush("")
        expected = plain.run(parts[-1:])
        assert expected
        assert _disturbed(heard, parts, places, pace) == expected

    holds()


def test_each_final_is_the_offline_text_of_its_window(heard):
    """Streamed finals are, letter for letter, what the plain library gives for the window."""
    offline_text = heard.case.offline()
    windows = {
        job.segment.segment_id: job.window
        for job in heard.driver.done
        if job.kind is not JobKind.INTERIM
    }
    finals = heard.driver.finals
    assert [final.text for final in finals] == [
        offline_text(windows[final.segment_id]) for final in finals
    ]
    assert any(windows[final.segment_id].context for final in finals)
