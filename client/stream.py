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
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import grpc
import grpc.aio

from client.access import AccessError, Tls, Token
from client.call import GrpcCall
from client.channel import KeepAlive, channel_options
from client.diagnosis import diagnose
from client.errors import NO_TOKEN, RecognitionError, from_status, no_server, not_trusted
from client.messages import joined_text, to_duration, to_seconds
from client.recognition import MESSAGE_BYTES, RecognitionStream
from protos.asr.v1.asr_pb2 import (
    AudioChunk,
    ListModelsRequest,
    ListModelsResponse,
    Model,
    RecognizeRequest,
    RecognizeResponse,
    StreamingConfig,
    Transcript,
)

__all__ = [
    "DEFAULT_SERVER",
    "MESSAGE_BYTES",
    "Client",
    "KeepAlive",
    "RecognitionError",
    "RecognitionStream",
    "StreamingConfig",
    "Tls",
    "Token",
    "joined_text",
    "to_duration",
    "to_seconds",
]

DEFAULT_SERVER = "127.0.0.1:50051"
"""Where `python -m service` listens unless told otherwise."""

RETRY_DELAYS_S = (0.2, 0.5, 1.0)
"""When to ask a server again that had no free slot."""

REFUSED_S = 3.0
"""How long a server is waited for that refuses connections: it may be starting."""

_SERVICE = "/asr.v1.SpeechService/"


# A string, since the class takes parameters in its stubs only.
_Method: TypeAlias = "grpc.aio.StreamStreamMultiCallable[AudioChunk, Transcript]"

_T = TypeVar("_T")


def _serialized(message: AudioChunk) -> bytes:
    return message.SerializeToString()


class Client:
    """A connection to a server. Streams share it; use one per program.

    Entering it connects and raises `RecognitionError` within `connect_timeout_s` where no server
    answers; leaving it ends what is still open.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        connect_timeout_s: float = 10.0,
        keep_alive: KeepAlive | None = None,
        retry: bool = True,
        tls: Tls | None = None,
        token: Token | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Prepare a connection; nothing is sent yet.

        Args:
            server: HOST:PORT.
            connect_timeout_s: How long to wait for the server to answer at all; one that refuses
                connections is waited for `REFUSED_S`, if that is shorter.
            keep_alive: How to notice that a silent server is gone; None means the defaults.
            retry: Ask again, three times within two seconds, when the server has no free slot.
            tls: How to encrypt; None means plain text.
            token: Who calls, for servers that want to know.
            metadata: Sent with every call.
        """
        self.server = server
        self._connect_timeout_s = connect_timeout_s
        self._options = channel_options(server, keep_alive or KeepAlive())
        self._retry_delays_s = RETRY_DELAYS_S if retry else ()
        self._tls = tls
        self._token = token
        self._own_metadata = tuple(metadata)
        self._opened: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        """Connect."""
        # The channel belongs to the running loop, so it cannot be made earlier.
        if self._tls is None:
            self._opened = grpc.aio.insecure_channel(self.server, self._options)
        else:
            credentials = grpc.ssl_channel_credentials(*self._tls.pem())
            self._opened = grpc.aio.secure_channel(self.server, credentials, self._options)
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
        """Open a stream, once the server has a slot for it. Leaving the block cancels the rest.

        Args:
            config: How to recognize; None means the server's default model and PCM_S16LE at
                16 000 Hz in one channel.
        """
        method: _Method = self._channel.stream_stream(
            _SERVICE + "StreamingRecognize",
            request_serializer=_serialized,
            response_deserializer=Transcript.FromString,
        )

        async def open_stream() -> RecognitionStream:
            stream = RecognitionStream(GrpcCall(self.server, method(metadata=self._metadata())))
            try:
                await stream.write(AudioChunk(config=config or StreamingConfig()))
                await stream.granted(min(self._connect_timeout_s, REFUSED_S))
            except BaseException:
                await stream.close()
                raise
            return stream

        stream = await self._asked(open_stream)
        try:
            yield stream
        finally:
            await stream.close()

    async def recognize(
        self, audio: bytes, config: StreamingConfig | None = None
    ) -> RecognizeResponse:
        """Recognize one complete recording: a WAV, FLAC, OGG or MP3 file, or raw samples."""
        request = RecognizeRequest(config=config or StreamingConfig(), audio=audio)
        method = self._channel.unary_unary(
            _SERVICE + "Recognize",
            request_serializer=RecognizeRequest.SerializeToString,
            response_deserializer=RecognizeResponse.FromString,
        )

        async def call() -> RecognizeResponse:
            return await method(request, metadata=self._metadata())

        return await self._asked(call)

    async def models(self) -> list[Model]:
        """List what the server can recognize with, the default model first."""
        method = self._channel.unary_unary(
            _SERVICE + "ListModels",
            request_serializer=ListModelsRequest.SerializeToString,
            response_deserializer=ListModelsResponse.FromString,
        )

        async def call() -> ListModelsResponse:
            return await method(ListModelsRequest(), metadata=self._metadata())

        return list((await self._asked(call)).models)

    async def _asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make a call, again where the server has no room for it, and translate its failure."""
        for delay_s in self._retry_delays_s:
            try:
                return await self._asked_once(call)
            except RecognitionError as error:
                if not error.server_full:
                    raise
            await asyncio.sleep(delay_s)
        return await self._asked_once(call)

    async def _asked_once(self, call: Callable[[], Awaitable[_T]]) -> _T:
        await self._connect()
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            trailing_metadata = error.trailing_metadata() or ()
            raise from_status(
                self.server, error.code().name, error.details() or "", trailing_metadata
            ) from None

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        try:
            proof = self._token.metadata() if self._token is not None else ()
        except AccessError as error:
            raise RecognitionError("UNAUTHENTICATED", str(error), reason=NO_TOKEN) from None
        return (*self._own_metadata, *proof)

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
        soon_s = min(self._connect_timeout_s, REFUSED_S)
        if await self._is_ready_within(soon_s):
            return
        # Neither there nor refused: the server, the network or this machine is only slow.
        if self._channel.get_state() is grpc.ChannelConnectivity.CONNECTING and (
            await self._is_ready_within(self._connect_timeout_s - soon_s)
        ):
            return
        refusal = await diagnose(self.server, self._tls)
        raise not_trusted(refusal) if refusal else no_server(self.server)

    async def _is_ready_within(self, timeout_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._channel.channel_ready(), timeout_s)
            return True
        # Where this program itself stood still, the time-out may be the first to be noticed.
        return self._channel.get_state() is grpc.ChannelConnectivity.READY
