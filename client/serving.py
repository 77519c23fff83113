"""Runs a server as a process of its own, until it is no longer needed."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

READY = re.compile(r"listening on ([^\s,]+)")

START_S = 180.0
"""For loading the model and its first decode, on a slow machine as well."""

STOP_S = 20.0
"""Longer than a server waits for load balancers, and gives open streams, in all."""


class ServerError(Exception):
    """The server failed; the message says how, the code is its own or 1."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Running:
    """A server that is ready."""

    address: str
    """HOST:PORT."""
    pid: int


@contextmanager
def serving(
    command: Sequence[str],
    folder: Path,
    log: IO[str],
    stop_signal: signal.Signals = signal.SIGINT,
) -> Iterator[Running]:
    """Run a server in this folder; stop it at the end.

    By default as Ctrl-C does, which does not wait for load balancers.

    Raises:
        ServerError: it did not start, or ended with a code other than 0.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        # Ctrl-C is for the caller, who then stops the server in good order.
        start_new_session=True,
    ) as server:
        addresses: queue.Queue[str | None] = queue.Queue()
        pump = threading.Thread(target=_pump, args=(server, log, addresses), daemon=True)
        pump.start()
        try:
            try:
                address = _wait_until_ready(server, addresses)
            except BaseException:
                # It has no stream to finish, and heeds no other signal before it has loaded.
                server.kill()
                raise
            yield Running(address, server.pid)
        finally:
            stop(server, stop_signal)
            pump.join(STOP_S)
    if server.returncode != 0:
        raise ServerError(f"The server ended with code {server.returncode}.", server.returncode)


def _pump(server: subprocess.Popen[str], log: IO[str], addresses: queue.Queue[str | None]) -> None:
    """Copy what the server prints into the log, to the end, lest it block on a full pipe."""
    for line in server.stdout or ():
        log.write(line)
        log.flush()
        if match := READY.search(line):
            addresses.put(match[1])
    addresses.put(None)


def _wait_until_ready(server: subprocess.Popen[str], addresses: queue.Queue[str | None]) -> str:
    try:
        address = addresses.get(timeout=START_S)
    except queue.Empty:
        raise ServerError(
            f"The server was not ready within {START_S:.0f} s. If it was downloading a model, that "
            "was cut off; start the server by itself once, which waits for the end of it."
        ) from None
    if address is None:
        code = server.wait()
        raise ServerError(f"The server ended at start-up with code {code}.", code or 1)
    return address


def stop(server: subprocess.Popen[str], stop_signal: signal.Signals) -> None:
    """Ask the server to end, and make it end if it does not."""
    if server.poll() is None:
        server.send_signal(stop_signal)
    try:
        server.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
