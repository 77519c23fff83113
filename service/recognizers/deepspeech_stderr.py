"""What the library writes to standard error.

It tells its version there whenever a model is created, and why a file is refused, past
Python and past the log. While a model is loaded, file descriptor 2 therefore leads into a
file. That is so for the whole process, so it is done only at start-up, and what was not
the library's usual talk is handed on afterwards.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

USUAL: Final = (
    "TensorFlow: ",
    "DeepSpeech: ",
    " Coqui STT: ",
    "Warning: reading entire model file into memory",
    "INFO: ",
)


@contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Collect the lines that anything writes to file descriptor 2 while the block runs.

    Yields:
        The lines; filled when the block is left, however it is left.
    """
    lines: list[str] = []
    sys.stderr.flush()
    real = os.dup(2)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                yield lines
            finally:
                sys.stderr.flush()
                os.dup2(real, 2)
                file.seek(0)
                lines += file.read().decode("utf-8", "replace").splitlines()
    finally:
        os.close(real)


def unusual(lines: Iterable[str]) -> list[str]:
    """Return the lines that tell more than versions."""
    return [line for line in lines if line.strip() and not line.startswith(USUAL)]
