"""Running the command line programs as users do, and audio to run them on."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

from tests.client.fake_server import FakeServer

ROOT = Path(__file__).parents[2]


async def start(
    module: str,
    *arguments: str,
    stdin: IO[bytes] | int | None = None,
    folder: Path = ROOT,
    stdout: IO[bytes] | int = PIPE,
    **environment: str,
) -> Process:
    """Start a program with its output in pipes, unless told otherwise."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=stdin,
        stdout=stdout,
        stderr=PIPE,
    )


async def outcome(process: Process) -> tuple[int, str, str]:
    """Wait for a program's end; returns its exit code, standard output and standard error."""
    output, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (output or b"").decode(), complaints.decode()


async def run(
    module: str, *arguments: str, stdin: IO[bytes] | int | None = None
) -> tuple[int, str, str]:
    """Run a program to its end."""
    return await outcome(await start(module, *arguments, stdin=stdin))


async def transcribe(
    server: FakeServer, *arguments: str, stdin: IO[bytes] | int | None = None
) -> tuple[int, str, str]:
    """Run client.file against a server."""
    return await run("client.file", "--server", server.address, *arguments, stdin=stdin)


def write_tone(path: Path, duration_s: float = 1.0, rate_hz: int = 16_000) -> str:
    """Write a tone in the format that the path's suffix says."""
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 440 * times_s), rate_hz)
    return str(path)
