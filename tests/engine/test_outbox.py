"""What waits for a slow reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.events import Cursors, FinalResult, InterimResult, SpeechStarted, Update
from service.engine.outbox import Outbox


def _interim(text: str) -> Update:
    return Update(InterimResult(0, text, "", 0, 1, None), Cursors())


def _final(text: str) -> Update:
    return Update(FinalResult(0, (), text, 0, 1, None, ()), Cursors())


def _started(offset: int) -> Update:
    return Update(SpeechStarted(offset), Cursors())


async def _drain(outbox: Outbox) -> list[Update]:
    return [update async for update in outbox]


async def test_only_the_newest_unread_interim_is_kept():
    """Of the interims that were not read, the newest stands where it happened."""
    outbox = Outbox()
    outbox.extend([_interim("a"), _started(1), _interim("a b"), _interim("a b c")])
    outbox.close()
    assert await _drain(outbox) == [_started(1), _interim("a b c")]


async def test_a_final_supersedes_the_interim_before_it():
    """An interim that its final overtakes is not sent any more."""
    outbox = Outbox()
    outbox.extend([_interim("a"), _final("a b"), _interim("c")])
    outbox.close()
    assert await _drain(outbox) == [_final("a b"), _interim("c")]


async def test_an_error_comes_after_what_was_there_before():
    """A failing stream still yields what had happened; the first error counts."""
    outbox = Outbox()
    outbox.extend([_final("a")])
    outbox.fail(KeyError("first"))
    outbox.fail(ValueError("second"))
    updates = aiter(outbox)
    assert await anext(updates) == _final("a")
    with pytest.raises(KeyError, match="first"):
        await anext(updates)


@given(st.lists(st.one_of(st.builds(_interim, st.text()), st.builds(_final, st.text()))))
async def test_no_final_is_ever_lost(updates):
    """Whatever waits, finals keep their number and order, and one interim waits at most."""
    outbox = Outbox()
    for update in updates:
        outbox.extend([update])
    assert len(outbox) <= 1 + sum(isinstance(update.event, FinalResult) for update in updates)
    outbox.close()
    read = await _drain(outbox)
    finals = [update for update in updates if isinstance(update.event, FinalResult)]
    assert [update for update in read if isinstance(update.event, FinalResult)] == finals
    if updates:
        assert read[-1] == updates[-1]
