"""The faults, one function each.

Those of ENDING end the victim's stream, or may; those of PASSING it must survive with the very
same finals.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from client.stream import RecognitionError
from protos.asr.v1 import asr_pb2
from tests.faults.faulty_service import EXITS, JUMPS, NO_MEMORY, RAISES, SLOW
from tests.faults.processes import ROOT, Process
from tests.faults.proxy import Proxy
from tests.faults.streams import chunks, recognize
from tests.faults.victim import Victim
from tests.rpc.streams import config, flush

MAX_RECORDING_BYTES = 500_000
"""Of the server under test, so that little is much."""

STOPPED_S = 3.0

NOISE = asr_pb2.AudioChunk(audio=bytes(range(256)) * 12)


@dataclass
class Stage:
    """Where a fault takes place."""

    process: Process
    proxy: Proxy
    victim: Victim
    phase: str


Fault = Callable[[Stage], Awaitable[None]]


# What the client does.


async def cancel(stage: Stage) -> None:
    stage.victim.call.cancel()


async def deadline(stage: Stage) -> None:
    # The call was made with one.
    await stage.victim.end()


async def channel_closed(stage: Stage) -> None:
    # Closing alone leaves a call on which a read waits (https://github.com/grpc/grpc/issues/32005).
    stage.victim.call.cancel()
    await stage.victim.channel.close()


async def client_killed(stage: Stage) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.victim", stage.process.address, stage.phase),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"reached\n"
    process.kill()
    await process.wait()
    stage.victim.call.cancel()


async def half_close(stage: Stage) -> None:
    await stage.victim.stream.finish()


async def second_config(stage: Stage) -> None:
    await stage.victim.send(config(), config())


async def no_payload(stage: Stage) -> None:
    await stage.victim.send(asr_pb2.AudioChunk())


async def malformed(stage: Stage) -> None:
    await stage.victim.send(b"\xff\xff\xff\xff")


async def empty_audio(stage: Stage) -> None:
    await stage.victim.send(asr_pb2.AudioChunk(audio=b""))


async def too_large(stage: Stage) -> None:
    await stage.victim.send(asr_pb2.AudioChunk(audio=bytes(300_000)))


async def too_large_for_the_transport(stage: Stage) -> None:
    await stage.victim.send(asr_pb2.AudioChunk(audio=bytes(4 * MAX_RECORDING_BYTES)))


async def truncated(stage: Stage) -> None:
    stage.proxy.to_server.left_bytes = 700
    await stage.victim.send(*[NOISE] * 3)


async def corrupted_up(stage: Stage) -> None:
    stage.proxy.to_server.flips = 3
    await stage.victim.send(*[NOISE] * 3)


async def corrupted_down(stage: Stage) -> None:
    stage.proxy.to_client.flips = 3
    await stage.victim.send(*[NOISE] * 3)


# What the network does.


async def reset(stage: Stage) -> None:
    stage.proxy.reset()


async def fin(stage: Stage) -> None:
    stage.proxy.close()


async def black_hole(stage: Stage) -> None:
    stage.proxy.black_hole()


async def hole_up(stage: Stage) -> None:
    stage.proxy.to_server.is_hole = True


async def hole_down(stage: Stage) -> None:
    stage.proxy.to_client.is_hole = True


# What the stream survives.


async def stall(stage: Stage) -> None:
    stage.proxy.to_server.stall()
    stage.proxy.to_client.stall()
    await asyncio.sleep(0.3)
    stage.proxy.to_server.resume()
    stage.proxy.to_client.resume()


async def latency(stage: Stage) -> None:
    stage.proxy.to_server.delay_s = stage.proxy.to_client.delay_s = 0.03


async def slow_writer(stage: Stage) -> None:
    stage.proxy.to_server.bytes_per_s = 100_000


async def slow_reader(stage: Stage) -> None:
    stage.proxy.to_client.bytes_per_s = 3_000


async def unread_flood(stage: Stage) -> None:
    stage.proxy.to_client.stall()
    if stage.phase in ("configured", "in speech", "after a final"):
        await stage.victim.send(*[flush(str(number)) for number in range(300)])
    stage.proxy.to_client.resume()


async def engine_raises(stage: Stage) -> None:
    outcome = await recognize(stage.process.address, chunks(f"alfa {RAISES}"))
    assert (outcome.code, outcome.reason) == ("INTERNAL", "INTERNAL")


async def no_memory(stage: Stage) -> None:
    outcome = await recognize(stage.process.address, chunks(f"alfa {NO_MEMORY}"))
    assert (outcome.code, outcome.reason) == ("INTERNAL", "INTERNAL")


async def engine_exits(stage: Stage) -> None:
    outcome = await recognize(stage.process.address, chunks(f"alfa {EXITS}"))
    assert (outcome.code, outcome.reason) == ("INTERNAL", "INTERNAL")


async def engine_slow(stage: Stage) -> None:
    outcome = await recognize(stage.process.address, chunks(f"alfa {SLOW}"))
    assert outcome.code == "OK"


async def clock_jumps(stage: Stage) -> None:
    outcome = await recognize(stage.process.address, chunks(f"alfa {JUMPS}"))
    assert outcome.code == "OK"


async def process_stopped(stage: Stage) -> None:
    stage.process.popen.send_signal(signal.SIGSTOP)
    await asyncio.sleep(STOPPED_S)
    stage.process.popen.send_signal(signal.SIGCONT)


async def garbage_connections(stage: Stage) -> None:
    host, _, port = stage.process.address.rpartition(":")
    for first in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 99,
        b"",
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(first)
        with suppress(OSError):
            await writer.drain()
        writer.close()


async def silent_connections(stage: Stage) -> None:
    host, _, port = stage.process.address.rpartition(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(30)]
    for _, writer in opened:
        writer.close()


async def cancelled_crowd(stage: Stage) -> None:
    """Many streams that are cancelled as soon as they are there, or refused."""

    async def one() -> None:
        with suppress(RecognitionError, TimeoutError):
            async with asyncio.timeout(0.05):
                await recognize(stage.process.address, chunks("alfa"))

    await asyncio.gather(*(one() for _ in range(8)))


ENDING: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        cancel,
        deadline,
        channel_closed,
        client_killed,
        half_close,
        second_config,
        no_payload,
        malformed,
        empty_audio,
        too_large,
        too_large_for_the_transport,
        truncated,
        corrupted_up,
        corrupted_down,
        reset,
        fin,
        black_hole,
        hole_up,
        hole_down,
    )
}

PASSING: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        stall,
        latency,
        slow_writer,
        slow_reader,
        unread_flood,
        engine_raises,
        no_memory,
        engine_exits,
        engine_slow,
        clock_jumps,
        process_stopped,
        garbage_connections,
        silent_connections,
        cancelled_crowd,
    )
}

SILENT = (black_hole, hole_up, hole_down)
"""Faults of which the client learns nothing; the server finds out by itself."""

DECEIVING = (corrupted_up, corrupted_down)
"""Faults after which the client may wait for ever, or be told nonsense, on a sound connection."""
