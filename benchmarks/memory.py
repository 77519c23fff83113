"""Memory of one more stream.

python -m benchmarks.memory

Opens streams that are idle after their config, and streams that have heard half a minute
of speech and are idle then, and divides the growth of the server's resident memory.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack

from benchmarks.support import ROOT, Server, own_server, read_clips
from client.stream import Client, StreamingConfig

SPOKEN_S = 30


async def growth_bytes(server: Server, streams: int, spoken: bytes) -> float:
    """Return what each of some open streams adds, after each has heard some audio."""
    async with Client(server.address) as client, AsyncExitStack() as open_streams:
        await _open(client, open_streams, 2, spoken)
        before = server.resident_bytes
        await _open(client, open_streams, streams, spoken)
        return (server.resident_bytes - before) / streams


async def _open(client: Client, stack: AsyncExitStack, count: int, spoken: bytes) -> None:
    for _ in range(count):
        stream = await stack.enter_async_context(client.stream(StreamingConfig()))
        if spoken:
            for begin in range(0, len(spoken), 32_000):
                await stream.send(spoken[begin : begin + 32_000])
            await stream.flush("heard")
            async for transcript in stream:
                if transcript.HasField("flush_done"):
                    break


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Memory of one more stream.")
    parser.add_argument("--streams", type=int, default=50, help="streams (default: %(default)s)")
    streams = parser.parse_args().streams
    [passage] = [
        clip
        for clip in read_clips([ROOT / "samples" / "manifest.jsonl"])
        if clip.path.name == "passage.flac"
    ]
    for name, spoken in (("idle", b""), ("idle after speech", passage.pcm[: 32_000 * SPOKEN_S])):
        with own_server("--max-streams", str(streams + 2)) as server:
            growth = asyncio.run(growth_bytes(server, streams, spoken))
        print(f"{name:18} {growth / 1e6:.2f} MB per stream, over {streams} streams")


if __name__ == "__main__":
    main()
