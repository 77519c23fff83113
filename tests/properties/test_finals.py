"""Promise 1: finals are a pure function of the audio."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.core.endpointing import Endpointing
from service.recognizers.scripted import VOCABULARY
from tests.driver import Driver
from tests.tones import burst, pcm, quiet

pauses_ms = st.sampled_from([60, 100, 200, 450, 700, 1_200, 2_500, 7_000])
utterances = st.lists(st.tuples(st.sampled_from(VOCABULARY), pauses_ms), min_size=1, max_size=25)
endpointings = st.builds(
    Endpointing,
    silence_s=st.sampled_from([None, 0.2, 0.5, 2.0]),
    max_segment_s=st.sampled_from([None, 2.0, 5.0, 28.0]),
)
cuts = st.lists(st.floats(0, 1), max_size=40)


def _samples(utterance: list[tuple[str, int]]) -> np.ndarray:
    spoken = [piece for word, pause_ms in utterance for piece in (burst(word), quiet(pause_ms))]
    return np.concatenate([quiet(130), *spoken])


def _cut(data: bytes, places: list[float], unit: int = 1) -> list[bytes]:
    edges = [0, *sorted(int(place * len(data)) // unit * unit for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


@settings(max_examples=80, deadline=None)
@given(
    utterance=utterances,
    endpointing=endpointings,
    places=cuts,
    pace=st.lists(st.integers(0, 3), min_size=1, max_size=10),
)
def test_neither_cuts_nor_pace_change_a_final(utterance, endpointing, places, pace):
    """Any split of the bytes and any delay of the answers: the same finals, offset for offset."""
    data = pcm(_samples(utterance))
    whole = Driver(endpointing, interim_results=False).run([data])

    paced = Driver(endpointing)
    turn = iter(range(10**9))

    def answer_some(driver: Driver) -> None:
        for _ in range(pace[next(turn) % len(pace)]):
            driver.work_once()

    assert whole == paced.run(_cut(data, places), answer_some)


@settings(max_examples=80, deadline=None)
@given(utterance=utterances, endpointing=endpointings)
def test_no_word_is_lost_or_doubled_at_a_cut(utterance, endpointing):
    """Wherever segments are cut, the transcript is what was said."""
    driver = Driver(endpointing)
    driver.run([pcm(_samples(utterance))])
    assert " ".join(word for word, _ in utterance) == driver.text


@settings(max_examples=120, deadline=None)
@given(utterance=utterances, places=st.lists(st.floats(0, 1), min_size=1, max_size=6))
# The second flush leaves a segment of the first word's end and 18 ms of the second word.
@example(utterance=[*[("alfa", 60)] * 5, ("alfa", 700), ("alfa", 1_200)], places=[0.0625, 0.109375])
def test_a_flush_at_any_place_loses_and_doubles_no_word(utterance, places):
    """Flushes, also within a word, leave the transcript as it was said."""
    driver = Driver()
    *pieces, last = _cut(pcm(_samples(utterance)), places, unit=2)
    for piece in pieces:
        driver.session.feed(piece)
        driver.session.flush("")
    driver.run([last])
    assert " ".join(word for word, _ in utterance) == driver.text


@settings(max_examples=60, deadline=None)
@given(utterance=utterances, endpointing=endpointings)
def test_stable_text_is_never_retracted(utterance, endpointing):
    """Within a segment, stable text only grows and begins every later text."""
    driver = Driver(endpointing)
    driver.run(_cut(pcm(_samples(utterance)), [i / 50 for i in range(50)]), Driver.work)
    stable: dict[int, str] = {}
    for interim in driver.interims:
        before = stable.get(interim.segment_id, "")
        assert interim.stable_text.startswith(before)
        assert interim.text.startswith(interim.stable_text)
        stable[interim.segment_id] = interim.stable_text


@settings(max_examples=60, deadline=None)
@given(utterance=utterances, choice=st.floats(0, 1))
def test_a_stream_taken_up_again_at_a_final_goes_on_the_same(utterance, choice):
    """The audio from a final's end on gives the same segments as in the unbroken stream."""
    samples = _samples(utterance)
    whole = Driver(interim_results=False)
    finals = whole.run([pcm(samples)])
    broken_at = finals[int(choice * (len(finals) - 1))].end_samples
    rest = Driver(interim_results=False)
    resumed = rest.run([pcm(samples[broken_at:])])
    expected = [
        (final.text, final.start_samples - broken_at, final.end_samples - broken_at)
        for final in finals
        if final.start_samples >= broken_at
    ]
    assert expected == [(final.text, final.start_samples, final.end_samples) for final in resumed]


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=100_000), endpointing=endpointings)
def test_no_bytes_do_harm(data, endpointing):
    """Garbage is listened to like any audio, and segments stay in order and in bounds."""
    driver = Driver(endpointing)
    driver.run([bytes(8) + data])
    end = 0
    for final in driver.finals:
        assert end <= final.start_samples < final.end_samples
        end = final.end_samples
    assert end <= (len(data) + 8) // 2
