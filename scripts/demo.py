"""Starts the server, streams a recording to it as if it were spoken now, and stops it.

`make demo` runs this. The exit code is 0, or that of the part that failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from client.serving import ServerError, serving

ROOT = Path(__file__).resolve().parent.parent
RECORDING = Path("samples/demo.flac")
SERVER = [sys.executable, "-m", "service", "--listen", "127.0.0.1:0"]
CLIENT = [sys.executable, "-m", "client.file", "--realtime", "--interim", "--times", str(RECORDING)]


def demonstrate(log: IO[str]) -> int:
    """Run the demo; return the exit code and say what failed."""
    code = 0
    try:
        print("Starting the server …", flush=True)
        with serving(SERVER, ROOT, log) as running:
            print(f"Streaming {RECORDING} to {running.address} at the pace of speech.", flush=True)
            command = [*CLIENT, "--server", running.address]
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
    except ServerError as error:
        print(f"demo: {error}", file=sys.stderr)
        code = error.code
    else:
        if code != 0:
            print(f"demo: The client ended with code {code}.", file=sys.stderr)
    # A process that died of a signal has a negative code; shells add it to 128.
    return code if code >= 0 else 128 - code


def main() -> int:
    """Run the demo; show the server's log if it failed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        try:
            code = demonstrate(log)
        except KeyboardInterrupt:
            return 130
        if code != 0:
            log.seek(0)
            print(f"The server's log:\n{log.read().strip() or '(empty)'}", file=sys.stderr)
        return code


if __name__ == "__main__":
    sys.exit(main())
