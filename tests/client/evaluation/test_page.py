"""Charts and the marked text of clips."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.evaluation.accuracy import compare
from client.evaluation.charts import Bar, Line, bar_chart, line_chart, ticks
from client.evaluation.page import marked
from tests.client.evaluation.test_evaluate import Tags

THOUSANDTHS = st.integers(-(10**6), 10**6).map(lambda number: number / 1000)
"""As exact as any figure that is charted."""


@given(THOUSANDTHS, THOUSANDTHS.map(abs))
def test_ticks_hold_the_values_and_are_even(least, span):
    """Axes reach over what they show, in a few even steps, even where all values are one."""
    found = ticks(least, least + span)
    steps = [second - first for first, second in itertools.pairwise(found)]
    assert 2 <= len(found) <= 9
    assert found[0] <= least + 1e-6 * max(1, abs(least))
    assert found[-1] >= least + span - 1e-6 * max(1, abs(least + span))
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)


def test_names_from_files_cannot_break_the_page():
    """Whatever a manifest or a server says is shown, never obeyed."""
    evil = "<script>alert('x')</script>"
    chart = line_chart(evil, evil, evil, [Line(evil, [(0, 0), (1, 0)])])
    bars = bar_chart(evil, evil, [Bar(evil, 0, 0, 0, 0)], [evil])
    text = marked(compare("a <b> c", f"a {evil}"))
    for markup in (chart, bars, text):
        assert "script" not in Tags(markup).seen
        assert "&lt;script&gt;" in markup


def test_errors_are_marked():
    """What was not heard is struck out, what was heard instead is underlined."""
    assert marked(compare("one two three", "one too three four")) == (
        "one <del>two</del> <ins>too</ins> three <ins>four</ins>"
    )
