"""What the commands of the soak share: settings, speech, what a process holds."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import threading
from dataclasses import dataclass

import numpy as np
import psutil

from service.settings import Settings
from tests.tones import pcm, quiet, tones

SPEECH = pcm(np.concatenate([tones("alfa bravo"), quiet(200)]))
SENTENCE = pcm(np.concatenate([tones("alfa bravo charlie delta"), quiet(1_500)]))


def soak_settings(**changes: object) -> Settings:
    """Return settings for a server that refuses only what is measured."""
    known = {
        "listen": "127.0.0.1:0",
        "model": ["scripted"],
        "voice_activity": "energy",
        "max_starts_per_caller": 0,
        "max_streams": 1_000,
    }
    return Settings.model_validate(known | changes)


class _MallInfo(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    objects: int
    tasks: int
    descriptors: int
    threads: int
    heap_bytes: int

    @classmethod
    def now(cls) -> Held:
        """Measure, after collecting garbage."""
        # The second time for what the finalizers of the first have let go.
        gc.collect()
        gc.collect()
        mallinfo = ctypes.CDLL(None).mallinfo2
        mallinfo.restype = _MallInfo
        info = mallinfo()
        return cls(
            len(gc.get_objects()),
            len(asyncio.all_tasks()),
            psutil.Process().num_fds(),
            threading.active_count(),
            info.uordblks + info.hblkhd,
        )

    def since(self, before: Held, times: float = 1) -> str:
        """Say what has come to it since another measurement, divided by something."""
        counted = ", ".join(
            f"{(getattr(self, name) - getattr(before, name)) / times:+.0f} {name}"
            for name in ("objects", "tasks", "descriptors", "threads")
        )
        heap = (self.heap_bytes - before.heap_bytes) / times / 1_000
        return f"{counted}, {heap:+.1f} kB of C heap"
