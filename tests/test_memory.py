"""What the server's process gives back of the memory that it has freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")

KEEPS_FREED = """
from service.recognizers.allocation import loading

with loading():
    pass
"""

GIVES_BACK = (
    KEEPS_FREED
    + """
import threading
from service.memory import giving_back, resident_bytes

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
)

ONE_HEAP = (
    KEEPS_FREED
    + """
import threading
from service.memory import one_heap, resident_bytes

one_heap()

def take():
    for _ in range(20):
        blocks = [bytearray(b"x") * 65_536 for _ in range(1_000)]
        del blocks

thread = threading.Thread(target=take)
thread.start()
thread.join()
kept = resident_bytes()
take()
assert resident_bytes() < kept + 10_000_000
"""
)

KEEPS_WHAT_DECODES_FREE = """
from service.recognizers.allocation import KEPT_BYTES, loading
from service.memory import resident_bytes

def is_kept(size_bytes):
    block = bytearray(b"x") * size_bytes
    full = resident_bytes()
    del block
    return resident_bytes() > full - size_bytes // 2

for _ in range(2):
    with loading():
        assert not is_kept(1_000_000), "what loading takes and frees is not given back"
assert is_kept(KEPT_BYTES // 2)
assert not is_kept(KEPT_BYTES * 2)
"""


def _run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_freed_memory_between_what_is_in_use_goes_back():
    """While the block runs, again and again; afterwards nothing of it is left."""
    _run(GIVES_BACK)


def test_what_one_thread_has_freed_another_one_takes():
    """Memory that is kept is not kept once for each thread."""
    _run(ONE_HEAP)


def test_what_decodes_free_is_kept_for_the_next():
    """Also behind another model that is loaded; what loading frees is given back each time."""
    _run(KEEPS_WHAT_DECODES_FREE)
