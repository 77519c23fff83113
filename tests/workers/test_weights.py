"""What the workers of a model have loaded alike lies in memory once."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.hypothesis import DecodeOptions, Window
from service.workers.memory import NamelessFile, weights_file
from tests.samples import read_sample
from tests.workers.pools import Watched, remote

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        sys.platform != "linux" or platform.libc_ver()[0] != "glibc",
        reason="only blocks of glibc are looked at, and only Linux has files that can be sealed",
    ),
]

WEIGHTS_BYTES = 69_000_000
"""Of tiny.en: 38 MB in CTranslate2, 31 MB of the encoder of our own."""

HOLDS = """
import resource, sys
import numpy as np
from service.recognizers.allocation import loading
from service.workers.weights import hold_once

descriptor, seed, *limit = map(int, sys.argv[1:])
if limit:
    # Python ignores the signal; a write beyond it is an error.
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit[0], limit[0]))

def weights(seed):
    chance = np.random.default_rng(seed)
    return [chance.standard_normal(size) for size in (20_000, 50_000, 100_000, 300_000)]

def are_whole():
    same = zip([*shared, own], [*weights(1), weights(seed)[-1]], strict=True)
    assert all(map(np.array_equal, *zip(*same)))

with loading():
    shared, own = weights(1), weights(seed)[-1]
    text = bytearray(b"text" * 100_000)
held = hold_once(descriptor)
are_whole()

# What the process writes is its own, and what it frees or has grow is no different from before.
for array in shared:
    array[::1_000] = seed
assert (shared[-1][::1_000] == seed).all()
text += bytes(10_000_000)
assert text[:400_000] == b"text" * 100_000 and not any(text[400_000:])
shared = weights(1)
are_whole()
print(held)
"""

ALIKE_BYTES = 470_000 * 8
OWN_BYTES = 300_000 * 8
LOST_BYTES = 4 * 16_384
"""At the ends of four arrays, at most."""


def _hold(file: NamelessFile, seed: int, *limit: int) -> int:
    """Hold weights in another process, of which all but one array are the same for any seed."""
    arguments = [str(number) for number in (file.fileno(), seed, *limit)]
    done = subprocess.run(
        [sys.executable, "-c", HOLDS, *arguments],
        pass_fds=(file.fileno(),),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    return int(done.stdout)


@pytest.fixture
def file() -> Iterator[NamelessFile]:
    file = weights_file()
    assert file is not None
    yield file
    file.close()


def test_what_is_alike_is_held_once_and_nothing_changes(file):
    """The second process holds what the first did, and nothing of what only one of them has."""
    assert _hold(file, 2) == 0
    for seed in (3, 4):
        assert ALIKE_BYTES - LOST_BYTES <= _hold(file, seed) < ALIKE_BYTES + OWN_BYTES
    assert _hold(file, 2) >= ALIKE_BYTES + OWN_BYTES - LOST_BYTES


def test_nobody_can_change_what_others_hold(file):
    """Once the first process has filled the file, it is as it is."""
    _hold(file, 2)
    before = os.pread(file.fileno(), 16_384, 0)
    with pytest.raises(PermissionError):
        os.pwrite(file.fileno(), b"other", 0)
    with pytest.raises(PermissionError):
        os.truncate(file.fileno(), 0)
    assert os.pread(file.fileno(), 16_384, 0) == before != bytes(16_384)


@pytest.mark.parametrize("limit_bytes", [0, 1_000_000, 1_005_000])
def test_where_files_may_not_grow_less_is_held_and_all_is_whole(file, limit_bytes):
    """A limit of what files may have is none of what a server may hold."""
    assert _hold(file, 2, limit_bytes) == 0
    assert _hold(file, 3) <= limit_bytes


def _held(pid: int) -> Counter[str]:
    """Return sums of /proc/PID/smaps, in bytes, of what a process has mapped of such a file."""
    sums: Counter[str] = Counter()
    is_weights = False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"(\w+): +(\d+) kB", line):
            sums[found[1]] += 1024 * int(found[2]) * is_weights
        elif not re.match(r"\w+:", line):
            is_weights = "/memfd:weights" in line
    return sums


def test_weights_of_whisper_are_held_once_by_workers_that_decode():
    """Also by one that takes the place of another; decodes write to next to nothing of them."""
    watched = Watched("whisper")
    recognizer = remote("whisper", watched.roster)
    window = Window(read_sample("command.flac"))
    try:
        expected = [recognizer.open_stream(DecodeOptions()).final(window) for _ in range(4)]
        before = watched.pids
        os.kill(min(before), signal.SIGKILL)
        pids = watched.wait_for(lambda pids: len(pids) == 2 and pids != before)
        heard = [recognizer.open_stream(DecodeOptions()).final(window) for _ in range(4)]
        assert [each.text for each in heard] == [each.text for each in expected]
        for pid in pids:
            held = _held(pid)
            assert held["Size"] >= WEIGHTS_BYTES
            assert held["Private_Dirty"] < WEIGHTS_BYTES / 20
    finally:
        recognizer.close()
