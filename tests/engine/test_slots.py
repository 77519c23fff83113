"""The slots."""

from __future__ import annotations

import gc
import weakref

import pytest

from service.engine.refusals import DrainingError, ServerFullError
from service.engine.slots import Slots


async def test_slots_are_counted_and_freed():
    """A slot is held for its block, also when the block raises; one too many is refused."""
    slots = Slots(1)
    with slots.lease():
        assert slots.taken == 1
        with pytest.raises(ServerFullError, match="--max-streams"), slots.lease():
            pass
    assert slots.taken == 0
    with pytest.raises(KeyError), slots.lease():
        raise KeyError
    assert slots.taken == 0


async def test_a_draining_server_admits_none():
    """Once draining, no slot is given, though some are free."""
    slots = Slots(5)
    slots.drain()
    with pytest.raises(DrainingError), slots.lease():
        pass
    await slots.wait_until_free(0)


async def test_refused_calls_leave_nothing_behind():
    """However many calls a draining server refuses, none of their frames stays reachable."""
    slots = Slots(5)
    slots.drain()

    class Request:
        """What a call holds."""

    def refused() -> weakref.ref[Request]:
        request = Request()
        with pytest.raises(DrainingError):
            slots.check()
        return weakref.ref(request)

    requests = [refused() for _ in range(50)]
    gc.collect()
    assert not any(request() for request in requests)
