"""Servers as processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent.parent
SCRIPTED = (
    *("--model", "scripted", "--voice-activity", "energy", "--log-format", "json"),
    *("--listen", "127.0.0.1:0", "--lame-duck-s", "0"),
)


@dataclass(frozen=True)
class Process:
    """A server that is ready."""

    address: str
    popen: subprocess.Popen[str]
    log: Path

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.popen.poll() is None

    def wait(self, timeout_s: float = 50.0) -> int:
        """Wait for its end and return its exit status."""
        return self.popen.wait(timeout_s)

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has logged."""
        # The last line may not be whole yet.
        *whole, _ = self.log.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in whole if line.startswith("{")]


@contextmanager
def service(
    *options: str, module: str = "tests.faults.faulty_service", stderr: IO[Any] | None = None
) -> Iterator[Process]:
    """Run a server until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with (
            log.open("w", encoding="utf-8") as file,
            subprocess.Popen(
                [sys.executable, "-m", module, *SCRIPTED, *options],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=stderr or file,
                text=True,
            ) as popen,
        ):
            try:
                assert popen.stdout is not None
                line = popen.stdout.readline()
                assert line.startswith("listening on "), log.read_text(encoding="utf-8")
                yield Process(line.split()[2].rstrip(","), popen, log)
            finally:
                popen.kill()
