"""What the server's process gives back of the memory that it has freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
from service.memory import giving_back, resident_bytes

# As the default recognizer has it: freed memory is kept.
mallopt = ctypes.CDLL(None).mallopt
mallopt(-3, 1 << 30)
mallopt(-1, 1 << 29)

blocks = [bytearray(b"x") * 65_536 for _ in range(1_000)]
last = bytearray(b"x") * 65_536
full = resident_bytes()
blocks.clear()
kept = resident_bytes()
assert kept > full - 10_000_000, "what is freed is given back without being asked for"
with giving_back(interval_s=0.01):
    while resident_bytes() > kept - 50_000_000:
        pass
assert threading.active_count() == 1
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_freed_memory_between_what_is_in_use_goes_back():
    """While the block runs, again and again; afterwards nothing of it is left."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
