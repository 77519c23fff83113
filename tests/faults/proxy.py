"""A TCP proxy that breaks connections as networks do.

async with chaos_proxy(server_address) as proxy:
    connect to proxy.address, then proxy.to_server.stall(), proxy.reset(), …
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

READ_BYTES = 16_384
LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends RST instead of FIN."""


@dataclass
class Way:
    """One direction of all connections, and what befalls it."""

    _open: asyncio.Event = field(default_factory=asyncio.Event)
    delay_s: float = 0.0
    """Before each piece."""
    bytes_per_s: float = 0.0
    """0 is no bound."""
    is_hole: bool = False
    """Take everything and pass nothing on."""
    flips: int = 0
    """So many bytes are still to be changed, one in each piece."""
    left_bytes: int | None = None
    """So much is still passed on, then the connection ends with FIN; None is all."""
    passed_bytes: int = 0

    def __post_init__(self) -> None:
        """Begin open."""
        self._open.set()

    def stall(self) -> None:
        """Pass nothing on for now, and take nothing more."""
        self._open.clear()

    def resume(self) -> None:
        """Go on."""
        self._open.set()

    async def pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Pass a piece on, or what befalls it; whether the connection goes on."""
        await self._open.wait()
        await asyncio.sleep(self.delay_s)
        if self.is_hole:
            return True
        if self.flips:
            self.flips -= 1
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        if self.left_bytes is not None:
            data = data[: self.left_bytes]
            self.left_bytes -= len(data)
        writer.write(data)
        self.passed_bytes += len(data)
        await writer.drain()
        if self.bytes_per_s:
            await asyncio.sleep(len(data) / self.bytes_per_s)
        return self.left_bytes != 0


@dataclass
class Proxy:
    """Passes connections on to a server until told otherwise."""

    address: str = ""
    to_server: Way = field(default_factory=Way)
    to_client: Way = field(default_factory=Way)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _pumps: set[asyncio.Task[None]] = field(default_factory=set)

    def black_hole(self) -> None:
        """Swallow everything, both ways, as if the cable were out; nobody is told."""
        self.to_server.is_hole = self.to_client.is_hole = True

    def reset(self) -> None:
        """End every connection with RST, both ways."""
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            writer.transport.abort()

    def close(self) -> None:
        """End every connection with FIN, both ways, in the middle of whatever it is."""
        for writer in self._writers:
            writer.close()

    async def serve(self, server: str, near: tuple) -> None:
        """Pass one connection on."""
        host, _, port = server.rpartition(":")
        try:
            far = await asyncio.open_connection(host, int(port))
        except OSError:
            near[1].close()
            return
        self._writers += [near[1], far[1]]
        for reader, writer, way in ((near[0], far[1], self.to_server), (*far[:1], near[1], None)):
            pump = asyncio.create_task(_pump(reader, writer, way or self.to_client))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def stop(self) -> None:
        """End everything."""
        self.reset()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    with suppress(OSError):
        while data := await reader.read(READ_BYTES):
            if not await way.pass_on(data, writer):
                break
        # The other side's end is passed on, unless nothing is.
        if not way.is_hole:
            writer.close()


@asynccontextmanager
async def chaos_proxy(server: str) -> AsyncIterator[Proxy]:
    """Run a proxy before a server while the block runs."""
    proxy = Proxy()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await proxy.serve(server, (reader, writer))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    proxy.address = f"127.0.0.1:{port}"
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.stop()
