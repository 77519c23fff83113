"""Promise 1 with workers: finals are, bit for bit, those of the model in the server's process."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    Alternative,
    ContextSegment,
    DecodeOptions,
    Hypothesis,
    Samples,
    Window,
    Word,
)
from service.recognizers import registry, whisper
from service.recognizers.base import Recognizer
from service.recognizers.registry import parse_spec
from service.workers.__main__ import Decoder
from service.workers.messages import ANSWER, TASK, Answer, Decode, release, released
from service.workers.remote import RemoteRecognizer
from tests.driver import Driver
from tests.recognizers.contract import SMALL_CTC, _deepspeech_clips, _held_out, _recordings, _tones
from tests.recognizers.small_deepspeech_model import SMALL, functions
from tests.tones import pcm, quiet
from tests.workers.pools import Watched, remote

pytestmark = pytest.mark.timeout(900)
"""Whisper hears 30 s each time, and torch is loaded by three processes; beside other tests, on a
busy machine, that takes minutes."""


@dataclass(frozen=True)
class Case:
    """A model, speech that it understands, and how often to try."""

    spec: str
    speech: Callable[[], tuple[Samples, ...]]
    examples: int


CASES = {
    "scripted": Case("scripted", _tones, 30),
    "whisper": Case("whisper", _recordings, 2),
    "small_ctc": Case(SMALL_CTC, _held_out, 6),
    "deepspeech": Case(SMALL, _deepspeech_clips, 8),
}


@dataclass(frozen=True)
class Both:
    """A model in this process and in two workers, and speech with pauses."""

    case: Case
    here: Recognizer
    there: RemoteRecognizer
    data: bytes
    watched: Watched


@pytest.fixture(scope="module", params=CASES)
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    case = CASES[request.param]
    if request.param == "small_ctc":
        pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    if request.param == "deepspeech":
        functions()
    here = registry.load(registry.parse_spec(case.spec), 1, 2)
    watched = Watched(case.spec)
    there = remote(case.spec, watched.roster)
    pieces = [piece for samples in case.speech() for piece in (samples, quiet(1_000))]
    yield Both(case, here, there, pcm(np.concatenate([quiet(200), *pieces])), watched)
    there.close()
    here.close()


def _cut(data: bytes, places: list[float]) -> list[bytes]:
    edges = [0, *sorted(int(place * len(data)) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


def test_neither_cuts_nor_pace_nor_processes_change_a_final(both):
    """Any split and any delay of the answers, beside a neighbour: the finals of one process."""
    expected = Driver(recognizer=both.here, interim_results=False).run([both.data])
    assert len(expected) >= 3

    @settings(
        max_examples=both.case.examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        places=st.lists(st.floats(0, 1), max_size=20),
        pace=st.lists(st.integers(0, 2), min_size=1, max_size=8),
    )
    def holds(places, pace):
        turns = itertools.cycle(pace)

        def answer_some(driver: Driver) -> None:
            for _ in range(next(turns)):
                driver.work_once()

        paced = Driver(recognizer=both.there)
        with ThreadPoolExecutor(1) as pool:
            neighbour = Driver(recognizer=both.there, interim_results=False)
            beside = pool.submit(neighbour.run, [both.data])
            assert paced.run(_cut(both.data, places), answer_some) == expected
            assert beside.result() == expected

    holds()


def test_every_option_crosses(both):
    """What is asked for, and all that is answered, is the same as in one process."""
    capabilities = both.here.capabilities
    assert both.there.capabilities == capabilities
    options = DecodeOptions(
        language=capabilities.languages[0] if capabilities.languages else "",
        word_offsets=capabilities.word_offsets,
        max_alternatives=capabilities.max_alternatives,
    )
    streams = [recognizer.open_stream(options) for recognizer in (both.here, both.there)]
    for samples in both.case.speech():
        part = Window(samples[: len(samples) // 2])
        here, there = (stream.interim(part) for stream in streams)
        assert here == there
        agreed = tuple(word.text for word in here.words[:2]) if here else ()
        for stream in streams:
            stream.interim(Window(samples, agreed_words=agreed))
    here, there = (stream.final(Window(both.case.speech()[-1])) for stream in streams)
    assert here == there
    assert here.heard_samples == there.heard_samples
    assert here.words
    for stream in streams:
        stream.close()


def test_a_stream_that_loses_its_worker_keeps_its_finals(both):
    """Workers that are killed between the decodes of a stream leave no trace in its finals."""
    expected = Driver(recognizer=both.here, interim_results=False).run([both.data])
    driver = Driver(recognizer=both.there)
    kills = itertools.count()

    def kill_some(driver: Driver) -> None:
        driver.work_once()
        home = getattr(driver.segment[1], "_home", None) if driver.segment else None
        if home is not None and next(kills) < 2:
            # So that there is another one to go on in.
            both.watched.wait_for(lambda pids: len(pids) == 2)
            pid = home[0].pid
            os.kill(pid, signal.SIGKILL)
            both.watched.wait_for(lambda pids: pid not in pids)

    assert driver.run(_cut(both.data, [i / 12 for i in range(1, 12)]), kill_some) == expected
    assert next(kills) > 0


finite = st.floats(allow_nan=False, allow_infinity=False)
confidences = st.none() | finite
hypotheses = st.builds(
    Hypothesis,
    words=st.lists(
        st.builds(Word, st.text(), st.none() | finite, st.none() | finite, confidences), max_size=4
    ).map(tuple),
    confidence=confidences,
    alternatives=st.lists(st.builds(Alternative, st.text(), confidences), max_size=3).map(tuple),
    is_doubtful=st.booleans(),
    heard_samples=st.none() | st.integers(0, 2**40),
)


@given(hypothesis=hypotheses)
def test_hypotheses_cross_bit_for_bit(hypothesis):
    """Any text and any number come out as they went in."""
    crossed = ANSWER.validate_json(ANSWER.dump_json(Answer(hypothesis))).hypothesis
    assert repr(crossed) == repr(hypothesis)


def test_what_a_final_leaves_behind_stays_in_its_worker():
    """The next final goes on from it there; without it the context is heard again."""
    first, second = _recordings()[:2]
    recognizer = remote("whisper")
    try:
        before = recognizer.open_stream(DecodeOptions()).final(Window(first))
        window = Window(second, (ContextSegment(first, before.text),), memory=before.memory)
        known = recognizer.open_stream(DecodeOptions()).final(window)
        lost = recognizer.open_stream(DecodeOptions()).final(replace(window, memory=None))
    finally:
        recognizer.close()
    assert known.heard_samples == len(second)
    assert lost.heard_samples == len(first) + len(second)
    assert known == lost


def test_a_worker_forgets_what_nobody_can_ask_for():
    """What passes through a hypothesis unchanged keeps its number; what is freed is gone."""
    decoder = Decoder(whisper.load("", {}, threads=1, decodes=1), pytest.fail)
    samples = _recordings()[0][: 2 * SAMPLE_RATE_HZ]
    request = Decode(0, DecodeOptions(), True, len(samples), (), ())
    number = decoder.answer(request, samples).memory
    silence = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    silent = replace(request, options=None, samples=len(silence), memory=number)
    assert decoder.answer(silent, silence).memory == number
    freed, is_memory = released(release(number, is_memory=True))
    decoder.free(freed, is_memory=is_memory)
    assert decoder.answer(silent, silence).memory is None
    assert decoder._memories == {}


def test_what_one_worker_has_chosen_by_time_the_others_take():
    """A worker that measured by itself might compute in another precision than its neighbours."""
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    spec = SMALL_CTC.replace("precision=fp32", "precision=auto")
    watched = Watched(spec)
    recognizer = remote(spec, watched.roster)

    def precisions() -> list[str]:
        """As each worker was told it: what its spec says last is what counts."""
        commands = [psutil.Process(pid).cmdline()[-1] for pid in watched.pids]
        specs = [TASK.validate_json(command).spec for command in commands]
        return sorted(parse_spec(spec).options["precision"] for spec in specs)

    assert len(precisions()) == 2
    chosen = next(name for name in precisions() if name != "auto")
    assert precisions() == sorted(["auto", chosen])
    first = next(
        pid for pid in watched.pids if "&precision" not in psutil.Process(pid).cmdline()[-1]
    )
    os.kill(first, signal.SIGKILL)
    watched.wait_for(lambda pids: first not in pids)
    watched.wait_for(lambda pids: len(pids) == 2)
    assert precisions() == [chosen, chosen]
    recognizer.close()
