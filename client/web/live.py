"""One live session: the page's audio goes to a stream, the stream's results to the page.

A session holds one stream at a time, and so one of the server's slots, from its start until the
page stops it or is gone. When the server goes away, the session waits for it and goes on.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from client.errors import RecognitionError
from client.messages import to_seconds
from client.sources import bytes_per_s
from client.stream import RecognitionStream, StreamingConfig
from client.web.backlog import LONGEST_S, Backlog
from client.web.connect import Connect
from client.web.events import Event, event, of_transcript

RETRY_S = 0.5
"""How soon a server is asked again that went away."""

RESULTS = ("interim", "final")


@dataclass(frozen=True)
class Stop:
    """The person has stopped; the page sent so many samples in all."""

    samples: int


class Page(Protocol):
    """The browser's end of a session."""

    async def receive(self) -> bytes | Stop | None:
        """Wait for samples or the end; None where the page is gone."""
        ...

    async def tell(self, told: Event) -> None:
        """Send an event; nothing happens where the page is gone."""
        ...


async def converse(
    connect: Connect,
    config: StreamingConfig,
    page: Page,
    *,
    clock_ms: Callable[[], float] = lambda: time.time() * 1000,
) -> None:
    """Run a session until the page stops it, leaves, or it cannot go on.

    Args:
        connect: Reaches the server.
        config: How to recognize; its `audio_format` is what the page sends.
        page: Whom to listen to and to tell.
        clock_ms: The time of day that results are stamped with, in milliseconds.
    """
    backlog = Backlog(bytes_per_s(config.audio_format))
    session = _Session(connect, config, page, backlog, clock_ms)
    tasks = (
        asyncio.create_task(_listen(page, backlog), name="web-listen"),
        asyncio.create_task(session.recognize(), name="web-recognize"),
    )
    try:
        # A page that is gone ends the session at once: nobody would read its finals.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(page: Page, backlog: Backlog) -> None:
    """Keep what the page sends, until it is gone or nobody takes what it sends."""
    while (received := await page.receive()) is not None:
        if isinstance(received, Stop):
            lost = received.samples - backlog.received_samples
            if lost:
                await page.tell(event("warning", sentence=f"{lost} samples were lost on the way."))
            backlog.close()
            continue
        backlog.add(received)
        if backlog.is_full:
            sentence = f"The server is more than {LONGEST_S:.0f} s behind; listening has stopped."
            await page.tell(event("error", sentence=sentence))
            return


class _Session:
    def __init__(
        self,
        connect: Connect,
        config: StreamingConfig,
        page: Page,
        backlog: Backlog,
        clock_ms: Callable[[], float],
    ) -> None:
        self._connect = connect
        self._config = config
        self._page = page
        self._backlog = backlog
        self._clock_ms = clock_ms
        self._segments = 0
        self._started = False

    async def recognize(self) -> None:
        """Recognize to the end, by as many streams as it takes."""
        gone_at_s: float | None = None
        while True:
            try:
                async with (
                    self._connect() as client,
                    client.stream(self._config) as stream,
                ):
                    await self._page.tell(event("resumed" if self._started else "started"))
                    self._started, gone_at_s = True, None
                    await self._relay(stream)
                    await self._page.tell(event("ended"))
                    return
            except RecognitionError as error:
                now_s = time.monotonic()
                # Only a stream that once stood is worth waiting for: its audio is kept.
                worth_waiting = self._started and error.code == "UNAVAILABLE"
                if not worth_waiting or now_s - (gone_at_s or now_s) > LONGEST_S:
                    await self._page.tell(event("error", sentence=sentence_of(error)))
                    return
                if gone_at_s is None:
                    await self._page.tell(event("waiting", sentence=waiting_sentence(error)))
                    gone_at_s = now_s
            await asyncio.sleep(RETRY_S)

    async def _relay(self, stream: RecognitionStream) -> None:
        begin_s, first_segment = self._backlog.begin_s, self._segments
        stream.feed(self._backlog.blocks())
        async for transcript in stream:
            told = of_transcript(transcript, begin_s, first_segment)
            if told is not None:
                if told["kind"] in RESULTS:
                    told["at_ms"] = self._clock_ms()
                if told["kind"] == "final":
                    self._segments = told["segment"] + 1
                await self._page.tell(told)
            self._backlog.forget(begin_s + to_seconds(transcript.final_offset))


def sentence_of(error: RecognitionError) -> str:
    """Say what went wrong as the page shows it."""
    if error.reason == "SERVER_FULL":
        return f"Every place on the server is taken; try again in a while. ({error.message})"
    sentence = str(error)
    return sentence[0].upper() + sentence[1:] + ("" if sentence.endswith(".") else ".")


def waiting_sentence(error: RecognitionError) -> str:
    """Say that the session goes on by itself."""
    why = _WHY_WAITING.get(error.reason, "does not answer")
    return f"The server {why}. Go on speaking: what you say is kept until it is back."


_WHY_WAITING = {"SERVER_FULL": "has no free place", "DRAINING": "is being stopped or restarted"}
