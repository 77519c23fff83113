"""What holds after every fault: nobody else has noticed, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from client.stream import RecognitionError, StreamingConfig
from tests.faults.faults import MAX_RECORDING_BYTES
from tests.faults.processes import Process, service
from tests.faults.streams import OPEN, Access, Outcome, chunks, client_of, finish
from tests.rpc.streams import until

MAX_STREAMS = 12
"""The victim, its bystander, and ten for faults that are streams themselves."""

OPTIONS = (
    *("--max-streams", str(MAX_STREAMS), "--max-recording-bytes", str(MAX_RECORDING_BYTES)),
    *("--keepalive-s", "1", "--keepalive-timeout-s", "4", "--first-message-s", "60"),
    *("--max-starts-per-caller", "0"),
)

NOTICED_S = 30.0
"""Until a dead peer is noticed: 5 s by the options above, a minute without; and a machine that
stands still is given time."""


@asynccontextmanager
async def bystander(process: Process, access: Access = OPEN) -> AsyncIterator[None]:
    """Run a stream beside what happens in the block; it must not notice."""
    async with (
        client_of(process.address, access) as client,
        client.stream(StreamingConfig(word_offsets=True)) as stream,
    ):
        for block in chunks("golf hotel"):
            await stream.send(block)
        yield
        for block in chunks("india kilo"):
            await stream.send(block)
        await stream.finish()
        outcome = await finish(stream, Outcome())
    assert outcome.code == "OK"
    assert outcome.finals == await _alone()


_REFERENCE: list[list[bytes]] = []


async def _alone() -> list[bytes]:
    """What a bystander hears of a server that has nothing else to do."""
    if not _REFERENCE:
        with service(*OPTIONS) as quiet:
            async with (
                client_of(quiet.address) as client,
                client.stream(StreamingConfig(word_offsets=True)) as stream,
            ):
                for block in chunks("golf hotel india kilo"):
                    await stream.send(block)
                await stream.finish()
                _REFERENCE.append((await finish(stream, Outcome())).finals)
    return _REFERENCE[0]


async def can_be_taken(process: Process, count: int, access: Access = OPEN) -> None:
    """Take so many slots at once, within the time after which a dead peer is noticed."""
    async with asyncio.timeout(NOTICED_S), client_of(process.address, access) as client:
        while True:
            try:
                async with AsyncExitStack() as streams:
                    taken = [
                        await streams.enter_async_context(client.stream()) for _ in range(count)
                    ]
                    # A stream that is left, not ended, gives its slot back some time later.
                    for stream in taken:
                        await stream.finish()
                        await finish(stream, Outcome())
            except RecognitionError as error:
                if error.reason != "SERVER_FULL":
                    raise
                await asyncio.sleep(0.05)
            else:
                return


async def nothing_is_left(process: Process, access: Access = OPEN) -> None:
    """Have all slots free, every state released, and the process alive."""
    await can_be_taken(process, MAX_STREAMS, access)
    assert process.is_alive

    def is_even() -> bool:
        events = [line["event"] for line in process.lines()]
        return events.count("state created") == events.count("state released") > 0

    await until(is_even)
