"""The server as a process: its exit status, its signals, and how it ends when it must."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from types import FrameType
from typing import NoReturn


class ExitStatus(IntEnum):
    """What the process says when it ends; documented in --help."""

    STOPPED = 0
    FAILED = 1
    WRONG_SETTINGS = 2
    NO_MODEL = 3
    CANNOT_LISTEN = 4


class StartError(Exception):
    """The server cannot start; the message says what to do."""

    def __init__(self, status: ExitStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def stop_on_signals(
    on_stop: Callable[[signal.Signals], None],
) -> asyncio.Future[signal.Signals]:
    """Return what the first SIGTERM or SIGINT sets; the second one ends the process at once.

    ``on_stop`` is told of the first.
    """
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def on_first(number: signal.Signals) -> None:
        if stop.done():
            end_now(number, None)
        on_stop(number)
        stop.set_result(number)

    def end_now(number: int, _: FrameType | None) -> NoReturn:
        os._exit(128 + number)

    for number in numbers:
        loop.add_signal_handler(number, on_first, number)
    return stop


def exit_now(status: ExitStatus, flush: Callable[[], None]) -> NoReturn:
    """End the process although threads of it hang."""
    flush()
    os._exit(status)


def exit_blocked(flush: Callable[[], None]) -> NoReturn:
    """End the process since its event loop is blocked; says where, so that it can be mended."""
    flush()
    os.write(sys.stderr.fileno(), b"error: the event loop is blocked; all threads stand here:\n")
    faulthandler.dump_traceback(all_threads=True)
    os._exit(ExitStatus.FAILED)


def exit_within(limit_s: float, give_up: Callable[[], NoReturn]) -> None:
    """Give up, from a thread, if the process has not ended by itself by then."""
    timer = threading.Timer(limit_s, give_up)
    timer.daemon = True
    timer.start()


def say(line: str) -> None:
    """Tell whoever started the server, or a script that waits for the line."""
    # A full disk behind it is no reason not to serve.
    with suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def complain(error: Exception) -> None:
    """Say on standard error why the server does not run."""
    sys.stderr.write(f"error: {error}\n")
