"""The soak's crowds: many short streams, stalled ones, one that never reads, too many."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import numpy as np
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.soak_support import SENTENCE, Held, soak_settings
from benchmarks.support import ROOT, own_server, percentiles
from client.stream import Client
from service.app import run_server

RECORDING = ROOT / "samples" / "command.flac"
SLOTS = 16
"""Of the server that is overloaded; with BUSY_MODEL they keep two workers busy."""
BUSY_MODEL = "scripted?delay_ms=30"
WARM_UP_S = 5


@asynccontextmanager
async def crowd(*arguments: object) -> AsyncIterator[Process]:
    """Run clients in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.soak_clients", *map(str, arguments)),
        stdin=PIPE,
        stdout=PIPE,
        # A line of latencies is long.
        limit=64 * 1024 * 1024,
    )
    try:
        yield process
        if await process.wait():
            raise RuntimeError("the clients of the benchmark failed")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(process: Process) -> Any:  # noqa: ANN401 - JSON
    """Return the next that a crowd prints."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the clients of the benchmark failed")
    return json.loads(line)


async def go_on(process: Process) -> None:
    """Let a crowd that waits go on."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    await process.stdin.drain()


async def short(streams: int, model: str) -> None:
    """Print how many short streams, of mixed outcomes, ended as they should, and what is left."""
    real = model != "scripted"
    # What hears tones takes every sound for speech; a real model gets its real detector.
    changes = {"voice_activity": "silero"} if real else {}
    recording = RECORDING if real else ""
    async with run_server(soak_settings(model=[model], **changes)) as running:
        async with crowd("mixed", running.address, max(100, streams // 100), recording) as warm:
            await said(warm)
        before, resident, began_s = Held.now(), _resident(), time.perf_counter()
        async with crowd("mixed", running.address, streams, recording) as clients:
            found = await said(clients)
        took_s = time.perf_counter() - began_s
        await running.engine.slots.wait_until_free(30)
        after = Held.now()
        grown = (_resident() - resident) / 1e6
    ways = ", ".join(f"{number} {way}" for way, number in sorted(found["outcomes"].items()))
    print(f"{streams} short streams in {took_s:.0f} s: {ways}")
    print(
        f"  {sum(found['wrong'].values())} ended otherwise than foretold, "
        f"{len(found['texts'])} different transcripts of the same speech, all slots free"
    )
    print(f"  left behind: {after.since(before)}; {grown:+.1f} MB of memory")


async def stalled(streams: int) -> None:
    """Print what stalled streams hold, what they cost another one, and when they are gone."""
    settings = soak_settings(idle_s=20, notice_s=2)
    async with run_server(settings) as running, Client(running.address) as client:
        alone_s = await _sentences(client)
        resident = _resident()
        async with crowd("stalled", running.address, streams) as clients:
            await said(clients)
            began_s = time.perf_counter()
            grown = _resident() - resident
            among_s = await _sentences(client)
            await running.engine.slots.wait_until_free(120)
            free_s = time.perf_counter() - began_s
            await go_on(clients)
            statuses = await said(clients)
    print(f"{streams} stalled streams hold {grown / streams / 1e3:.0f} kB each")
    print(f"  a sentence of another stream, without them: {percentiles(alone_s)}")
    print(f"  and among them: {percentiles(among_s)}")
    print(f"  slots free {free_s:.1f} s later (--idle-s {settings.idle_s:.0f}), with {statuses}")


async def _sentences(client: Client) -> list[float]:
    took_s = []
    async with client.stream() as stream:
        for number in range(50):
            began_s = time.perf_counter()
            await stream.send(SENTENCE)
            await stream.flush(str(number))
            async for transcript in stream:
                if transcript.HasField("flush_done"):
                    break
            took_s.append(time.perf_counter() - began_s)
    return took_s


async def never_reads(hours: float) -> None:
    """Print what a client costs that sends hours of audio fast and reads nothing."""
    settings = soak_settings(idle_s=10, notice_s=2)
    patience_s = settings.idle_s * 2
    async with run_server(settings) as running:
        resident = largest = _resident()
        seconds = round(hours * 3_600)
        async with crowd("never-reads", running.address, seconds, patience_s) as clients:
            sending = asyncio.create_task(said(clients))
            while not sending.done():
                await asyncio.wait({sending}, timeout=0.2)
                largest = max(largest, _resident())
            await running.engine.slots.wait_until_free(60)
            await go_on(clients)
            end = await said(clients)
    print(
        f"never read: {sending.result() / 3_600:.2f} of {hours:g} h were taken, "
        f"{(largest - resident) / 1e6:+.1f} MB at most; slot free, {end}"
    )


async def overload(seconds: float, rounds: int) -> None:
    """Print how streams fare when as many again ask in vain, against without them."""
    options = {
        "--model": BUSY_MODEL,
        "--voice-activity": "energy",
        "--max-streams": str(SLOTS),
        "--max-starts-per-caller": "0",
    }
    latencies_s: dict[bool, list[float]] = {False: [], True: []}
    refused_s: list[float] = []
    lag_s: list[float] = []
    waited_s: dict[bool, float] = {False: 0.0, True: 0.0}
    reasons: set[str] = set()
    states: set[str] = set()
    with own_server(*(part for option in options.items() for part in option)) as server:
        async with crowd("paced", server.address, SLOTS, WARM_UP_S) as speaking:
            await said(speaking)
            await said(speaking)
        for number in range(2 * rounds):
            # The order changes, lest whoever comes second has a warmer machine.
            is_over = number % 4 in (1, 2)
            began_s = server.waited_s
            async with crowd("paced", server.address, SLOTS, seconds) as speaking:
                await said(speaking)
                if is_over:
                    async with crowd("knocking", server.address, SLOTS, seconds - 3) as knocking:
                        states.add(await _health(server.address))
                        found = await said(knocking)
                    refused_s += found["refused_s"]
                    lag_s += found["lag_s"]
                    reasons |= set(found["reasons"])
                latencies_s[is_over] += await said(speaking)
            waited_s[is_over] += server.waited_s - began_s
    at, over = (float(np.percentile(latencies_s[is_over], 95)) for is_over in (False, True))
    print(f"at capacity, flush to answer: {percentiles(latencies_s[False])}")
    print(f"2x overload, flush to answer: {percentiles(latencies_s[True])}")
    print(
        f"  p95 {over / at:.2f} times that at capacity; health {', '.join(sorted(states))}\n"
        f"refusals ({', '.join(sorted(reasons))}): {percentiles(refused_s)}, "
        f"p99 {np.percentile(refused_s, 99):.3f} s\n"
        f"  a timer of the process that measured them was late by {percentiles(lag_s)}, "
        f"p99 {np.percentile(lag_s, 99):.3f} s\n"
        f"  the server's event loop was ready and had no processor for {waited_s[True]:.1f} of "
        f"{rounds * seconds:.0f} s; at capacity {waited_s[False]:.1f} s"
    )


async def _health(address: str) -> str:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        status = (await stub.Check(health_pb2.HealthCheckRequest())).status
    return health_pb2.HealthCheckResponse.ServingStatus.Name(status)


def _resident() -> int:
    return psutil.Process().memory_info().rss
