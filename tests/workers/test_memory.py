"""Weights that processes hold each by themselves can be held once by the system."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from tests.workers.pools import Watched, remote

pytestmark = pytest.mark.timeout(300)

OFFERED = "mg"
"""Of the flags in /proc/PID/smaps, proc(5): madvise(MADV_MERGEABLE)."""
WEIGHTS_BYTES = 60_000_000
"""Somewhat less than tiny.en takes: 38 MB in CTranslate2, 31 MB of the encoder of our own."""


def _offered_pages(pid: int) -> set[bytes]:
    """Return the pages of a process that the system may hold once for several."""
    pages: set[bytes] = set()
    addresses = ""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
            name, *values = line.split()
            if not name.endswith(":"):
                addresses, is_heap = name, "[heap]" in values
            elif name == "VmFlags:" and OFFERED in values:
                assert not is_heap, "audio and texts lie there"
                begin, end = (int(address, 16) for address in addresses.split("-"))
                memory.seek(begin)
                data = memory.read(end - begin)
                pages |= {
                    data[at : at + mmap.PAGESIZE] for at in range(0, len(data), mmap.PAGESIZE)
                }
    return pages - {bytes(mmap.PAGESIZE)}


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/ksm").exists(), reason="this system cannot hold equal pages once"
)
def test_weights_of_whisper_are_offered_and_alike():
    """As many bytes as the weights have are equal in two workers, page by page."""
    watched = Watched("whisper")
    recognizer = remote("whisper", watched.roster)
    try:
        first, second = map(_offered_pages, watched.wait_for(lambda pids: len(pids) == 2))
        assert mmap.PAGESIZE * len(first & second) >= WEIGHTS_BYTES
    except PermissionError:
        pytest.skip("this system does not let a process read its children's memory")
    finally:
        recognizer.close()
