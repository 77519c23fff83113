"""Paced streams against WhisperLive, in its own WebSocket protocol.

It has no flush: a text is final where the server marks its segment as completed, which it
does when a later segment follows or when it has heard the same words some ten times. So

- the final of a clip is the first message in which the completed segments cover its speech
- an interim is a message whose newest segment reaches further than all before
- after the last audio the connection stays open and silent, as WhisperLive's own client
  keeps it, until everything is completed, for at most CLIENT_PATIENCE_S; then END_OF_AUDIO

The transcript is what its own client keeps: the completed segments and the last other one.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.load_scripts import REACH_S, Record, Script, until_due

CLIENT_PATIENCE_S = 15.0
"""WhisperLive's client leaves when it has heard nothing for so long."""
LOADING_S = 60.0
"""For the first client, which has the model loaded."""
END_OF_AUDIO = b"END_OF_AUDIO"


@dataclass
class Follower:
    """Follows what a WhisperLive server says of one stream. Times are after its begin."""

    script: Script
    record: Record
    completed: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Texts by begin, end and text: the server repeats its latest segments in every message."""
    open_text: str = ""
    """The segment that may still change."""
    reached_s: float = 0.0
    interim_at_s: float | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Everything that was said is final."""

    def take(self, message: dict[str, Any], now_s: float) -> None:
        """Take a message; those without segments tell nothing."""
        segments = message.get("segments")
        if not segments:
            return
        begin = len(self.completed)
        self.open_text = ""
        for segment in segments:
            if segment["completed"]:
                key = (segment["start"], segment["end"], segment["text"])
                self.completed[key] = segment["text"].strip()
            else:
                self.open_text = segment["text"].strip()
        self._note_interim(float(segments[-1]["end"]), now_s, is_new=len(self.completed) > begin)
        completed_s = max((float(end) for _, end, _ in self.completed), default=0.0)
        answered = len(self.record.final_s)
        for end_s, speech_end_s in zip(
            self.script.ends_s[answered:], self.script.speech_ends_s[answered:], strict=True
        ):
            if completed_s < speech_end_s - REACH_S:
                break
            self.record.final_s.append(now_s - end_s)
        if len(self.record.final_s) == len(self.script.clips):
            self.answered.set()

    def end(self) -> None:
        """Keep the transcript."""
        texts = [*self.completed.values(), self.open_text]
        self.record.finals = [text for text in texts if text]

    def _note_interim(self, end_s: float, now_s: float, *, is_new: bool) -> None:
        if end_s <= self.reached_s:
            return
        self.reached_s = end_s
        self.record.shows(self.script.speech_ends_s, end_s, now_s)
        self.record.interim_lag_s.append(now_s - end_s)
        if self.interim_at_s is not None and not is_new:
            self.record.interim_gap_s.append(now_s - self.interim_at_s)
        self.interim_at_s = now_s


async def play_all(address: str, scripts: Sequence[Script]) -> list[Record]:
    """Run the streams at once, each on a connection of its own."""
    begin_s = time.monotonic() + 0.5
    return await asyncio.gather(*(_play(address, script, begin_s) for script in scripts))


async def _play(address: str, script: Script, begin_s: float) -> Record:
    record = Record()
    follower = Follower(script, record)
    start_s = begin_s + script.start_s
    try:
        # Pings would be answered late by a busy server, and end the stream.
        async with connect(f"ws://{address}", max_size=None, ping_interval=None) as connection:
            await _open(connection)
            # A stream begins when the server takes it, so that loading costs it nothing.
            start_s = max(start_s, time.monotonic())
            reading = asyncio.create_task(_read(connection, follower, start_s))
            for message in script.messages():
                await until_due(start_s + message.due_s, record)
                await connection.send(message.pcm)
            with suppress(TimeoutError):
                async with asyncio.timeout(CLIENT_PATIENCE_S):
                    await follower.answered.wait()
            await connection.send(END_OF_AUDIO)
            # The server closes the connection, and says nothing more.
            async with asyncio.timeout(CLIENT_PATIENCE_S):
                await reading
    except (OSError, TimeoutError, websockets.WebSocketException, RefusedError) as error:
        record.failure = f"{type(error).__name__}: {error}"
    follower.end()
    return record


class RefusedError(Exception):
    """The server does not take the stream."""


async def _open(connection: ClientConnection) -> None:
    options = {
        "uid": str(uuid.uuid4()),
        "language": "en",
        "task": "transcribe",
        "model": "tiny.en",
        "use_vad": True,
        "audio_format": "int16",
    }
    await connection.send(json.dumps(options))
    async with asyncio.timeout(LOADING_S):
        answer = json.loads(await connection.recv())
    if answer.get("message") != "SERVER_READY":
        raise RefusedError(f"{answer.get('status')}: {answer.get('message')}")


async def _read(connection: ClientConnection, follower: Follower, start_s: float) -> None:
    async for data in connection:
        follower.take(json.loads(data), time.monotonic() - start_s)
