"""Whether the server holds out: leaks, slots, stalled streams, refusals.

python -m benchmarks.soak leak       what 1 000 streams leave behind, by how they ended
python -m benchmarks.soak cancel     from a client's cancel to the free slot
python -m benchmarks.soak dead-peer  from a network that goes silent to the free slot
python -m benchmarks.soak unread     audio that the server takes of a stream it does not read
python -m benchmarks.soak full       refusals and health of a full server
python -m benchmarks.soak endless    one stream with hours of audio, fed fast
python -m benchmarks.soak short      100 000 short streams that end in every way
python -m benchmarks.soak stalled    500 streams that neither send nor read
python -m benchmarks.soak never-reads  one stream with an hour of audio whose client never reads
python -m benchmarks.soak overload   twice as many streams as there are slots

All with the scripted recognizer: they measure the service, not a model. `short --model whisper
--streams 1000` is the exception.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import grpc
import grpc.aio
import numpy as np
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks import soak_crowds
from benchmarks.soak_support import SENTENCE, SPEECH, Held, soak_settings
from benchmarks.support import percentiles
from client.stream import Client, RecognitionError, StreamingConfig
from protos.asr.v1 import asr_pb2
from service.app import RunningServer, run_server
from service.engine.stream import LiveStream
from tests.faults.proxy import chaos_proxy

WARM_UP_STREAMS = 3_000
"""Until then buffers still grow to their size."""
MEASURED_THOUSANDS = 4
SETTLING_S = 2.0


async def _drive(address: str, kind: str, count: int) -> None:
    """Run streams from a process of its own, so that only the server's leaks are measured."""
    command = [sys.executable, "-m", "benchmarks.soak", "drive", address, kind, str(count)]
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise RuntimeError("the client of the benchmark failed")


async def drive(address: str, kind: str, count: int) -> None:
    """Be that process: end each stream in this way."""
    async with Client(address, retry=False) as client:

        async def one() -> None:
            with suppress(RecognitionError):
                async with client.stream(StreamingConfig(interim_results=True)) as stream:
                    await stream.send(SPEECH)
                    if kind == "cancelled":
                        return
                    if kind == "failed":
                        await stream.write(asr_pb2.AudioChunk())
                    await stream.finish()
                    async for _ in stream:
                        pass

        for _ in range(count // 10):
            await asyncio.gather(*(one() for _ in range(10)))


async def leak() -> None:
    """Print what each 1 000 streams leave behind once the process has warmed up."""
    async with run_server(soak_settings()) as running:
        for kind in ("ok", "failed", "cancelled"):
            await _drive(running.address, kind, WARM_UP_STREAMS)
            before = await _settled(running)
            await _drive(running.address, kind, 1_000 * MEASURED_THOUSANDS)
            grown = (await _settled(running)).since(before, MEASURED_THOUSANDS)
            print(f"{kind:10} per 1 000 streams: {grown}")


async def _settled(running: RunningServer) -> Held:
    await running.engine.slots.wait_until_free(10)
    # What the last calls and their connection still hold is on its way out.
    await asyncio.sleep(SETTLING_S)
    return Held.now()


async def _until_free(running: RunningServer, began_s: float) -> float:
    await running.engine.slots.wait_until_free(300)
    return time.perf_counter() - began_s


async def _until_decoding(running: RunningServer) -> None:
    while not any(threads.running for threads in running.engine.schedulers.values()):  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.001)


async def cancel(model: str) -> None:
    """Print the time from a cancel, while a decode runs, to the free slot."""
    took_s = []
    settings = soak_settings(model=[model])
    async with run_server(settings) as running, Client(running.address) as client:
        for _ in range(300):
            async with client.stream(StreamingConfig(interim_results=True)) as stream:
                await stream.send(SPEECH)
                await _until_decoding(running)
                began_s = time.perf_counter()
            took_s.append(await _until_free(running, began_s))
    print(f"cancel to free slot: {percentiles(took_s)}, p99 {np.percentile(took_s, 99):.3f} s")


async def dead_peer() -> None:
    """Print the time from a black hole to the free slot, with the default keep-alive."""
    settings = soak_settings()
    async with (
        run_server(settings) as running,
        chaos_proxy(running.address) as proxy,
        Client(proxy.address) as client,
        client.stream() as stream,
    ):
        await stream.send(SPEECH)
        proxy.black_hole()
        took_s = await _until_free(running, time.perf_counter())
    bar_s = settings.keepalive_s + settings.keepalive_timeout_s + 1
    print(f"dead peer to free slot: {took_s:.1f} s (bar {bar_s:.0f} s)")


async def unread() -> None:
    """Print how much audio leaves the client, and how the server grows, while nothing is read."""
    stalled = asyncio.Event()

    async def stall(*_: object) -> None:
        await stalled.wait()

    LiveStream.audio = stall  # type: ignore[method-assign]
    message = asr_pb2.AudioChunk(audio=bytes(3_200))
    async with run_server(soak_settings()) as running:
        accepted = []
        for _ in range(20):
            async with grpc.aio.insecure_channel(running.address) as channel:
                path = "/asr.v1.SpeechService/StreamingRecognize"
                call = channel.stream_stream(path, asr_pb2.AudioChunk.SerializeToString)()
                await call.write(asr_pb2.AudioChunk(config=asr_pb2.StreamingConfig()))
                sent = 0
                while True:
                    writing = asyncio.ensure_future(call.write(message))
                    done, _ = await asyncio.wait({writing}, timeout=0.5)
                    if not done:
                        break
                    sent += 1
                accepted.append(sent / 10)
                call.cancel()
                await asyncio.gather(writing, return_exceptions=True)
    print(f"unread audio of a stalled stream, client's buffers included: {percentiles(accepted)}")


async def full() -> None:
    """Print how soon a full server refuses, while its streams are busy, and what health says."""
    slots = 16
    async with (
        run_server(soak_settings(max_streams=slots)) as running,
        Client(running.address, retry=False) as client,
        AsyncExitStack() as streams,
    ):
        busy = [await streams.enter_async_context(client.stream()) for _ in range(slots)]
        sending = [asyncio.create_task(_pace(stream.send)) for stream in busy]
        refused_s = []
        for _ in range(300):
            began_s = time.perf_counter()
            try:
                async with client.stream():
                    raise RuntimeError("a full server took a stream")
            except RecognitionError as error:
                if error.reason != "SERVER_FULL":
                    raise
            refused_s.append(time.perf_counter() - began_s)
        async with grpc.aio.insecure_channel(running.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            status = (await stub.Check(health_pb2.HealthCheckRequest())).status
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
    print(
        f"refusals of a full server: {percentiles(refused_s)}, "
        f"p99 {np.percentile(refused_s, 99):.3f} s; health {name}"
    )


async def _pace(send: Callable[[bytes], Awaitable[bool]]) -> None:
    while True:
        for begin in range(0, len(SENTENCE), 3_200):
            await send(SENTENCE[begin : begin + 3_200])
            await asyncio.sleep(0.1)


async def endless(hours: float) -> None:
    """Print growth and latency of one stream, at its begin and at its end."""
    sentence_s = len(SENTENCE) / 32_000
    sentences = round(hours * 3_600 / sentence_s)
    latencies_s: list[float] = []
    used_s: list[float] = []
    resident: list[int] = []
    process = psutil.Process()
    async with (
        run_server(soak_settings()) as running,
        Client(running.address) as client,
        client.stream() as stream,
    ):
        for number in range(sentences):
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            await stream.send(SENTENCE)
            await stream.flush(str(number))
            async for transcript in stream:
                if transcript.HasField("flush_done"):
                    break
            latencies_s.append(time.perf_counter() - began_s)
            used_s.append(time.process_time() - began_cpu_s)
            resident.append(process.memory_info().rss)
        await stream.finish()
        async for _ in stream:
            pass
    part = max(1, round(600 / sentence_s))
    warm = min(len(resident) - 1, round(300 / sentence_s))
    print(f"{hours:g} h of audio: {(resident[-1] - resident[warm]) / 1e6:+.1f} MB after minute 5")
    for name, values in (("latency", latencies_s), ("processor time", used_s)):
        first, last = np.median(values[:part]), np.median(values[-part:])
        print(
            f"{name} of a sentence: {first * 1000:.2f} ms in the first ten minutes, "
            f"{last * 1000:.2f} ms in the last ({last / first:.2f})"
        )


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description="Whether the server holds out.")
    commands = parser.add_subparsers(dest="command", required=True)
    simple = {
        "leak": leak,
        "dead-peer": dead_peer,
        "unread": unread,
        "full": full,
    }
    for name, run in simple.items():
        commands.add_parser(name, help=run.__doc__).set_defaults(run=run)
    cancelled = commands.add_parser("cancel", help=cancel.__doc__)
    cancelled.add_argument("--model", default=soak_crowds.BUSY_MODEL)
    long = commands.add_parser("endless", help=endless.__doc__)
    long.add_argument("--hours", type=float, default=4.0)
    many = commands.add_parser("short", help=soak_crowds.short.__doc__)
    many.add_argument("--streams", type=int, default=100_000)
    many.add_argument("--model", default="scripted")
    still = commands.add_parser("stalled", help=soak_crowds.stalled.__doc__)
    still.add_argument("--streams", type=int, default=500)
    unread_hours = commands.add_parser("never-reads", help=soak_crowds.never_reads.__doc__)
    unread_hours.add_argument("--hours", type=float, default=1.0)
    over = commands.add_parser("overload", help=soak_crowds.overload.__doc__)
    over.add_argument("--seconds", type=float, default=30.0, help="of one round")
    over.add_argument("--rounds", type=int, default=4)
    client = commands.add_parser("drive", help=argparse.SUPPRESS)
    client.add_argument("address")
    client.add_argument("kind")
    client.add_argument("count", type=int)
    options = parser.parse_args()
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    match options.command:
        case "cancel":
            asyncio.run(cancel(options.model))
        case "endless":
            asyncio.run(endless(options.hours))
        case "short":
            asyncio.run(soak_crowds.short(options.streams, options.model))
        case "stalled":
            asyncio.run(soak_crowds.stalled(options.streams))
        case "never-reads":
            asyncio.run(soak_crowds.never_reads(options.hours))
        case "overload":
            asyncio.run(soak_crowds.overload(options.seconds, options.rounds))
        case "drive":
            asyncio.run(drive(options.address, options.kind, options.count))
        case name:
            asyncio.run(simple[name]())


if __name__ == "__main__":
    main()
