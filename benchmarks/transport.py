"""What the service costs beside a bare gRPC server, without a model.

python -m benchmarks.transport

The service with the scripted recognizer against benchmarks.echo_server, in turns, in
processes of their own; medians over the rounds.

- messages: streams send 100 ms of audio each as fast as they are read; messages a second, and
  the server's processor time for one, which tells the same where the machine is busy
- round trip: streams send ten messages a second; every second each sends a flush, and the
  time until its FlushDone is taken
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator
from statistics import median

import grpc
import numpy as np
import psutil
import uvloop

from benchmarks.support import ROOT
from client.serving import serving
from protos.asr.v1 import asr_pb2, asr_pb2_grpc

MESSAGE = asr_pb2.AudioChunk(audio=bytes(3_200))
MESSAGE_S = 0.1
PARALLEL, MESSAGES = 16, 1_000
"""Streams that send as fast as they are read, and what each sends."""
COMMANDS = {
    "echo": [sys.executable, "-m", "benchmarks.echo_server"],
    "service": [
        *[sys.executable, "-m", "service", "--model", "scripted", "--listen", "127.0.0.1:0"],
        *["--voice-activity", "energy", "--max-streams", "1000", "--log-level", "warning"],
    ],
}


async def messages_per_s(address: str, streams: int, messages: int) -> float:
    """Send as fast as it goes; return messages read in a second."""

    async def send() -> AsyncIterator[asr_pb2.AudioChunk]:
        yield asr_pb2.AudioChunk(config=asr_pb2.StreamingConfig())
        for _ in range(messages):
            yield MESSAGE

    async def run(stub: asr_pb2_grpc.SpeechServiceStub) -> None:
        async for _ in stub.StreamingRecognize(send()):
            pass

    async with grpc.aio.insecure_channel(address) as channel:
        stub = asr_pb2_grpc.SpeechServiceStub(channel)
        begin_s = time.monotonic()
        await asyncio.gather(*(run(stub) for _ in range(streams)))
        return streams * messages / (time.monotonic() - begin_s)


async def round_trips_s(address: str, streams: int, seconds: int) -> list[float]:
    """Send at the pace of speech; return how long each flush took."""
    taken_s: list[float] = []
    begin_s = time.monotonic() + 0.5

    async def run(stub: asr_pb2_grpc.SpeechServiceStub, number: int) -> None:
        sent_s: dict[str, float] = {}
        call = stub.StreamingRecognize()

        async def send() -> None:
            await call.write(asr_pb2.AudioChunk(config=asr_pb2.StreamingConfig()))
            for index in range(round(seconds / MESSAGE_S)):
                # Spread evenly, as independent callers are.
                due_s = begin_s + (index + number / streams) * MESSAGE_S
                await asyncio.sleep(due_s - time.monotonic())
                await call.write(MESSAGE)
                if index % 10 == number % 10:
                    sent_s[str(index)] = time.monotonic()
                    await call.write(asr_pb2.AudioChunk(flush=asr_pb2.Flush(id=str(index))))
            await call.done_writing()

        sending = asyncio.create_task(send())
        async for transcript in call:
            if transcript.HasField("flush_done"):
                flush_id = transcript.flush_done.id
                taken_s.append(time.monotonic() - sent_s[flush_id])
        await sending

    async with grpc.aio.insecure_channel(address) as channel:
        stub = asr_pb2_grpc.SpeechServiceStub(channel)
        await asyncio.gather(*(run(stub, number) for number in range(streams)))
    return taken_s


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="The service beside a bare gRPC server.")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--streams", type=int, default=100, help="paced (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=10, help="paced (default: %(default)s)")
    options = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in COMMANDS}
    cpu_us: dict[str, list[float]] = {name: [] for name in COMMANDS}
    p99_s: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _, (name, command) in itertools.product(range(options.rounds), COMMANDS.items()):
        with serving(command, ROOT, sys.stderr) as running:
            # What is done for the first time only is done now.
            uvloop.run(messages_per_s(running.address, PARALLEL, 100))
            process = psutil.Process(running.pid)
            before_s = sum(process.cpu_times()[:2])
            rates[name].append(uvloop.run(messages_per_s(running.address, PARALLEL, MESSAGES)))
            spent_s = sum(process.cpu_times()[:2]) - before_s
            cpu_us[name].append(1e6 * spent_s / (PARALLEL * MESSAGES))
            taken_s = uvloop.run(round_trips_s(running.address, options.streams, options.seconds))
            p99_s[name].append(float(np.percentile(taken_s, 99)))
    ratio = median(a / b for a, b in zip(rates["service"], rates["echo"], strict=True))
    cpu_ratio = median(a / b for a, b in zip(cpu_us["echo"], cpu_us["service"], strict=True))
    added_s = median(a - b for a, b in zip(p99_s["service"], p99_s["echo"], strict=True))
    for name in COMMANDS:
        print(
            f"{name:8} {median(rates[name]):7.0f} messages/s  "
            f"{median(cpu_us[name]):.0f} us of processor time for one  "
            f"round trip p99 {1_000 * median(p99_s[name]):.2f} ms"
        )
    print(
        f"messages a second, service / echo: {ratio:.2f}  "
        f"processor time, echo / service: {cpu_ratio:.2f}  "
        f"round trip p99 added: {1_000 * added_s:.2f} ms"
    )


if __name__ == "__main__":
    main()
