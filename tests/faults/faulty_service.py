"""The service with a scripted recognizer that fails on certain words; for tests.

python -m tests.faults.faulty_service OPTION…   as python -m service
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial

import structlog

from service import app
from service.core.hypothesis import Hypothesis, Window
from service.recognizers import scripted

SLOW_S = 0.4

RAISES, NO_MEMORY, SLOW = "oscar", "papa", "quebec"
HANGS, BLOCKS, DIES, JUMPS = "romeo", "sierra", "tango", "november"
BREAKS = "mike"
"""What a decode does that hears the word."""


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FaultyStream(scripted.ScriptedStream):
    """Hears as the scripted one does, and then fails."""

    loop: asyncio.AbstractEventLoop
    is_open: list[bool]
    broken: threading.Event
    """Of the recognizer: from now on every decode raises."""

    def interim(self, window: Window) -> Hypothesis:
        return scripted.ScriptedStream.final(self, window)

    def final(self, window: Window) -> Hypothesis:
        hypothesis = scripted.ScriptedStream.final(self, window)
        heard = {word.text for word in hypothesis.words}
        if BREAKS in heard:
            self.broken.set()
        if self.broken.is_set():
            raise RuntimeError("illegal memory access")
        if RAISES in heard:
            raise RuntimeError("/srv/models/secret")
        if NO_MEMORY in heard:
            raise MemoryError
        if SLOW in heard:
            time.sleep(SLOW_S)
        if HANGS in heard:
            threading.Event().wait()
        if BLOCKS in heard:
            self.loop.call_soon_threadsafe(time.sleep, 3600)
        if JUMPS in heard:
            _jump(3600.0)
        if DIES in heard:
            threading.Timer(0.05, partial(_kill, threading.get_ident())).start()
        return hypothesis

    def close(self) -> None:
        # Once for each, however often it is closed.
        if self.is_open:
            self.is_open.clear()
            log.info("state released")


def _jump(seconds: float) -> None:
    """Set the wall clock, as far as Python sees it."""
    now = time.time
    time.time = lambda: now() + seconds


def _kill(thread: int) -> None:
    """Raise SystemExit in a thread, once it runs Python again."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(SystemExit))


_BROKEN = threading.Event()


def _open_stream(_: object, options: object) -> FaultyStream:
    log.info("state created")
    return FaultyStream(options, 0.0, asyncio._get_running_loop(), [True], _BROKEN)


if __name__ == "__main__":
    scripted.ScriptedRecognizer.open_stream = _open_stream
    # A test on a busy machine is slow to ask for the last words.
    app.LAST_WORDS_S = 8.0
    sys.exit(app.main(sys.argv[1:]))
