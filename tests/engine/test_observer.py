"""What observers are told of decodes and of finals made ahead of time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from service.core.decoding import DecodeJob, JobKind, Segment
from service.core.hypothesis import ContextSegment, Hypothesis, Window
from service.engine.observer import Foresight, Nobody, Timed

AHEAD, FINAL, INTERIM = JobKind.SPECULATIVE_FINAL, JobKind.FINAL, JobKind.INTERIM


class Told(Nobody):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.used: list[bool] = []

    def foreseen(self, *, is_used: bool) -> None:
        self.used.append(is_used)


def job(kind: JobKind, segment_id: int, window: Window | None = None) -> DecodeJob:
    return DecodeJob(kind, Segment(segment_id, 0, 1), window or Window(np.zeros(1, np.float32)))


@pytest.mark.parametrize(
    ("jobs", "is_done", "used"),
    [
        # The segment ended where it was foreseen, and the next one began, or none did.
        ([(AHEAD, 0), (INTERIM, 1)], True, [True]),
        ([(AHEAD, 0), (AHEAD, 1)], True, [True, True]),
        ([(AHEAD, 0), (FINAL, 1)], True, [True]),
        ([(AHEAD, 0)], True, [True]),
        # Speech went on, and the segment ended elsewhere.
        ([(AHEAD, 0), (INTERIM, 0), (FINAL, 0)], True, [False]),
        ([(AHEAD, 0), (INTERIM, 0), (AHEAD, 0)], True, [False, True]),
        # The stream was cut off.
        ([(AHEAD, 0)], False, [False]),
        ([(INTERIM, 0), (FINAL, 0), (INTERIM, 1)], True, []),
    ],
)
def test_what_became_of_a_final_ahead_of_time(jobs, is_done, used):
    """Each one is counted once: used where no other final of its segment was decoded."""
    told = Told()
    foresight = Foresight(told)
    for kind, segment_id in jobs:
        one = job(kind, segment_id)
        foresight.wanted(one)
        foresight.answered(one)
    foresight.end(is_done=is_done)
    foresight.end(is_done=is_done)
    assert told.used == used


@pytest.mark.parametrize(
    ("kind", "told_samples", "heard_s"),
    [(INTERIM, None, 1.0), (FINAL, None, 3.0), (INTERIM, 8_000, 0.5), (FINAL, 64_000, 4.0)],
)
def test_audio_heard_is_what_the_recognizer_tells(kind, told_samples, heard_s):
    """Else an interim hears its segment, and a final what lies before as well."""
    second = np.zeros(16_000, np.float32)
    window = Window(second, (ContextSegment(second, ""), ContextSegment(second, "")))
    hypothesis = Hypothesis(heard_samples=told_samples)
    timed = Timed(job(kind, 0, window), lambda: hypothesis, time.monotonic())
    assert timed() is hypothesis
    assert timed.report.heard_s == heard_s


def test_a_decode_is_timed_and_its_window_measured():
    """Audio heard is the segment's and that of the context, in seconds; failures are timed too."""
    second = np.zeros(16_000, np.float32)
    window = Window(second, (ContextSegment(second, ""), ContextSegment(second, "")))
    wanted_s = time.monotonic() - 5

    def fail() -> None:
        raise OSError

    timed = Timed(job(FINAL, 7, window), fail, wanted_s)
    with pytest.raises(OSError):  # noqa: PT011 - our own
        timed()
    report = timed.report
    assert (report.kind, report.segment_id, report.heard_s) == (FINAL, 7, 3.0)
    assert report.queued_s >= 5
    assert 0 <= report.ran_s < 5
