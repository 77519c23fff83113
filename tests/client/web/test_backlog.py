"""The audio of a live session that is not final yet."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from client.web.backlog import LONGEST_S, UNSETTLED_S, Backlog

BYTES_PER_S = 32_000


async def everything(backlog):
    return b"".join([block async for block in backlog.blocks()])


async def test_blocks_give_what_comes_in_order():
    """A reader gets every byte once, whether it came before it began or while it waited."""
    backlog = Backlog(BYTES_PER_S)
    backlog.add(b"12")
    reading = asyncio.create_task(everything(backlog))
    for block in (b"34", b"56", b"78"):
        await asyncio.sleep(0)
        backlog.add(block)
    backlog.close()
    assert await reading == b"12345678"


@given(st.lists(st.integers(0, 200), max_size=8), st.data())
async def test_a_second_reader_begins_where_the_finals_end(sizes, data):
    """What was forgotten and what is read again add up to all audio, without gap or overlap."""
    backlog = Backlog(BYTES_PER_S)
    whole = b"".join(bytes([n]) * (2 * size) for n, size in enumerate(sizes))
    backlog.add(whole)
    backlog.close()
    assert await everything(backlog) == whole
    final_samples = data.draw(st.integers(0, len(whole) // 2))
    backlog.forget(final_samples / 16_000)
    backlog.forget(final_samples / 16_000 / 2)
    assert backlog.begin_s == final_samples / 16_000
    assert await everything(backlog) == whole[2 * final_samples :]
    assert backlog.received_samples == len(whole) // 2


async def test_forgetting_does_not_disturb_a_reader():
    """Finals that come while a stream is fed take nothing from it that it has not had."""
    backlog = Backlog(BYTES_PER_S)
    backlog.add(bytes(3200))
    blocks = backlog.blocks()
    heard = len(await anext(blocks))
    backlog.forget(0.1)
    backlog.add(b"after")
    backlog.close()
    assert heard == 3200
    assert b"".join([block async for block in blocks]) == b"after"


def test_it_has_a_bound():
    """Nobody is waited for with more than a stated number of seconds of audio."""
    backlog = Backlog(BYTES_PER_S)
    backlog.add(bytes(int((LONGEST_S + UNSETTLED_S) * BYTES_PER_S)))
    assert not backlog.is_full
    backlog.add(b"12")
    assert backlog.is_full


async def test_what_was_taken_long_ago_is_settled():
    """Of audio that streams take, no more is kept than a server can have waiting, so that hours
    of silence, in which no final comes, fill nothing."""
    backlog = Backlog(BYTES_PER_S)
    blocks = backlog.blocks()
    minute = bytes(60 * BYTES_PER_S)
    for _ in range(60):
        backlog.add(minute)
        taken_bytes = 0
        while taken_bytes < len(minute):
            taken_bytes += len(await anext(blocks))
        assert not backlog.is_full
    assert 3600 - UNSETTLED_S - 1 <= backlog.begin_s <= 3600 - UNSETTLED_S
