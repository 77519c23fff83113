"""Who is next in the line; the order itself is tested with the scheduler."""

from __future__ import annotations

from concurrent.futures import Future

from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.line import LEAST_CALLERS, Line


def _nothing(_: bool) -> None:
    """Have nothing to do."""


def _push(line: Line, caller: str, due_s: float = 0.0) -> Future[None]:
    future: Future[None] = Future()
    line.push(caller, due_s, _nothing, future)
    return future


@settings(deadline=None)
@given(
    turns=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.booleans())),
)
def test_everybody_who_has_not_left_has_a_turn(turns):
    """Each turn once, however many leave; who is late by most of one caller's goes first."""
    line = Line()
    futures = [_push(line, caller, due_s) for caller, due_s, _ in turns]
    for future, (_, _, leaves) in zip(futures, turns, strict=True):
        if leaves:
            future.cancel()
    stay = [turn for turn in turns if not turn[2]]
    assert len(line) == len(stay)
    served = []
    while (turn := line.pop()) is not None:
        served.append((turns[futures.index(turn.future)][0], turn.due_s))
    assert len(line) == 0
    for caller in "abc":
        assert [due for one, due in served if one == caller] == sorted(
            due for one, due, _ in stay if one == caller
        )


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(5, 30))
def test_shares_are_equal_while_all_wait(callers, each):
    """At no time has one caller had two turns more than another."""
    line = Line()
    names = {
        _push(line, str(number)): str(number) for number in range(callers) for _ in range(each)
    }
    had = dict.fromkeys(names.values(), 0)
    for _ in range(callers * each):
        had[names[line.pop().future]] += 1
        assert max(had.values()) - min(had.values()) <= 1


def test_callers_who_have_gone_are_forgotten():
    """A line that is never empty does not remember everyone who was ever in it."""
    line = Line()
    _push(line, "always")
    for number in range(10_000):
        _push(line, f"caller {number}")
        _push(line, "always")
        line.pop()
        line.pop()
        assert len(line) == 1
    assert len(line._callers) <= 2 * LEAST_CALLERS
    assert len(line._heads) <= 2 * LEAST_CALLERS
