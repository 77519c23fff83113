"""Workers that die, hang, or cannot start; and that nothing is left of them."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from service.core.errors import InvalidFieldError
from service.core.hypothesis import DecodeOptions, Window
from service.engine.refusals import WorkerFailedError
from service.recognizers.base import ModelUnavailableError
from service.recognizers.doubt import MAX_FAILURES
from service.recognizers.scripted import ScriptedRecognizer
from service.workers.messages import RemoteError
from service.workers.pool import Backoff, WorkerPool
from service.workers.remote import RemoteRecognizer, RemoteStream
from service.workers.roster import Roster
from tests.tones import tones
from tests.workers.faulty_worker import (
    BREAKS,
    EXITS,
    FAULTS,
    HANGS,
    IS_KILLED,
    RAISES,
    REFUSED,
    REFUSES,
    SPOILED,
)
from tests.workers.pools import (
    HANGS_S,
    MODULE,
    Watched,
    faulty_workers,
    launch,
    no_replacements,
)

MODEL = "scripted"
WINDOW = Window(tones("alfa bravo charlie"))


@pytest.fixture
def watched() -> Watched:
    return Watched(MODEL)


@pytest.fixture
def spoiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While this file is there, workers do not become ready."""
    file = tmp_path / "spoiled"
    monkeypatch.setenv(SPOILED, str(file))
    return file


@pytest.fixture
def recognizer(watched: Watched) -> Iterator[RemoteRecognizer]:
    """Two workers."""
    with faulty_workers():
        pool = WorkerPool(MODEL, launch(HANGS_S), 2, watched.roster)
        yield RemoteRecognizer(pool)
        pool.close()


def _hear(recognizer: RemoteRecognizer, words: str) -> str:
    stream = recognizer.open_stream(DecodeOptions())
    try:
        return stream.final(Window(tones(words))).text
    finally:
        stream.close()


@pytest.mark.parametrize("word", [IS_KILLED, EXITS, FAULTS, HANGS])
def test_a_worker_that_fails_costs_its_decode_and_is_replaced(recognizer, watched, word):
    """The decode ends with WORKER_FAILED, another worker serves at once, and a new one comes."""
    before = watched.pids
    with pytest.raises(WorkerFailedError):
        _hear(recognizer, f"alfa {word}")
    assert _hear(recognizer, "alfa") == "alfa"
    after = watched.wait_for(lambda pids: len(pids) == 2 and pids != before)
    assert len(after & before) == 1
    assert watched.roster.losses == {MODEL: 1}
    for _ in range(4):
        assert _hear(recognizer, "golf") == "golf"


def test_decodes_in_the_other_worker_do_not_notice(recognizer, watched):
    """While one worker is killed by its decode, those in the other have their results."""
    expected = ScriptedRecognizer().open_stream(DecodeOptions()).final(WINDOW)
    stream = recognizer.open_stream(DecodeOptions())
    with ThreadPoolExecutor(1) as pool:
        dying = pool.submit(_hear, recognizer, f"alfa {HANGS}")
        # One hangs in a worker; all these go to the other one.
        heard = [stream.final(WINDOW)]
        while not dying.done():
            heard.append(stream.final(WINDOW))
        assert isinstance(dying.exception(), WorkerFailedError)
    assert all(hypothesis == expected for hypothesis in heard)
    assert len(watched.wait_for(lambda pids: len(pids) == 2)) == 2


def test_a_segment_goes_on_in_another_worker(recognizer, watched):
    """A worker that dies between two decodes of a segment costs nothing."""
    stream = recognizer.open_stream(DecodeOptions())
    stream.interim(Window(WINDOW.samples[:8_000]))
    assert isinstance(stream, RemoteStream)
    assert stream._home is not None
    home = stream._home[0].pid
    os.kill(home, signal.SIGKILL)
    watched.wait_for(lambda pids: home not in pids)
    expected = ScriptedRecognizer().open_stream(DecodeOptions()).final(WINDOW)
    assert stream.final(WINDOW) == expected
    stream.close()


def test_a_worker_that_had_died_before_it_was_asked_costs_nothing(recognizer, watched):
    """Until its death is noticed decodes are given to it; they are done by the other one."""
    dead = recognizer._pool._ready[0]
    with no_replacements():
        os.kill(dead.pid, signal.SIGKILL)
        watched.wait_for(lambda pids: dead.pid not in pids)
        # As it was before the pool had noticed.
        dead._is_usable = True
        with recognizer._pool._lock:
            recognizer._pool._ready.insert(0, dead)
        assert _hear(recognizer, "alfa") == "alfa"
        assert not dead.is_usable
        with recognizer._pool._lock:
            recognizer._pool._ready.remove(dead)
    assert len(watched.wait_for(lambda pids: len(pids) == 2)) == 2


def test_without_any_worker_streams_are_refused(recognizer, watched):
    """While none is ready a segment cannot begin; it can when one has come."""
    before = watched.pids
    with no_replacements():
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        watched.wait_for(lambda pids: not pids)
        with pytest.raises(WorkerFailedError):
            recognizer.open_stream(DecodeOptions())
    watched.wait_for(lambda pids: len(pids) == 2 and not pids & before)
    assert _hear(recognizer, "alfa") == "alfa"


def test_a_model_that_kills_its_workers_is_started_ever_more_slowly(recognizer, watched):
    """Time and again a worker dies, and each time there is another one in the end."""
    for losses in range(1, 4):
        with pytest.raises(WorkerFailedError):
            _hear(recognizer, EXITS)
        watched.wait_for(
            lambda pids, losses=losses: len(pids) == 2 and watched.roster.losses == {MODEL: losses}
        )
    assert _hear(recognizer, "alfa") == "alfa"


def test_the_wait_before_a_replacement_doubles_and_is_forgotten():
    """None at first, then 0.5 s and twice as much each time, up to 5 s; a long life resets."""
    backoff = Backoff()
    assert [backoff.delay_s(1.0) for _ in range(5)] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert max(backoff.delay_s(59.9) for _ in range(10)) == 5.0
    assert [backoff.delay_s(60.0), backoff.delay_s(0.0)] == [0.0, 0.5]


def test_a_replacement_that_hangs_while_it_loads_is_killed(recognizer, watched, spoiled):
    """What others have loaded before takes no longer than a stated time; then it is tried anew."""
    spoiled.touch()
    victim, other = watched.pids
    os.kill(victim, signal.SIGKILL)
    watched.wait_for(lambda pids: pids == {other})
    hanging = []
    while not hanging:
        hanging = [new for new in _workers() if new.pid not in {victim, other}]
    psutil.wait_procs(hanging)
    spoiled.unlink()
    assert victim not in watched.wait_for(lambda pids: len(pids) == 2)
    assert watched.roster.losses == {MODEL: 1}


def test_a_later_worker_that_hangs_while_it_loads_ends_the_start(spoiled):
    """For what the first one has loaded, nobody waits forever at the start either."""
    with faulty_workers(), pytest.raises(ModelUnavailableError, match="may hang"):
        WorkerPool(MODEL, launch(HANGS_S), 2, Roster(spoiled.touch))
    assert not _workers()


def test_a_worker_whose_every_decode_raises_is_replaced(recognizer, watched):
    """It draws no streams to itself for long: it fails on our own audio, too, and ends."""
    before = watched.pids
    with pytest.raises(RemoteError):
        _hear(recognizer, f"alfa {BREAKS}")
    while watched.pids == before:
        with suppress(RemoteError, WorkerFailedError):
            assert _hear(recognizer, "alfa") == "alfa"
    watched.wait_for(lambda pids: len(pids) == 2 and pids != before)
    assert watched.roster.losses == {MODEL: 1}
    for _ in range(4):
        assert _hear(recognizer, "golf") == "golf"


def test_audio_that_no_decode_survives_costs_no_worker(recognizer, watched):
    """However many decodes in a row raise, a sound model goes on."""
    before = watched.pids
    for _ in range(4 * MAX_FAILURES):
        with pytest.raises(RemoteError):
            _hear(recognizer, f"alfa {RAISES}")
    assert _hear(recognizer, "alfa") == "alfa"
    assert watched.pids == before


def test_errors_cross_as_what_they_are(recognizer):
    """A client's error has its sentence, field and details; any other one its stack."""
    with pytest.raises(InvalidFieldError, match="no papa here") as refusal:
        _hear(recognizer, REFUSES)
    assert (refusal.value.field, refusal.value.metadata) == ("phrases[0].text", {"limit": "0"})
    with pytest.raises(RemoteError, match="of paper") as failure:
        _hear(recognizer, RAISES)
    assert "faulty_worker.py" in str(failure.value)
    stream = recognizer.open_stream(DecodeOptions(language=REFUSED))
    for _ in range(2):
        with pytest.raises(InvalidFieldError, match="Klingon"):
            stream.final(WINDOW)
    assert _hear(recognizer, "alfa") == "alfa"


def test_a_window_that_is_too_long_harms_nobody(recognizer):
    """It is a fault of ours, and the lane is free again."""
    stream = recognizer.open_stream(DecodeOptions())
    for _ in range(3):
        with pytest.raises(ValueError, match="the longest one is 448000"):
            stream.final(Window(tones("alfa " * 120)))
    assert stream.final(Window(tones("alfa"))).text == "alfa"
    stream.close()


def test_a_model_that_cannot_be_loaded_says_why():
    """The sentence is the one that the recognizer has for it, and no process is left."""
    with pytest.raises(ModelUnavailableError, match="takes no argument"):
        WorkerPool("x", launch(spec="scripted:nothing"), 2, Roster())
    assert not _workers()


def test_a_process_that_dies_while_it_loads_is_a_model_that_cannot_be_loaded():
    """Its end is the sentence."""
    with (
        no_replacements(),
        pytest.raises(ModelUnavailableError, match="'scripted' ended with status 1"),
    ):
        WorkerPool("x", launch(), 2, Roster())
    assert not _workers()


def test_closing_leaves_nothing_behind(watched):
    """No process is left, no pipe, and none of the shared memory."""
    before = _held()
    pool = WorkerPool(MODEL, launch(), 2, watched.roster)
    recognizer = RemoteRecognizer(pool)
    assert _hear(recognizer, "alfa") == "alfa"
    assert len(_workers()) == 2
    recognizer.close()
    recognizer.close()
    assert not _workers()
    assert watched.pids == frozenset()
    assert watched.roster.losses == {MODEL: 0}
    del pool, recognizer
    assert not _held() - before


def test_workers_that_were_replaced_leave_nothing_behind(recognizer, watched):
    """However often one dies in a decode, no pipe and no memory of it is kept."""
    before = len(_held())
    for losses in range(1, 4):
        with pytest.raises(WorkerFailedError):
            _hear(recognizer, IS_KILLED)
        watched.wait_for(
            lambda pids, losses=losses: len(pids) == 2 and watched.roster.losses == {MODEL: losses}
        )
    assert len(_held()) <= before


def _held() -> frozenset[str]:
    """Return the shared memory, pipes and files of this process, by their numbers.

    Exceptions of tests before this one may hold some until they are collected.
    """
    gc.collect()
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    held = {f"memory:{line.split()[4]}" for line in maps if "memfd:windows" in line}
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - a Path keeps it open meanwhile
        with suppress(FileNotFoundError):
            held.add(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115 - not a file's path
    return frozenset(held)


def _workers() -> list[psutil.Process]:
    """Whoever else is a child of the process that runs the tests is not meant."""
    return [child for child in psutil.Process().children() if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return not {"service.workers", MODULE}.isdisjoint(process.cmdline())
    return False
