"""The threads that decode."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import Future
from typing import NoReturn

import pytest

from service.engine.threads import DecodeThreads


@pytest.fixture
def threads():
    threads = DecodeThreads("test", 2)
    yield threads
    threads.close()


def test_decodes_run_at_once(threads):
    """As many decodes run at the same time as there are threads, and are told apart."""
    barrier = threading.Barrier(3)
    release = threading.Event()

    def decode() -> int:
        barrier.wait()
        release.wait()
        return threading.get_ident()

    idle = threading.Semaphore(0)
    futures: list[Future[int]] = [Future(), Future()]
    for future in futures:
        threads.submit(decode, future, idle.release)
    barrier.wait()
    assert len(threads.running) == 2
    release.set()
    assert len({future.result() for future in futures}) == 2
    idle.acquire()
    idle.acquire()
    assert not threads.running


def test_a_failure_is_told_and_the_thread_goes_on(threads):
    """A decode that raises takes no thread with it, nor does an end that nobody hears of."""
    failing: Future[float] = Future()
    fine: Future[str] = Future()

    def nobody_hears() -> None:
        raise RuntimeError("the loop is gone")

    threads.submit(lambda: 1 / 0, failing, nobody_hears)
    threads.submit(lambda: "fine", fine, nobody_hears)
    with pytest.raises(ZeroDivisionError):
        failing.result()
    assert fine.result() == "fine"
    assert threads.is_alive


@pytest.mark.parametrize("exits", [SystemExit, KeyboardInterrupt])
def test_a_decode_that_exits_is_a_failure_like_any_other(threads, exits):
    """What would end the event loop does not get there: whoever waits gets an Exception."""

    def decode() -> NoReturn:
        raise exits

    exiting: Future[NoReturn] = Future()
    threads.submit(decode, exiting, lambda: None)
    with pytest.raises(RuntimeError, match=exits.__name__) as caught:
        exiting.result()
    assert isinstance(caught.value.__cause__, exits)
    assert threads.is_alive


def test_an_idle_thread_holds_nothing(threads):
    """What a decode returned is freed with the last who wants it, not by the next decode."""

    class Answer:
        """Can be referred to weakly."""

    future: Future[Answer] = Future()
    idle = threading.Event()
    threads.submit(Answer, future, idle.set)
    answer = weakref.ref(future.result())
    del future
    idle.wait()
    while answer() is not None:
        pass


def test_closing_waits_for_what_runs_as_long_as_it_may(threads):
    """What has begun is finished; whoever cannot wait is told that it has not ended."""
    release = threading.Event()
    future: Future[bool] = Future()
    threads.submit(release.wait, future, lambda: None)
    assert not threads.close(timeout_s=0)
    release.set()
    assert threads.close()
    assert future.result()
    assert not threads.is_alive
