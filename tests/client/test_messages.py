"""Helpers for the contract's messages."""

from hypothesis import given
from hypothesis import strategies as st

from client.messages import joined_text, to_duration, to_seconds
from protos.asr.v1.asr_pb2 import Result


@given(st.integers(-(10**14), 10**14))
def test_durations_survive(nanoseconds):
    """A duration keeps microseconds through seconds and back, for more than a day."""
    seconds = nanoseconds / 1e9
    assert abs(to_seconds(to_duration(seconds)) - seconds) < 1e-6


def test_joined_text():
    """Finals are joined with one space."""
    assert joined_text([Result(text="One."), Result(text="Two.")]) == "One. Two."
    assert joined_text([]) == ""
