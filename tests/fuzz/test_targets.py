"""The targets of the coverage-guided fuzzing, with bytes made here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import Mutator
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=3_000))
def test_any_bytes_do_no_harm(name, data):
    """Whatever the bytes are, nothing is raised but what a client is told."""
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_nearly_right_bytes_do_no_harm(name):
    """The same with messages that are nearly right."""
    mutator = Mutator(16)
    for _ in range(300):
        for message in mutator.request()[1]:
            TARGETS[name](message)
