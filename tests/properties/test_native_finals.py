"""Promise 1 where the recognizer carries its state through a segment: DeepSpeech."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.endpointing import Endpointing
from service.core.events import FinalResult
from service.recognizers.deepspeech import DeepSpeechRecognizer
from tests.driver import Driver
from tests.recognizers.small_deepspeech_model import clips, load_small
from tests.tones import pcm, quiet

CLIPS = [samples for _, samples in clips()]

speech = st.lists(
    st.tuples(st.sampled_from(range(len(CLIPS))), st.sampled_from([0, 100, 300, 600, 1_500])),
    min_size=1,
    max_size=3,
)
cuts = st.lists(st.floats(0, 1), max_size=30)
paces = st.lists(st.integers(0, 3), min_size=1, max_size=8)
endpointings = st.builds(
    Endpointing,
    silence_s=st.sampled_from([0.2, 0.5, None]),
    max_segment_s=st.sampled_from([2.0, 3.0, None]),
)


@pytest.fixture(scope="module")
def recognizer() -> Iterator[DeepSpeechRecognizer]:
    recognizer = load_small(beam_width="64")
    yield recognizer
    recognizer.close()


def _data(spoken: list[tuple[int, int]]) -> bytes:
    pieces = [piece for clip, pause_ms in spoken for piece in (CLIPS[clip], quiet(pause_ms))]
    return pcm(np.concatenate([quiet(200), *pieces]))


def _pieces(data: bytes, places: list[float]) -> list[bytes]:
    edges = [0, *sorted(int(place * len(data)) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


def _offline(recognizer: DeepSpeechRecognizer, spoken, endpointing) -> list[FinalResult]:
    driver = Driver(endpointing, recognizer=recognizer, interim_results=False, hears_ahead=False)
    return driver.run([_data(spoken)])


@settings(max_examples=25, deadline=None)
@given(spoken=speech, endpointing=endpointings, places=cuts, pace=paces)
def test_neither_cuts_nor_pace_change_a_final(recognizer, spoken, endpointing, places, pace):
    """Any split and any delay of the interims: words, places and confidences are the same."""
    paced = Driver(endpointing, recognizer=recognizer)
    turns = itertools.cycle(pace)

    def answer_some(driver: Driver) -> None:
        for _ in range(next(turns)):
            driver.work_once()

    finals = paced.run(_pieces(_data(spoken), places), answer_some)
    assert finals == _offline(recognizer, spoken, endpointing)


@settings(max_examples=10, deadline=None)
@given(streams=st.lists(st.tuples(speech, cuts), min_size=2, max_size=3))
def test_neighbours_do_not_change_a_final(recognizer, streams):
    """Streams that take turns on one model have the finals that each has alone."""
    drivers = [Driver(recognizer=recognizer) for _ in streams]
    pieces = [_pieces(_data(spoken), places) for spoken, places in streams]
    for turn in itertools.zip_longest(*pieces):
        for driver, piece in zip(drivers, turn, strict=True):
            if piece is not None:
                driver.session.feed(piece)
            driver.work_once()
    for driver, (spoken, _) in zip(drivers, streams, strict=True):
        assert driver.run([]) == _offline(recognizer, spoken, Endpointing())


@settings(max_examples=10, deadline=None)
@given(spoken=speech, places=cuts)
def test_stable_text_is_never_retracted(recognizer, spoken, places):
    """The library retracts words as it hears on; what was shown as stable stays."""
    driver = Driver(recognizer=recognizer)
    driver.run(_pieces(_data(spoken), [*places, *(i / 20 for i in range(20))]), Driver.work)
    stable: dict[int, str] = {}
    for interim in driver.interims:
        before = stable.get(interim.segment_id, "")
        assert interim.stable_text.startswith(before)
        assert interim.text.startswith(interim.stable_text)
        stable[interim.segment_id] = interim.stable_text
