"""Where results are written: standard output, or a file for each recording."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


class OutputError(Exception):
    """Results cannot be written. `str()` of it is a sentence for people."""


def standard_output(*, utf8: bool) -> TextIO:
    """Return standard output, able to take any text.

    Args:
        utf8: Whether it is to be UTF-8 whatever the environment says, as formats for programs
            are. Elsewhere what its encoding lacks is escaped with a backslash.

    Raises:
        OutputError: It is closed.
    """
    # Python has none where the shell closed it.
    if sys.stdout is None:
        raise OutputError("standard output is closed, so nothing can be written to it")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8" if utf8 else None, errors="backslashreplace")
    return sys.stdout


def discard_standard_output() -> None:
    """Let what is left for standard output go nowhere; Python would fail once more at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write(output: TextIO, text: str) -> None:
    """Write at once, since a pipe may wait for it.

    Raises:
        OutputError: It cannot be written.
        BrokenPipeError: Whoever read it had enough.
    """
    is_standard = output is sys.stdout
    with _told("standard output" if is_standard else getattr(output, "name", "the output")):
        output.write(text)
        output.flush()


@contextlib.contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    """Make a file, and the folders above it; an older one with its name is gone.

    Raises:
        OutputError: It cannot be written.
    """
    with _told(str(file)):
        file.parent.mkdir(parents=True, exist_ok=True)
        output = file.open("w", encoding="utf-8")
    try:
        yield output
    except BaseException:
        # What could not be written would fail once more.
        with contextlib.suppress(OSError):
            output.close()
        raise
    with _told(str(file)):
        output.close()


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise OutputError(f"{name} cannot be written: {reason}") from None
