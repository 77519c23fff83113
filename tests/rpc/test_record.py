"""The record of a call: how punctual its results were, and what its line in the log says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import LogCapture

from service.core.events import FinalResult, InterimResult, SpeechEnded, SpeechStarted
from service.engine.callers import Caller
from service.rpc.record import Ledger, Punctuality
from service.rpc.status import Failure

STARTED, ENDED = SpeechStarted(0), SpeechEnded(0)


def interim(segment_id: int) -> InterimResult:
    return InterimResult(segment_id, "", "", 0, 1, None)


def final(segment_id: int) -> FinalResult:
    return FinalResult(segment_id, (), "", 0, 1, None, ())


@pytest.mark.parametrize(
    ("moments", "after_s"),
    [
        ([(0, STARTED), (2, interim(0)), (3, interim(0)), (5, ENDED), (6, final(0))], [2, 1]),
        # The next segment is spoken before the final of the one before is there.
        ([(0, STARTED), (1, ENDED), (2, STARTED), (4, final(0)), (5, interim(1))], [3, 3]),
        # A segment without words has no final.
        ([(0, STARTED), (1, ENDED), (2, STARTED), (3, ENDED), (7, final(1))], [4]),
        ([(1, final(0)), (2, interim(0))], []),
    ],
)
def test_results_are_counted_from_what_they_answer(moments, after_s):
    """First interims from noticing speech, finals from the certain end of their own segment."""
    punctuality = Punctuality()
    found = [punctuality.after_s(event, moment) for moment, event in moments]
    assert [one for one in found if one is not None] == after_s


@pytest.fixture
def captured() -> Iterator[LogCapture]:
    """What is logged."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


def test_each_call_has_one_line(captured):
    """Whatever becomes of a call, its line is there, once, with its outcome and code."""
    ledger = Ledger()
    with ledger.record("ListModels", Caller("token:ann", "token-ann")) as one:
        one.succeed()
    with pytest.raises(KeyError), ledger.record("Recognize", Caller("a", "address-1")):
        raise KeyError
    first, second = captured.entries
    assert (first["outcome"], first["code"], first["caller"]) == ("OK", "OK", "token-ann")
    assert (second["outcome"], second["method"]) == ("CANCELLED", "Recognize")
    assert first["real_time_factor"] is None
    assert not ledger.open


def test_a_call_that_fails_says_how_much_audio_had_come(captured):
    """As one that succeeds; a recording as well as a stream."""
    received_s = 0.0
    with Ledger().record("Recognize", Caller("a", "address-1")) as record:
        record.admitted("scripted", lambda: received_s)
        received_s = 2.5
        record.fail(Failure("RECORDING_TOO_SLOW", "it took too long"))
    [line] = captured.entries
    assert line["audio_s"] == record.received_s == 2.5
