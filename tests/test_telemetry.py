"""Log lines: never in the way, never lost in silence."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
from pathlib import Path

from service.telemetry import MAX_WAITING_LINES, LineWriter

FOLDER = Path(__file__).parent.parent


class Disk:
    """A file that is full, or stuck, when the test says so."""

    def __init__(self) -> None:
        self.data = b""
        self.is_full = False
        self.goes_on = threading.Event()
        self.goes_on.set()

    def write(self, data: bytes) -> int:
        self.goes_on.wait()
        if self.is_full:
            raise OSError(errno.ENOSPC, "no space left on device")
        # As little at a time as a pipe may take.
        self.data += data[:7]
        return len(data[:7])


def test_lines_come_whole_and_in_order():
    """However little the file takes at a time."""
    disk = Disk()
    lines = LineWriter(disk.write)
    for number in range(100):
        lines.write(f"line {number}\n")
    lines.drain(30)
    assert disk.data.decode() == "".join(f"line {number}\n" for number in range(100))


def test_a_full_disk_loses_lines_and_says_how_many():
    """Nothing is raised; the first line that fits comes with the number of those lost."""
    disk = Disk()
    lines = LineWriter(disk.write)
    disk.is_full = True
    for _ in range(5):
        lines.write("lost\n")
    lines.drain(30)
    assert lines.lost == 5
    disk.is_full = False
    lines.write("kept\n")
    lines.write("too\n")
    lines.drain(30)
    assert disk.data == b'{"event": "5 log lines were lost", "level": "error"}\nkept\ntoo\n'


def test_a_stuck_pipe_holds_up_nobody():
    """What nobody takes waits up to a bound, then it is lost; writing returns at once."""
    disk = Disk()
    disk.goes_on.clear()
    lines = LineWriter(disk.write)
    for number in range(MAX_WAITING_LINES + 100):
        lines.write(f"{number}\n")
    assert 99 <= lines.lost <= 100
    lines.drain(0.01)
    disk.goes_on.set()
    lines.drain(30)
    assert disk.data.endswith(b"\n")


LOGS_MUCH = """
import structlog
from service.telemetry import MAX_WAITING_LINES, configure_logging

lines = configure_logging("info", "json")
for number in range(MAX_WAITING_LINES):
    structlog.get_logger().info("event", number=number)
print(lines.lost, flush=True)
"""


def test_a_line_of_the_log_waits_as_one():
    """As many lines may wait as is said, and none of another thread can fall into one."""
    with subprocess.Popen(
        [sys.executable, "-c", LOGS_MUCH],
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # Nobody reads the log meanwhile.
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        process.kill()


LOGS_OF_LIBRARIES = """
import logging
import structlog
from service.telemetry import configure_logging

configure_logging("info", "json")
structlog.get_logger().info("ours")
logging.getLogger("theirs").warning("one\\ntwo %s", 3)
try:
    raise ValueError("swordfish")
except ValueError:
    logging.getLogger("theirs").exception("failed")
logging.getLogger("theirs").info("not told")
"""


def test_libraries_log_in_the_same_format():
    """What they say by the standard library's loggers is a JSON object on one line as well."""
    logged = subprocess.run(
        [sys.executable, "-c", LOGS_OF_LIBRARIES],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    ours, warning, failure = map(json.loads, logged.stderr.splitlines())
    assert ours.keys() == {"event", "level", "timestamp"}
    assert (warning["event"], warning["level"]) == ("one\ntwo 3", "warning")
    assert warning["logger"] == failure["logger"] == "theirs"
    assert failure["exception"].endswith("ValueError: swordfish")
