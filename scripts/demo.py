"""Starts the server, streams a recording to it as if it were spoken now, and stops it.

`make demo` runs this. The exit code is 0, or that of the part that failed.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
RECORDING = Path("samples/demo.flac")

READY = re.compile(r"listening on (\S+)")

START_S = 180.0
"""For loading the model and its first decode, on a slow machine as well."""

STOP_S = 20.0
"""Longer than the grace that the server gives to open streams."""


class DemoError(Exception):
    """Something failed; the message says what, the code is for the shell."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def serving(log: IO[str]) -> Iterator[str]:
    """Run a server on a free port; give its address; stop it at the end."""
    server = subprocess.Popen(
        [sys.executable, "-m", "service", "--listen", "127.0.0.1:0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        # Ctrl-C is for the demo, which then stops the server in good order.
        start_new_session=True,
    )
    try:
        yield wait_until_ready(server, log)
    finally:
        stop(server)
    if server.returncode != 0:
        raise DemoError(f"The server ended with code {server.returncode}.", server.returncode)


def wait_until_ready(server: subprocess.Popen[str], log: IO[str]) -> str:
    """Return the address that the server prints when it can be used."""
    addresses: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        # Reads to the end, lest the server block on a full pipe.
        for line in server.stdout or ():
            log.write(line)
            log.flush()
            if match := READY.search(line):
                addresses.put(match[1])
        addresses.put(None)

    threading.Thread(target=read, name="server output", daemon=True).start()
    try:
        address = addresses.get(timeout=START_S)
    except queue.Empty:
        raise DemoError(f"The server was not ready within {START_S:.0f} s.") from None
    if address is None:
        code = server.wait()
        raise DemoError(f"The server ended at start-up with code {code}.", code or 1)
    return address


def stop(server: subprocess.Popen[str]) -> None:
    """Ask the server to end, and make it end if it does not."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    try:
        server.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def stream_to(address: str) -> None:
    """Run the reference client; its output is the demo."""
    print(f"Streaming {RECORDING} to {address} at the pace of speech.", flush=True)
    command = [sys.executable, "-m", "client.file", "--server", address]
    command += ["--realtime", "--interim", str(RECORDING)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code != 0:
        raise DemoError(f"The client ended with code {code}.", code)


def demonstrate() -> None:
    """Run the demo; a failure shows the server's log."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        try:
            print("Starting the server …", flush=True)
            with serving(log) as address:
                stream_to(address)
        except DemoError:
            log.seek(0)
            print(f"The server's log:\n{log.read().strip() or '(empty)'}\n", file=sys.stderr)
            raise


def main() -> int:
    """Run the demo and return its exit code."""
    try:
        demonstrate()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        # A process that died of a signal has a negative code; shells add it to 128.
        return error.code if error.code > 0 else 128 - error.code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
