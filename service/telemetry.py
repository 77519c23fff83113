"""Logs: one line per fact, readable on a terminal and JSON elsewhere.

No line ever holds audio, transcripts, metadata or a client's exception text.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO, cast

import structlog

LOG_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

MAX_WAITING_LINES = 10_000
"""Lines that may wait while nobody takes them; further ones are lost, and counted."""

LAST_LINES_S = 1.0
"""Time to write what waits when the process ends."""


class LineWriter:
    """Writes lines in a thread of its own, as a file that each line is written to at once.

    A full disk or a pipe that nobody empties costs log lines, and neither the service
    nor a stream: nothing here waits or raises. What was lost is said in the log itself
    once it takes lines again.
    """

    def __init__(self, write: Callable[[bytes], int]) -> None:
        """Write by this function, which is as ``os.write`` to some file."""
        self._write = write
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._is_writing = False
        self.lost = 0
        """Lines that were not written, so far."""
        self._lost_unsaid = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, line: str) -> int:
        """Queue a line with its end."""
        with self._changed:
            if len(self._lines) < MAX_WAITING_LINES:
                self._lines.append(line)
                self._changed.notify_all()
            else:
                self._lose()
        return len(line)

    def flush(self) -> None:
        """Return at once: lines are written as soon as possible anyway."""

    def drain(self, timeout_s: float = LAST_LINES_S) -> None:
        """Wait until all is written, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._is_writing, timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines)
                line = self._lines.popleft()
                self._is_writing = True
                lost = self._lost_unsaid
            if lost:
                line = f'{{"event": "{lost} log lines were lost", "level": "error"}}\n{line}'
            try:
                self._write_all(line.encode(errors="replace"))
            except OSError:
                with self._changed:
                    self._lose()
            else:
                with self._changed:
                    self._lost_unsaid -= lost

    def _write_all(self, data: bytes) -> None:
        while data:
            data = data[self._write(data) :]

    def _lose(self) -> None:
        self.lost += 1
        self._lost_unsaid += 1


def configure_logging(level: str, style: str) -> LineWriter:
    """Log to standard error from this level on; returns what writes the lines.

    ``style`` is console, json, or auto: console on a terminal and JSON elsewhere.
    """
    descriptor = sys.stderr.fileno()
    lines = LineWriter(lambda data: os.write(descriptor, data))
    atexit.register(lines.drain)
    if style == "auto":
        style = "console" if sys.stderr.isatty() else "json"
    renderer = (
        # The default one shows local variables, and those hold audio and transcripts.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if style == "console"
        else structlog.processors.JSONRenderer()
    )
    every: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    last: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, renderer]
    structlog.configure(
        processors=[*every, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LOG_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, lines)),
    )
    # What libraries say by the standard library's loggers.
    theirs = logging.StreamHandler(cast(TextIO, lines))
    theirs.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *every],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[theirs])
    return lines
