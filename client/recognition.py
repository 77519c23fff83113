"""One open stream, whatever carries it."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import Protocol

from client.errors import RecognitionError
from client.inbox import Inbox
from client.messages import to_duration
from protos.asr.v1.asr_pb2 import AudioChunk, Flush, Silence, StreamEnding, Transcript

MESSAGE_BYTES = 64 * 1024
"""Longer audio is sent as several messages. The contract allows 256 KiB unless the server is
configured otherwise; a quarter of that leaves room for servers with a tighter limit."""


class Call(Protocol):
    """A call of StreamingRecognize. One write and one read may be under way at a time."""

    async def write(self, message: AudioChunk) -> bool:
        """Send a message; False where the call has ended, for whatever reason."""
        ...

    async def done_writing(self) -> None:
        """Half-close."""
        ...

    async def read(self) -> Transcript | None:
        """Wait for the next transcript; None once the call has ended."""
        ...

    async def failure(self) -> RecognitionError | None:
        """Wait for the end of the call; None where it is a good one."""
        ...

    def cancel(self) -> None:
        """End the call if it has not ended."""
        ...


class RecognitionStream:
    """One open stream: send audio, iterate over transcripts, both at once if you like.

    Any number of tasks may send. Cancelling a send or a read harms nothing: a message goes out
    whole or not at all, and a transcript that nobody took is there for the next reader.
    Iteration ends when the server has ended the stream with OK, and raises `RecognitionError`
    when it has ended it otherwise.
    """

    def __init__(self, call: Call) -> None:
        """Take over a call that has just been made. Use `Client.stream` instead."""
        self._call = call
        self._inbox = Inbox()
        self._sending = asyncio.Lock()
        self._half_closed = False
        self._feeding: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._ending: StreamEnding | None = None
        self._receiving = asyncio.create_task(self._receive(), name="asr-receive")

    @property
    def ended(self) -> bool:
        """Whether the server has ended the stream; transcripts may be left to read."""
        return self._receiving.done()

    @property
    def ending(self) -> StreamEnding | None:
        """What the server last said about ending the stream; None while it said nothing.

        It is a transcript as well, and known here as soon as it arrives. After it, open another
        stream and go on there; the finals of what this one was sent still come.
        """
        return self._ending

    async def send(self, audio: bytes) -> bool:
        """Send audio of any length; waits while the server takes no more.

        Returns:
            False once the server listens no longer, as after a single utterance.
        """
        pieces = (audio[at : at + MESSAGE_BYTES] for at in range(0, len(audio), MESSAGE_BYTES))
        for piece in pieces:
            if not await self.write(AudioChunk(audio=piece)):
                return False
        return not self.ended

    async def flush(self, flush_id: str = "") -> bool:
        """Ask for the finals of all audio so far; `flush_done` with the same id follows them."""
        return await self.write(AudioChunk(flush=Flush(id=flush_id)))

    async def silence(self, seconds: float) -> bool:
        """Send that much silence without its bytes; more than 0, at most 60 s."""
        return await self.write(AudioChunk(silence=Silence(duration=to_duration(seconds))))

    async def write(self, message: AudioChunk) -> bool:
        """Send one message of the contract; the methods above are made of this."""
        if self._half_closed:
            raise RuntimeError("nothing can be sent after finish()")
        # Cancelling a gRPC write cancels the whole call. The shield keeps a caller's cancellation
        # from its call, and the lock inside keeps the next message behind this one.
        if await asyncio.shield(asyncio.create_task(self._write(message))):
            return True
        await asyncio.shield(self._receiving)
        if isinstance(self._failure, RecognitionError):
            raise self._failure
        return False

    async def granted(self, timeout_s: float) -> None:
        """Wait for the server's first word: that it has a slot and a model, or why not.

        A server that says nothing in time is taken to be busy, not gone.
        """
        with contextlib.suppress(TimeoutError):
            anything = await asyncio.wait_for(self._inbox.wait(), timeout_s)
            if not anything and self._failure is not None:
                raise self._failure

    def feed(self, blocks: AsyncIterable[bytes]) -> None:
        """Send blocks in the background and half-close after the last.

        What `blocks` raises ends the feeding; the iteration raises it after the finals of what
        was sent.
        """
        if self._feeding is not None:
            raise RuntimeError("the stream is being fed already")
        self._feeding = asyncio.create_task(self._feed(blocks), name="asr-feed")

    async def finish(self) -> None:
        """Stop feeding and half-close: the finals of what was sent follow, then the end."""
        await self._stop_feeding()
        await self._half_close()

    def __aiter__(self) -> AsyncIterator[Transcript]:
        """Iterate over what the server says, until it ends the stream."""
        return self

    async def __anext__(self) -> Transcript:
        """Wait for the next transcript."""
        transcript = await self._inbox.get()
        if transcript is not None:
            return transcript
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def close(self) -> None:
        """Cancel what is unfinished. `Client.stream` does this."""
        await self._stop_feeding()
        self._call.cancel()
        await self._inbox.close()
        await self._receiving

    async def _write(self, message: AudioChunk) -> bool:
        async with self._sending:
            return await self._call.write(message)

    async def _feed(self, blocks: AsyncIterable[bytes]) -> None:
        try:
            async for block in blocks:
                if not await self.send(block):
                    break
        except RecognitionError:
            return  # the iteration raises it
        except Exception as error:  # noqa: BLE001 - the iteration raises it
            self._failure = error
        finally:
            if (close := getattr(blocks, "aclose", None)) is not None:
                await close()
        await self._half_close()

    async def _stop_feeding(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])

    async def _half_close(self) -> None:
        self._half_closed = True
        await asyncio.shield(asyncio.create_task(self._done_writing()))

    async def _done_writing(self) -> None:
        async with self._sending:
            await self._call.done_writing()

    async def _receive(self) -> None:
        """Move transcripts to the inbox until the call ends, then learn how it ended."""
        while (transcript := await self._call.read()) is not None:
            if transcript.HasField("stream_ending"):
                self._ending = transcript.stream_ending
            await self._inbox.put(transcript)
        # A source that failed before is the cause of whatever came of it.
        self._failure = self._failure or await self._call.failure()
        await self._inbox.close()
