"""Streams that a rolling restart may lose: new ones that keep coming, and open ones.

A stream is lost when a final that it should have had never reached its caller.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from client.messages import to_seconds
from client.stream import Client, RecognitionError, RecognitionStream
from service.recognizers.scripted import VOCABULARY
from tests.tones import pcm, quiet, tones

BYTES_PER_S = 32_000
BLOCK_BYTES = 3_200
LONGEST_PAUSE_S = 2.0
"""In the middle of a new stream, so that many are open when a replica stops."""


@dataclass
class NewStreams:
    """What came of the new streams."""

    opened: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    first_response_s: list[float] = field(default_factory=list)

    async def one(self, client: Client, number: int) -> None:
        """Say a few words with a pause between them; they must all be heard."""
        self.opened += 1
        chance = random.Random(number)
        words = [chance.choice(VOCABULARY) for _ in range(4)]
        heard: list[str] = []
        began_s = time.monotonic()
        try:
            async with client.stream() as stream:
                self.first_response_s.append(time.monotonic() - began_s)
                await stream.send(pcm(tones(words[:2])))
                await asyncio.sleep(chance.uniform(0, LONGEST_PAUSE_S))
                await stream.send(pcm(tones(words[2:])))
                await stream.finish()
                async for transcript in stream:
                    if transcript.HasField("final_result"):
                        heard += transcript.final_result.text.split()
        except RecognitionError as error:
            self.failures[str(error)] += 1
            return
        if heard != words:
            self.failures["a final is missing or wrong"] += 1

    async def keep_coming(
        self, clients: Sequence[Client], rate: float, done: asyncio.Event
    ) -> float:
        """Open so many a second, however slow the servers are; return the rate that was kept."""
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not done.is_set():
                due = int((time.monotonic() - began_s) * rate)
                while self.opened < due:
                    client = clients[self.opened % len(clients)]
                    group.create_task(self.one(client, self.opened))
                    await asyncio.sleep(0)
                await asyncio.sleep(1 / rate)
            took_s = time.monotonic() - began_s
        return self.opened / took_s


class OpenStream:
    """A caller who speaks all the time, and goes on elsewhere when the server stops."""

    def __init__(self, number: int) -> None:
        self._chance = random.Random(-number)
        self._audio = bytearray()
        self._words: list[str] = []
        self._heard: list[str] = []
        self._begin_s = time.monotonic()
        self.told = 0
        """Times that a `stream_ending` made it open another stream."""
        self.cut = 0
        """Times that a status did."""

    @property
    def lost(self) -> bool:
        """Whether a word has not come, came twice, or in another place."""
        return self._heard != self._words

    async def speak(self, client: Client, done: asyncio.Event) -> None:
        """Speak until then."""
        begin = 0
        has_ended = False
        while not has_ended:
            final = 0
            try:
                async with client.stream() as stream:
                    sending = asyncio.create_task(self._send(stream, begin, done))
                    try:
                        async for transcript in stream:
                            if transcript.HasField("final_result"):
                                self._heard += transcript.final_result.text.split()
                            final = round(to_seconds(transcript.final_offset) * BYTES_PER_S / 2) * 2
                            if transcript.HasField("stream_ending"):
                                self.told += 1
                                break
                        else:
                            has_ended = True
                    finally:
                        sending.cancel()
                        await asyncio.gather(sending, return_exceptions=True)
            except RecognitionError as error:
                if error.code != "UNAVAILABLE":
                    raise
                self.cut += 1
            begin += final

    async def _send(self, stream: RecognitionStream, begin: int, done: asyncio.Event) -> None:
        """Send what has been spoken since, then go on at the pace of speech."""
        while True:
            if begin >= len(self._audio):
                if done.is_set():
                    break
                self._say_more()
            block = bytes(self._audio[begin : begin + BLOCK_BYTES])
            begin += len(block)
            await asyncio.sleep(self._begin_s + begin / BYTES_PER_S - time.monotonic())
            await stream.send(block)
        await stream.finish()

    def _say_more(self) -> None:
        words = [self._chance.choice(VOCABULARY) for _ in range(self._chance.randint(2, 8))]
        self._words += words
        self._audio += pcm(np.concatenate([tones(words), quiet(self._chance.randint(200, 1_200))]))
