"""The session as a state machine; the long run is `python -m tests.properties.session_machine`."""

from __future__ import annotations

from tests.properties.session_machine import run

STEPS = 1_000


def test_a_session_says_what_its_model_says():
    """However audio, silences, flushes and answers come, what is said is what was spoken."""
    run(STEPS)
