"""Log lines: never in the way, never lost in silence."""

from __future__ import annotations

import errno
import threading

from service.telemetry import MAX_WAITING_LINES, LineWriter


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
