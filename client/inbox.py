"""Transcripts that have come and are not read yet."""

import asyncio
from collections import deque

from protos.asr.v1 import asr_pb2

CAPACITY_TRANSCRIPTS = 4096
"""Unread transcripts that are kept before reading from the network stops.

A segment makes about three that must be kept (its begin, end and final), and a segment is
seconds long: this is about an hour of speech that nobody reads.
"""


class Inbox:
    """A bounded buffer between the network and the reader.

    It exists so that a caller may send a whole recording before it reads anything: were the
    transcripts left in the network, server and client would wait for each other for ever. An
    unread interim result is replaced by the next one of its segment, as the contract allows.
    """

    def __init__(self, capacity: int = CAPACITY_TRANSCRIPTS) -> None:
        """Make an empty inbox that holds `capacity` transcripts."""
        self._unread: deque[asr_pb2.Transcript] = deque()
        self._capacity = capacity
        self._closed = False
        self._changed = asyncio.Condition()

    async def put(self, transcript: asr_pb2.Transcript) -> None:
        """Keep a transcript; waits while the inbox is full."""
        async with self._changed:
            if self._replaces_newest(transcript):
                self._unread[-1] = transcript
                return
            await self._changed.wait_for(lambda: len(self._unread) < self._capacity or self._closed)
            self._unread.append(transcript)
            self._changed.notify_all()

    async def get(self) -> asr_pb2.Transcript | None:
        """Take the oldest transcript; None once the inbox is closed and empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._unread) or self._closed)
            if not self._unread:
                return None
            self._changed.notify_all()
            return self._unread.popleft()

    async def wait(self) -> bool:
        """Wait until there is something to take or nothing will come; returns which."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._unread) or self._closed)
            return bool(self._unread)

    async def close(self) -> None:
        """Say that nothing more will come."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _replaces_newest(self, transcript: asr_pb2.Transcript) -> bool:
        """Whether the transcript makes the newest unread one pointless."""
        if not self._unread or transcript.WhichOneof("event") != "interim_result":
            return False
        newest = self._unread[-1]
        return (
            newest.WhichOneof("event") == "interim_result"
            and newest.interim_result.segment_id == transcript.interim_result.segment_id
        )
