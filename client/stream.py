"""The client library: stream speech to a server and read what it hears.

    from client.stream import Client, StreamingConfig

    async with Client("127.0.0.1:50051") as client:
        async with client.stream(StreamingConfig(interim_results=True)) as stream:
            stream.feed(blocks)  # an async iterator of bytes: 16 kHz, mono, 16 bit
            async for transcript in stream:
                if transcript.HasField("final_result"):
                    print(transcript.final_result.text)

Messages are those of the contract, `protos/asr/v1/asr.proto`; every failure is a
`RecognitionError`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import grpc
import grpc.aio

from client.channel import KeepAlive, channel_options
from client.errors import RecognitionError, from_status, no_server
from client.inbox import Inbox
from client.messages import joined_text, to_duration, to_seconds
from protos.asr.v1.asr_pb2 import (
    AudioChunk,
    Flush,
    ListModelsRequest,
    ListModelsResponse,
    Model,
    RecognizeRequest,
    RecognizeResponse,
    Silence,
    StreamingConfig,
    Transcript,
)

__all__ = [
    "DEFAULT_SERVER",
    "Client",
    "KeepAlive",
    "RecognitionError",
    "RecognitionStream",
    "StreamingConfig",
    "joined_text",
    "to_duration",
    "to_seconds",
]

DEFAULT_SERVER = "127.0.0.1:50051"
"""Where `python -m service` listens unless told otherwise."""

MESSAGE_BYTES = 64 * 1024
"""Longer audio is sent as several messages. The contract allows 256 KiB unless the server is
configured otherwise; a quarter of that leaves room for servers with a tighter limit."""

_SERVICE = "/asr.v1.SpeechService/"


class Client:
    """A connection to a server. Streams share it; use one per program.

    Entering it connects and raises `RecognitionError` within `connect_timeout_s` where no server
    answers; leaving it ends what is still open.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        connect_timeout_s: float = 3.0,
        keep_alive: KeepAlive | None = None,
        retry: bool = True,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Prepare a connection; nothing is sent yet.

        Args:
            server: HOST:PORT.
            connect_timeout_s: How long to wait for the server to answer at all.
            keep_alive: How to notice that a silent server is gone; None means the defaults.
            retry: Ask again, up to three times within some two seconds, when the server has no
                free slot.
            credentials: How to encrypt; None means plain text.
            metadata: Sent with every call, such as a token.
        """
        self.server = server
        self._connect_timeout_s = connect_timeout_s
        self._options = channel_options(server, keep_alive or KeepAlive(), retry=retry)
        self._credentials = credentials
        self._metadata = tuple(metadata)
        self._opened: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        """Connect."""
        # The channel belongs to the running loop, so it cannot be made earlier.
        if self._credentials is None:
            self._opened = grpc.aio.insecure_channel(self.server, self._options)
        else:
            self._opened = grpc.aio.secure_channel(self.server, self._credentials, self._options)
        try:
            await self._connect()
        except BaseException:
            await self._opened.close()
            raise
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self._channel.close()

    @contextlib.asynccontextmanager
    async def stream(
        self, config: StreamingConfig | None = None
    ) -> AsyncIterator["RecognitionStream"]:
        """Open a stream. Leaving the block cancels what is unfinished.

        Args:
            config: How to recognize; None means the server's default model and PCM_S16LE at
                16 000 Hz in one channel.
        """
        await self._connect()
        method: _Method = self._channel.stream_stream(
            _SERVICE + "StreamingRecognize",
            request_serializer=_serialized,
            response_deserializer=Transcript.FromString,
        )
        stream = RecognitionStream(self.server, method(metadata=self._metadata))
        try:
            await stream.write(AudioChunk(config=config or StreamingConfig()))
            yield stream
        finally:
            await stream.close()

    async def recognize(
        self, audio: bytes, config: StreamingConfig | None = None
    ) -> RecognizeResponse:
        """Recognize one complete recording: a WAV, FLAC, OGG or MP3 file, or raw samples."""
        request = RecognizeRequest(config=config or StreamingConfig(), audio=audio)
        await self._connect()
        method = self._channel.unary_unary(
            _SERVICE + "Recognize",
            request_serializer=RecognizeRequest.SerializeToString,
            response_deserializer=RecognizeResponse.FromString,
        )
        try:
            return await method(request, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from None

    async def models(self) -> list[Model]:
        """List what the server can recognize with, the default model first."""
        await self._connect()
        method = self._channel.unary_unary(
            _SERVICE + "ListModels",
            request_serializer=ListModelsRequest.SerializeToString,
            response_deserializer=ListModelsResponse.FromString,
        )
        try:
            return list((await method(ListModelsRequest(), metadata=self._metadata)).models)
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from None

    @property
    def _channel(self) -> grpc.aio.Channel:
        if self._opened is None:
            raise RuntimeError("use the client in a block: async with Client(...) as client")
        return self._opened

    async def _connect(self) -> None:
        """Wait until the server answers. Costs nothing while the connection stands.

        Without this a call to a server that is away would fail with a status that names sockets
        or, told to wait, would wait for ever.
        """
        try:
            await asyncio.wait_for(self._channel.channel_ready(), self._connect_timeout_s)
        except TimeoutError:
            raise no_server(self.server) from None

    def _failure(self, error: grpc.aio.AioRpcError) -> RecognitionError:
        trailing_metadata = error.trailing_metadata() or ()
        return from_status(self.server, error.code().name, error.details() or "", trailing_metadata)


# Strings, since these classes take parameters in their stubs only.
_Call: TypeAlias = "grpc.aio.StreamStreamCall[AudioChunk, Transcript]"
_Status: TypeAlias = tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]]
_Method: TypeAlias = "grpc.aio.StreamStreamMultiCallable[AudioChunk, Transcript]"

_T = TypeVar("_T")

_CALL_ENDED = (
    grpc.RpcError,
    grpc.aio.BaseError,
    asyncio.InvalidStateError,
    asyncio.CancelledError,
)
"""What gRPC raises when one writes to a call that has ended, or ends meanwhile."""


def _serialized(message: AudioChunk) -> bytes:
    return message.SerializeToString()


class RecognitionStream:
    """One open stream: send audio, iterate over transcripts, both at once if you like.

    Any number of tasks may send. Cancelling a send or a read harms nothing: a message goes out
    whole or not at all, and a transcript that nobody took is there for the next reader.
    Iteration ends when the server has ended the stream with OK, and raises `RecognitionError`
    when it has ended it otherwise.
    """

    def __init__(self, server: str, call: _Call) -> None:
        """Take over a call that has just been made. Use `Client.stream` instead."""
        self._server = server
        self._call = call
        self._inbox = Inbox()
        self._sending = asyncio.Lock()
        self._half_closed = False
        self._feeding: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._status: asyncio.Future[_Status] = asyncio.get_running_loop().create_future()
        call.add_done_callback(self._keep_first_status)
        self._receiving = asyncio.create_task(self._receive(), name="asr-receive")

    @property
    def ended(self) -> bool:
        """Whether the server has ended the stream; transcripts may be left to read."""
        return self._receiving.done()

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
        """Send one message; False where the call has ended, for whatever reason."""
        async with self._sending:
            try:
                await self._call.write(message)
            # The exception may lie about the status, as `_keep_first_status` says.
            except _CALL_ENDED:
                return False
            return True

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
            with contextlib.suppress(*_CALL_ENDED):
                await self._call.done_writing()

    async def _receive(self) -> None:
        """Move transcripts to the inbox until the call ends, then learn its status."""
        try:
            while isinstance(transcript := await self._call.read(), Transcript):
                await self._inbox.put(transcript)
        except (grpc.RpcError, asyncio.CancelledError):
            pass  # the status below says which
        code, details, trailing_metadata = await self._status
        if code is not grpc.StatusCode.OK:
            self._failure = from_status(self._server, code.name, details, trailing_metadata)
        await self._inbox.close()

    def _keep_first_status(self, call: _Call) -> None:
        """Keep the status that the server sent.

        gRPC replaces it by INTERNAL when a write fails because the call has just ended
        (https://github.com/grpc/grpc/issues/36066). It calls this each time, the server's first.
        """
        if not self._status.done():
            self._status.set_result(
                (
                    _at_once(call.code()),
                    _at_once(call.details()) or "",
                    tuple(_at_once(call.trailing_metadata()) or ()),
                )
            )


def _at_once(answer: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that has nothing to wait for, where awaiting is impossible."""
    try:
        answer.send(None)
    except StopIteration as stop:
        value: _T = stop.value
        return value
    answer.close()
    raise RuntimeError("gRPC does not know the status of a call that has ended")
