"""Reading on a thread."""

import contextlib
import os
import threading

import pytest

from client.prefetch import prefetched


async def test_everything_in_order():
    """All blocks come, in order, read on another thread."""
    threads = set()

    def blocks():
        for number in range(100):
            threads.add(threading.current_thread().name)
            yield bytes([number])

    assert [block async for block in prefetched(blocks)] == [bytes([n]) for n in range(100)]
    assert threads == {"audio-reader"}


async def test_errors_come_after_the_blocks():
    """What reading raises is raised after what was read before."""

    def blocks():
        yield b"1"
        raise ValueError("torn")

    async with contextlib.aclosing(prefetched(blocks)) as items:
        assert await anext(items) == b"1"
        with pytest.raises(ValueError, match="torn"):
            await anext(items)


async def test_reading_stays_a_few_blocks_ahead():
    """A slow consumer stops the reading, and leaving closes what is read from."""
    read = []
    closed = threading.Event()

    def blocks():
        try:
            while True:
                read.append(1)
                yield b"x"
        finally:
            closed.set()

    async with contextlib.aclosing(prefetched(blocks, depth=3)) as items:
        for _ in range(10):
            await anext(items)
    assert closed.wait(50)
    assert len(read) <= 10 + 3 + 2


async def test_leaving_while_a_read_never_returns():
    """Nobody waits for a read of a pipe to which nothing is written."""
    reading, writing = os.pipe()

    def blocks():
        yield b"first"
        yield os.read(reading, 1)

    async with contextlib.aclosing(prefetched(blocks)) as items:
        assert await anext(items) == b"first"
    os.close(writing)
