"""What a server uses."""

import os
import subprocess
import sys
import threading

import psutil
import pytest
from prometheus_client import generate_latest

from benchmarks.load_figures import Cost
from benchmarks.load_watch import Watch, audio_of
from benchmarks.support import Server
from service.core.decoding import INTERIMS, JobKind
from service.observability.prometheus import Metrics


def test_amplification_is_read_from_our_metrics():
    """Every kind of decode that our server counts is counted, interims apart."""
    metrics = Metrics()
    metrics.audio.add(object(), "whisper", lambda: 10.0)
    metrics.audio.add(object(), "other", lambda: 2.0)
    for kind in JobKind:
        metrics.decoded_audio.labels("whisper", kind.name.lower()).inc(3.0)
    exposition = generate_latest(metrics.registry).decode()
    interims = 3.0 * len(INTERIMS)
    assert audio_of(exposition) == (12.0, interims, 3.0 * len(JobKind) - interims)


def test_of_a_server_out_of_reach_nothing_is_known():
    """Without a process and metrics every cost is unknown, and nothing waits."""
    watch = Watch(None)
    watch.settle()
    watch.take_baseline()
    with watch.watching():
        pass
    assert watch.cost == Cost()


@pytest.fixture
def family():
    """A process with a child; both use time and memory, say so, and then wait."""
    busy = "x = bytearray(30_000_000); sum(range(5_000_000)); print('ready', flush=True)"
    child = f"{busy}; input()"
    parent = (
        "import subprocess, sys; "
        f"c = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE); "
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield Server("", psutil.Process(process.pid))
        process.stdin.close()


@pytest.mark.skipif(sys.platform != "linux", reason="proportional memory is Linux's")
def test_children_count(family):
    """A server's children are part of its time and memory."""
    [child] = family.process.children()
    times = child.cpu_times()
    assert family.cpu_s >= times.user + times.system > 0
    assert family.resident_bytes > 30_000_000
    assert family.resident_bytes > family.process.memory_full_info().pss


def test_memory_is_beyond_the_baseline():
    """What was held before is not counted; a block that is looked at once has a memory."""

    class Growing(Server):
        @property
        def resident_bytes(self) -> int:
            sizes.append(sizes[-1] + 1_000)
            if len(sizes) > 3:
                is_seen.set()
            return sizes[-1]

    sizes, is_seen = [0], threading.Event()
    watch = Watch(Growing("", psutil.Process(os.getpid())))
    watch.take_baseline()
    with watch.watching():
        assert is_seen.wait(50)
    assert watch.cost.cpu_s is not None
    assert watch.cost.memory_bytes == sizes[-1] - 1_000
