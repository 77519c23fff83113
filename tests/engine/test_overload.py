"""More work than the threads can do: what gives way first, and what never does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import numpy as np
import pytest

from service.core.decoding import INTERIMS, JobKind
from service.core.events import Event, FinalResult
from service.core.vad import EnergyDetector
from service.engine.engine import Engine, Model
from service.engine.observer import Decode, Nobody
from service.engine.refusals import ServerFullError
from service.engine.request import StreamRequest
from service.engine.slots import Slots
from service.engine.stream import LiveStream
from tests.engine.gated import GatedRecognizer
from tests.rpc.streams import until
from tests.tones import pcm, quiet, tones

SLOTS = 3
WORDS = "alfa bravo charlie delta echo foxtrot golf hotel india juliett"
PIECES = [tones(word) for word in WORDS.split()] + [quiet(1_000)]
REQUEST = StreamRequest(interim_results=True)


@dataclass
class Counting(Nobody):
    """Keeps what was decoded of a stream."""

    kinds: list[JobKind] = field(default_factory=list)

    def decoded(self, decode: Decode) -> None:
        self.kinds.append(decode.kind)

    @property
    def interims(self) -> int:
        return sum(kind in INTERIMS for kind in self.kinds)


def _engine() -> tuple[GatedRecognizer, Engine]:
    recognizer = GatedRecognizer()
    return recognizer, Engine([Model("gated", recognizer, 1)], EnergyDetector, Slots(SLOTS))


async def _finals(live: LiveStream) -> list[Event]:
    return [u.event async for u in live.updates() if isinstance(u.event, FinalResult)]


async def _undisturbed() -> tuple[list[Event], int]:
    """Return the finals of a stream whose every interim is decoded before it goes on."""
    recognizer, engine = _engine()
    recognizer.gate.set()
    counting = Counting()
    async with engine.stream(REQUEST, "", counting) as live:
        heard_s = 0.0
        for piece in PIECES[:-1]:
            await live.audio(pcm(piece))
            heard_s += len(piece) / 16_000
            # An interim is due with each 0.5 s of new speech.
            due = int(heard_s)
            await until(lambda due=due: counting.interims >= due)
        await live.audio(pcm(PIECES[-1]))
        await live.finish()
        finals = await _finals(live)
    engine.close()
    return finals, counting.interims


async def test_interims_give_way_then_new_streams_and_finals_never():
    """Without time to decode interims become rarer, one stream too many is refused at once, and
    those that were admitted have the finals that each has alone.
    """
    alone, interims_alone = await _undisturbed()
    recognizer, engine = _engine()
    counting = [Counting() for _ in range(SLOTS)]
    async with AsyncExitStack() as streams:
        live = [
            await streams.enter_async_context(engine.stream(REQUEST, "", each)) for each in counting
        ]
        # Not one decode ends, whatever comes.
        for each in live:
            await each.audio(pcm(np.concatenate(PIECES)))
        with pytest.raises(ServerFullError):
            await streams.enter_async_context(engine.stream(REQUEST))
        recognizer.gate.set()
        for each in live:
            await each.finish()
        assert await asyncio.gather(*map(_finals, live)) == [alone] * SLOTS
    engine.close()
    assert sum(each.interims for each in counting) <= 1 < interims_alone
