"""What safety costs: the service with everything on, beside its bare servicer.

python -m benchmarks.overhead

Both recognize by the scripted recognizer, with the same transport, in processes of their own and
in turns. Bare is the servicer alone: no interceptor, no limits of time and number, no tokens, no
observers. Full is the service with tokens and keys for signed ones, limits, metrics that are read
every second, health and reflection; traces are off. Medians of the rounds' ratios.

- messages: 16 streams send 100 ms of audio at a time, as fast as they are read
- streams of 1 s and of 10 s: 16 at a time, with so much audio
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import grpc
import psutil
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.support import ROOT
from benchmarks.transport import MESSAGE
from client.serving import serving
from protos.asr.v1 import asr_pb2, asr_pb2_grpc
from service.access.token_file import Entry, hash_of, new_token
from service.engine.callers import Callers
from service.loading import load_engine
from service.rpc.door import Door
from service.rpc.limits import Limits
from service.rpc.record import Ledger
from service.rpc.servicer import SpeechServicer
from service.rpc.transport import server_options
from service.settings import Settings
from service.telemetry import configure_logging

PARALLEL = 16
STREAMS_S = (1, 10)
MESSAGES_PER_S = 10
SCRIPTED = {"model": ["scripted"], "voice_activity": "energy", "max_streams": 1_000}
BARE = "bare"


@dataclass(frozen=True)
class Cost:
    """What a server did, and what it took."""

    per_s: float
    """Messages, or streams."""
    cpu_ms: float
    """Processor time of the server for one of them."""


async def serve_bare() -> None:
    """Serve the servicer and nothing else."""
    configure_logging("warning", "json")
    settings = Settings.model_validate(SCRIPTED)
    limits = Limits(first_message_s=0, idle_s=0, stream_s=0, notice_s=0)
    servicer = SpeechServicer(limits, Callers(), Door(), Ledger())
    server = grpc.aio.server(options=server_options(settings))
    server.add_generic_rpc_handlers((servicer.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    servicer.serve(await load_engine(settings))
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await server.stop(None)


def full_command(folder: Path, token: str, metrics: str) -> list[str]:
    """Return the service with everything on."""
    tokens, keys = folder / "tokens.txt", folder / "key.pem"
    other = [Entry(f"other-{n}", hash_of(new_token()), frozenset(), None) for n in range(20)]
    own = Entry("benchmark", hash_of(token), frozenset(["recognize"]), None)
    lines = [entry.line().replace("    ", "  list  ") for entry in other] + [own.line()]
    tokens.write_text("\n".join(lines) + "\n", encoding="ascii")
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    keys.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return [
        *[sys.executable, "-m", "service", "--model", "scripted", "--listen", "127.0.0.1:0"],
        *["--voice-activity", "energy", "--max-streams", "1000", "--log-level", "warning"],
        *["--tokens", str(tokens), "--jwt-keys", str(keys), "--jwt-audience", "asr"],
        *["--max-streams-per-caller", "500", "--max-starts-per-caller", "100000"],
        *["--metrics-listen", metrics],
    ]


async def run_streams(address: str, token: str, streams: int, messages: int) -> float:
    """Run so many streams, PARALLEL at a time; return the seconds that it took."""
    metadata = (("authorization", f"Bearer {token}"),)

    async def send() -> AsyncIterator[asr_pb2.AudioChunk]:
        yield asr_pb2.AudioChunk(config=asr_pb2.StreamingConfig())
        for _ in range(messages):
            yield MESSAGE

    async with grpc.aio.insecure_channel(address) as channel:
        stub = asr_pb2_grpc.SpeechServiceStub(channel)
        waiting = iter(range(streams))

        async def run() -> None:
            for _ in waiting:
                async for _ in stub.StreamingRecognize(send(), metadata=metadata):
                    pass

        begin_s = time.monotonic()
        await asyncio.gather(*(run() for _ in range(PARALLEL)))
        return time.monotonic() - begin_s


@asynccontextmanager
async def scraping(metrics: str) -> AsyncIterator[None]:
    """Read the metrics every second while the block runs, as Prometheus would more rarely."""

    def read() -> None:
        with urlopen(f"http://{metrics}/metrics", timeout=5) as response:
            response.read()

    async def read_all() -> None:
        while True:
            await asyncio.to_thread(read)
            await asyncio.sleep(1)

    reading = asyncio.create_task(read_all()) if metrics else None
    try:
        yield
    finally:
        if reading is not None:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading


async def measure(
    address: str, pid: int, token: str, metrics: str, messages: int, streams: int
) -> list[Cost]:
    """Return the cost of messages, and of streams of each length."""
    process = psutil.Process(pid)

    async def cost(count: int, streams: int, messages: int) -> Cost:
        before = process.cpu_times()
        took_s = await run_streams(address, token, streams, messages)
        after = process.cpu_times()
        cpu_s = after.user + after.system - before.user - before.system
        return Cost(count / took_s, 1_000 * cpu_s / count)

    async with scraping(metrics):
        await run_streams(address, token, PARALLEL, MESSAGES_PER_S)
        costs = [await cost(PARALLEL * messages, PARALLEL, messages)]
        for length_s in STREAMS_S:
            count = streams // length_s
            costs.append(await cost(count, count, length_s * MESSAGES_PER_S))
        return costs


def report(name: str, unit: str, bare: Sequence[Cost], full: Sequence[Cost]) -> None:
    """Print one line."""
    pairs = list(zip(bare, full, strict=True))
    rate = median(one.per_s / other.per_s for one, other in pairs) - 1
    cpu = median(other.cpu_ms / one.cpu_ms for one, other in pairs) - 1
    print(
        f"{name:15} bare {median(c.per_s for c in bare):7.0f} {unit}/s "
        f"{median(c.cpu_ms for c in bare):.3f} ms  "
        f"full {median(c.per_s for c in full):7.0f} {unit}/s "
        f"{median(c.cpu_ms for c in full):.3f} ms  "
        f"added time {rate:+.1%}, added processor time {cpu:+.1%}"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="What tokens, limits and metrics cost.")
    parser.add_argument("--rounds", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--messages", type=int, default=1_000, help="(default: %(default)s)")
    parser.add_argument("--streams", type=int, default=2_000, help="(default: %(default)s)")
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_bare:
        uvloop.run(serve_bare())
        return
    costs: dict[str, list[list[Cost]]] = {BARE: [], "full": []}
    token, metrics = new_token(), "127.0.0.1:59464"
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            BARE: [sys.executable, "-m", "benchmarks.overhead", "--serve-bare"],
            "full": full_command(Path(folder), token, metrics),
        }
        # The order changes, lest whoever comes second has a warmer machine.
        turns = [
            (number, name)
            for number in range(options.rounds)
            for name in (reversed(commands) if number % 2 else commands)
        ]
        for number, name in turns:
            with serving(commands[name], ROOT, sys.stderr) as running:
                read = "" if name == BARE else metrics
                found = uvloop.run(
                    measure(
                        running.address,
                        running.pid,
                        token,
                        read,
                        options.messages,
                        options.streams,
                    )
                )
            costs[name].append(found)
            print(f"round {number + 1}, {name}: {found[0].per_s:.0f} messages/s", file=sys.stderr)
    kinds = [("messages", "messages")]
    kinds += [(f"streams of {length_s} s", "streams") for length_s in STREAMS_S]
    for index, (name, unit) in enumerate(kinds):
        report(name, unit, *([found[index] for found in costs[kind]] for kind in (BARE, "full")))


if __name__ == "__main__":
    main()
