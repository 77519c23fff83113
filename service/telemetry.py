"""Logs: one line per fact, readable on a terminal and JSON elsewhere.

No line ever holds audio, transcripts, metadata or a client's exception text.
"""

from __future__ import annotations

import logging
import sys

import structlog

LOG_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logging(level: str, style: str) -> None:
    """Log to standard error from this level on.

    ``style`` is console, json, or auto: console on a terminal and JSON elsewhere.
    """
    if style == "auto":
        style = "console" if sys.stderr.isatty() else "json"
    renderer = (
        structlog.dev.ConsoleRenderer()
        if style == "console"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LOG_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
