"""Streaming all clips through the servers, on the schedule."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from client.cli import ExitCode, exit_code_of
from client.errors import RecognitionError
from client.evaluation.conditions import Condition
from client.evaluation.hearing import Hearing, hear
from client.evaluation.manifest import Entry, Problem
from client.evaluation.preparation import Preparation
from client.evaluation.schedule import Slot, make_schedule
from client.pace import Clock
from client.sources import SourceError
from client.stream import Client, StreamingConfig

RETURN_S = 10.0
"""How long a server that went away may take to come back; connecting itself takes up to 3 s."""

_ASK_AGAIN_S = 0.5


@dataclass(frozen=True)
class System:
    """A recognizer under test: a server and one of its models."""

    name: str
    client: Client
    config: StreamingConfig


@dataclass(frozen=True)
class Item:
    """One clip to stream."""

    system: int
    condition: Condition
    entry: Entry
    duration_s: float
    """Under the condition."""


@dataclass(frozen=True)
class Take:
    """What came of an item."""

    item: Item
    hearing: Hearing
    paced: bool
    """Whether it was spoken on a schedule, so that times mean something."""


def plan(
    systems: int, conditions: Sequence[Condition], clips: Sequence[tuple[Entry, float]]
) -> list[Item]:
    """Put the clips in order: each under every condition, one system right after the other.

    Under each condition the systems take turns in going first, clip by clip, so that what changes
    on the machine meets all of them.
    """
    items: list[Item] = []
    for entry_number, (entry, duration_s) in enumerate(clips):
        for condition_number, condition in enumerate(conditions):
            turn = (entry_number + condition_number) % systems
            items += [
                Item(system, condition, entry, condition.duration_s(duration_s))
                for system in [*range(turn, systems), *range(turn)]
            ]
    return items


@dataclass
class Run:
    """One run. Call `stop` to end it early with what was measured so far."""

    systems: Sequence[System]
    preparation: Preparation
    clock: Clock
    paced: bool
    on_done: Callable[[Item], None] = lambda _: None
    takes: list[Take] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _gone: set[int] = field(default_factory=set)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def measure(self, items: Sequence[Item], streams: int) -> None:
        """Stream the items, so many at a time; fills `takes` and `problems`."""
        schedule = make_schedule([item.duration_s for item in items], streams)
        firsts = await asyncio.gather(*(self._prepare(items[lane[0].item]) for lane in schedule))
        begin_s = self.clock.now_s()
        await asyncio.gather(
            *(
                self._speak_lane(items, lane, first, begin_s)
                for lane, first in zip(schedule, firsts, strict=True)
            )
        )
        order = {id(item): number for number, item in enumerate(items)}
        self.takes.sort(key=lambda take: order[id(take.item)])

    async def stop(self) -> None:
        """Begin no further clip."""
        self._stopped.set()

    async def _speak_lane(
        self, items: Sequence[Item], lane: Sequence[Slot], first: bytes | None, begin_s: float
    ) -> None:
        """Speak the clips of one lane; one is prepared while the one before is spoken."""
        pcm = first
        async with asyncio.TaskGroup() as speaking:
            for slot, following in zip(lane, [*lane[1:], None], strict=True):
                start_s = begin_s + slot.start_s if self.paced else None
                # Nobody needs to wait for the turn of a clip that cannot be spoken.
                if start_s is not None and items[slot.item].system not in self._gone:
                    await self._wait_until(start_s)
                if self._stopped.is_set():
                    return
                task = speaking.create_task(self._speak(items[slot.item], pcm, start_s))
                pcm = await self._prepare(items[following.item]) if following else None
                if start_s is None:
                    await task

    async def _wait_until(self, time_s: float) -> None:
        """Wait for a time, or to be stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), max(0.0, time_s - self.clock.now_s()))

    async def _prepare(self, item: Item) -> bytes | None:
        """Make the audio of an item; None where it cannot be."""
        try:
            return await asyncio.to_thread(self.preparation.pcm, item.entry, item.condition)
        except SourceError as error:
            self._note(item, str(error), ExitCode.NOT_AUDIO)
            return None

    async def _speak(self, item: Item, pcm: bytes | None, start_s: float | None) -> None:
        """Stream one item and keep what was heard, or what went wrong."""
        system = self.systems[item.system]
        if pcm is not None and item.system in self._gone:
            self._note(item, "the server had gone away and did not return", ExitCode.SERVER_AWAY)
        elif pcm is not None:
            try:
                hearing = await hear(
                    system.client, pcm, system.config, clock=self.clock, start_s=start_s
                )
                self.takes.append(Take(item, hearing, self.paced))
            except RecognitionError as error:
                self._note(item, str(error), exit_code_of(error))
                if error.server_away and not await self._returns(system):
                    self._gone.add(item.system)
        self.on_done(item)

    async def _returns(self, system: System) -> bool:
        """Wait for a server that went away; False where it does not return in time."""
        deadline_s = self.clock.now_s() + RETURN_S
        while self.clock.now_s() < deadline_s and not self._stopped.is_set():
            try:
                await system.client.models()
            except RecognitionError:
                await self.clock.sleep(_ASK_AGAIN_S)
            else:
                return True
        return False

    def _note(self, item: Item, sentence: str, exit_code: ExitCode) -> None:
        where = f"{item.entry.name}, {item.condition.label}"
        if len(self.systems) > 1:
            where += f", {self.systems[item.system].name}"
        self.problems.append(Problem(where, sentence, exit_code))
