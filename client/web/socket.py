"""The WebSocket of a live session, beside Gradio's own routes.

The page opens `speech/live/TICKET`, sends `{"rate_hz": N}`, then samples (16 bit, one channel) in
binary messages, and at last `{"samples": N}`. It is sent the events of `events` as JSON.
"""

import contextlib
import json
import logging
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from client.sources import MAX_RATE_HZ, MIN_RATE_HZ
from client.web.connect import Connect
from client.web.events import Event, event
from client.web.live import Stop, converse
from client.web.tickets import Tickets
from protos.asr.v1.asr_pb2 import AudioEncoding, AudioFormat

ASSETS = Path(__file__).parent / "assets"

NO_TICKET = (
    "The microphone was ready too late, or the demo was restarted meanwhile. Start again; "
    "if that does not help, reload the page."
)
NO_RATE = (
    "The microphone's rate cannot be streamed; "
    f"what can are {MIN_RATE_HZ} to {MAX_RATE_HZ} samples a second."
)

_log = logging.getLogger(__name__)


def routes(connect: Connect, tickets: Tickets) -> list[BaseRoute]:
    """Make the routes that the page's scripts use: themselves, and the socket."""

    async def live(socket: WebSocket) -> None:
        await socket.accept()
        page = _BrowserPage(socket)
        config = tickets.redeem(socket.path_params["ticket"])
        rate_hz = await page.rate_hz()
        if config is None:
            await page.tell(event("error", sentence=NO_TICKET))
        elif rate_hz is None:
            await page.tell(event("error", sentence=NO_RATE))
        else:
            config.audio_format.CopyFrom(
                AudioFormat(
                    encoding=AudioEncoding.AUDIO_ENCODING_PCM_S16LE,
                    sample_rate_hertz=rate_hz,
                    channel_count=1,
                )
            )
            try:
                await converse(connect, config, page)
            except Exception:  # noqa: BLE001 - a page is told of it, never left alone
                _log.exception("a live session failed")
                await page.tell(event("error", sentence="The demo failed; its log says more."))
        await page.close()

    return [
        WebSocketRoute("/speech/live/{ticket}", live),
        Mount("/speech/assets", StaticFiles(directory=ASSETS)),
    ]


class _BrowserPage:
    """A `Page` at the other end of a WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def rate_hz(self) -> int | None:
        """Read the first message; None where it is not one of ours."""
        fields = await self._receive()
        rate_hz = fields.get("rate_hz") if isinstance(fields, dict) else None
        return rate_hz if isinstance(rate_hz, int) and _streamable(rate_hz) else None

    async def receive(self) -> bytes | Stop | None:
        """Wait for samples or the end; anything else counts as a page that is gone."""
        received = await self._receive()
        if isinstance(received, dict):
            samples = received.get("samples")
            return Stop(samples) if isinstance(samples, int) else None
        return received

    async def tell(self, told: Event) -> None:
        """Send an event as JSON."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_text(json.dumps(told, ensure_ascii=False))

    async def close(self) -> None:
        """Close the socket if the browser has not."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close()

    async def _receive(self) -> bytes | dict[str, Any] | None:
        message = await self._socket.receive()
        if message["type"] != "websocket.receive":
            return None
        if (audio := message.get("bytes")) is not None:
            return bytes(audio)
        with contextlib.suppress(json.JSONDecodeError):
            fields = json.loads(message["text"])
            return fields if isinstance(fields, dict) else None
        return None


def _streamable(rate_hz: int) -> bool:
    return MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ
