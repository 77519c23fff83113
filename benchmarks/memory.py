"""Memory of one more stream, told apart from what all streams share.

python -m benchmarks.memory

Decode threads keep the memory that their largest decode took, and the allocator keeps what it
once had; neither belongs to a stream. So streams come and go, all at once, until a round leaves
the server no larger than the one before. Then streams are opened one by one and stay, each

- idle: after its config
- in speech: after half a minute of speech and a flush, 8 s into the next segment, of which an
  interim has come. It then holds the speech that its next final may be heard with, and what the
  model keeps of both

and the line that fits resident memory against open streams best tells what each adds. Only the
second half of the streams counts: the first may fit into what the threads have freed. All of it
takes less than the five minutes after which the server gives freed memory back.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack

import numpy as np

from benchmarks.support import ROOT, Server, own_server, read_clips
from client.stream import Client, StreamingConfig, to_seconds

SPOKEN_S = 30
OPEN_S = 8
MOST_ROUNDS = 8
SETTLED_BYTES = 2_000_000
"""A round that adds less has warmed what there is to warm."""
BYTES_PER_S = 32_000


async def speak(client: Client, stack: AsyncExitStack, spoken: bytes) -> None:
    """Open a stream that stays until the stack is closed; leave it in the midst of a segment."""
    stream = await stack.enter_async_context(client.stream(StreamingConfig(interim_results=True)))
    if not spoken:
        return
    for begin in range(0, SPOKEN_S * BYTES_PER_S, BYTES_PER_S):
        await stream.send(spoken[begin : begin + BYTES_PER_S])
    await stream.flush("heard")
    await stream.send(spoken[-OPEN_S * BYTES_PER_S :])
    async for transcript in stream:
        # Of the open segment, so the flush is answered.
        if to_seconds(transcript.interim_result.end_offset) > SPOKEN_S:
            return


async def warm(server: Server, streams: int, spoken: bytes) -> list[int]:
    """Have streams come and go until that adds nothing; return what the rounds left."""
    sizes = [server.resident_bytes]
    for _ in range(MOST_ROUNDS):
        async with Client(server.address) as client, AsyncExitStack() as stack:
            await asyncio.gather(*(speak(client, stack, spoken) for _ in range(streams)))
        sizes.append(server.resident_bytes)
        if sizes[-1] - sizes[-2] < SETTLED_BYTES:
            break
    return sizes


async def slope_bytes(server: Server, streams: int, spoken: bytes) -> float:
    """Return what each of some open streams adds."""
    sizes = []
    async with Client(server.address) as client, AsyncExitStack() as stack:
        for _ in range(streams):
            await speak(client, stack, spoken)
            sizes.append(server.resident_bytes)
    later = sizes[len(sizes) // 2 :]
    return float(np.polyfit(np.arange(len(later)), later, 1)[0])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Memory of one more stream.")
    parser.add_argument("--streams", type=int, default=100, help="streams (default: %(default)s)")
    parser.add_argument(
        "--warm-up", type=int, default=4, help="streams at once before (default: %(default)s)"
    )
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument("--server-option", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    settings = [part for option in options.server_option for part in f"--{option}".split("=")]
    [passage] = [
        clip
        for clip in read_clips([ROOT / "samples" / "manifest.jsonl"])
        if clip.path.name == "passage.flac"
    ]
    spoken = passage.pcm[: SPOKEN_S * BYTES_PER_S]
    # Twice as many: a slot is free when what still decodes for it has ended.
    slots = str(2 * (options.streams + options.warm_up))
    with own_server("--max-streams", slots, "--model", options.model, *settings) as server:
        sizes = asyncio.run(warm(server, options.warm_up, spoken))
        rounds = ", ".join(f"{size / 1e6:.0f}" for size in sizes)
        print(f"server, MB: {rounds} as loaded and after rounds of {options.warm_up} streams")
        for name, heard in (("idle", b""), ("in speech", spoken)):
            slope = asyncio.run(slope_bytes(server, options.streams, heard))
            print(f"{name:10} {slope / 1e6:.2f} MB for each of {options.streams} streams")


if __name__ == "__main__":
    main()
