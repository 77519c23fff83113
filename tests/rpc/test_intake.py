"""What is read of a client that is refused."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from service.engine.refusals import DrainingError
from service.engine.slots import Slots
from service.rpc.intake import Intake
from service.rpc.limits import Limits
from tests.rpc.streams import audio, config


class Talker:
    """A client that sends some messages at once, and then nothing, or goes on for ever."""

    def __init__(self, messages: int, *, is_endless: bool = False) -> None:
        self.left = messages
        self.is_endless = is_endless
        self.said = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left or self.is_endless:
            self.left -= bool(self.left)
            self.said += 1
            await asyncio.sleep(0)
            yield config().SerializeToString()
        await asyncio.Event().wait()


def _intake(talker: Talker) -> Intake:
    return Intake(aiter(talker), Limits())


async def test_a_refused_client_is_heard_out():
    """All that it says without waiting for an answer is read, whether its config was or not."""
    talker = Talker(20)
    async with _intake(talker) as intake:
        await intake.hear_out()
    assert talker.left == 0
    talker = Talker(20)
    async with _intake(talker) as intake:
        await intake.first(asyncio.get_running_loop().create_future())
        assert talker.left == 19
        await intake.hear_out()
    assert talker.left == 0


async def test_one_that_never_stops_is_not_waited_for():
    """Its status comes while it still talks."""
    talker = Talker(0, is_endless=True)
    async with asyncio.timeout(30), _intake(talker) as intake:
        await intake.hear_out()
    assert talker.said > 1


async def test_a_read_that_was_given_up_is_the_last():
    """The network layer would show an end that is none, see tests/grpc_facts."""
    talker = Talker(0)
    async with _intake(talker) as intake:
        reading = asyncio.create_task(intake.hear_out())
        await asyncio.sleep(0)
        await intake.stop()
        await reading
        assert intake.waiting_since_s is not None
        await intake.hear_out()


async def test_an_end_is_an_end():
    """A client that has half-closed is not waited for."""

    async def nobody() -> AsyncIterator[bytes]:
        for message in audio(b"12"):
            yield message.SerializeToString()

    async with asyncio.timeout(30), Intake(nobody(), Limits(first_message_s=0)) as intake:
        await intake.hear_out()


async def test_who_is_refused_while_the_config_is_awaited_leaves_nothing_behind():
    """However many calls wait for their configs when a server stops, none stays reachable."""
    slots = Slots(5)

    async def refused() -> weakref.ref[Intake]:
        async with _intake(Talker(0)) as intake:
            with pytest.raises(DrainingError):
                await intake.first(slots.closing)
            return weakref.ref(intake)

    calls = [asyncio.create_task(refused()) for _ in range(50)]
    await asyncio.sleep(0)
    slots.drain()
    intakes = await asyncio.gather(*calls)
    gc.collect()
    assert not any(intake() for intake in intakes)
