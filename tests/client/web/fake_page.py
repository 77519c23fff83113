"""A browser's end of a live session, driven by a test."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from client.web.events import Event
from client.web.live import Stop


@dataclass
class FakePage:
    """What it is told is kept; what it sends is put into `sending`, None for a page that left."""

    sending: asyncio.Queue[bytes | Stop | None] = field(default_factory=asyncio.Queue)
    told: list[Event] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self):
        return await self.sending.get()

    async def tell(self, told):
        self.told.append(told)
        self.news.set()

    def say(self, *blocks):
        for block in blocks:
            self.sending.put_nowait(block)

    @property
    def kinds(self):
        return [told["kind"] for told in self.told]

    async def until(self, kind):
        """Wait until it has been told something of a kind; returns that."""
        while kind not in self.kinds:
            self.news.clear()
            await self.news.wait()
        return next(told for told in self.told if told["kind"] == kind)
