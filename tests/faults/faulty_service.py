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

import structlog

from service import app
from service.core.hypothesis import Hypothesis, Window
from service.recognizers import scripted

SLOW_S = 0.4
RETRY_S = 0.05

RAISES, NO_MEMORY, EXITS, SLOW = "oscar", "papa", "lima", "quebec"
HANGS, BLOCKS, DIES, JUMPS = "romeo", "sierra", "tango", "november"
BREAKS = "mike"
"""What a decode does that hears the word."""

ERRORS = {RAISES: RuntimeError, NO_MEMORY: MemoryError, EXITS: SystemExit}


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FaultyStream(scripted.ScriptedStream):
    """Hears as the scripted one does, and then fails."""

    loop: asyncio.AbstractEventLoop
    is_open: list[bool]
    broken: threading.Event
    """Of the recognizer: from now on every decode raises."""
    doomed: list[int]
    """The threads that are to die once the stream has had its answer."""

    def interim(self, window: Window) -> Hypothesis:
        return scripted.ScriptedStream.final(self, window)

    def final(self, window: Window) -> Hypothesis:
        hypothesis = scripted.ScriptedStream.final(self, window)
        heard = {word.text for word in hypothesis.words}
        if BREAKS in heard:
            self.broken.set()
        if self.broken.is_set():
            raise RuntimeError("illegal memory access")
        for word in heard & ERRORS.keys():
            raise ERRORS[word]("/srv/models/secret")
        if SLOW in heard:
            time.sleep(SLOW_S)
        if HANGS in heard:
            threading.Event().wait()
        if BLOCKS in heard:
            self.loop.call_soon_threadsafe(time.sleep, 3600)
        if JUMPS in heard:
            _jump(3600.0)
        if DIES in heard:
            self.doomed.append(threading.get_ident())
        return hypothesis

    def close(self) -> None:
        # Once for each, however often it is closed.
        if self.is_open:
            self.is_open.clear()
            log.info("state released")
            for thread in self.doomed:
                threading.Thread(target=_kill, args=(thread,), daemon=True).start()


def _jump(seconds: float) -> None:
    """Set the wall clock, as far as Python sees it."""
    now = time.time
    time.time = lambda: now() + seconds


def _kill(ident: int) -> None:
    """Raise SystemExit in a thread whenever it runs Python again, until that has ended it.

    One that strikes while it decodes costs it that decode alone.
    """
    victims = [thread for thread in threading.enumerate() if thread.ident == ident]
    for victim in victims:
        while victim.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(ident), ctypes.py_object(SystemExit)
            )
            victim.join(RETRY_S)


_BROKEN = threading.Event()


def _open_stream(_: object, options: object) -> FaultyStream:
    log.info("state created")
    return FaultyStream(options, 0.0, asyncio._get_running_loop(), [True], _BROKEN, [])


if __name__ == "__main__":
    scripted.ScriptedRecognizer.open_stream = _open_stream
    # A test on a busy machine is slow to ask for the last words.
    app.LAST_WORDS_S = 8.0
    sys.exit(app.main(sys.argv[1:]))
