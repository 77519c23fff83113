"""A worker never outlives its server."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of sys/prctl.h."""


def ignore_stop_signals() -> None:
    """Leave Ctrl-C and SIGTERM, which reach all processes of a group, to the server.

    It lets its streams end first, and then its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def die_with_parent() -> None:
    """Have Linux kill this process when the thread that started it ends.

    Other systems have nothing like it. There the end of the control pipe tells, as soon as
    Python runs: only a decode that hangs and holds Python's lock as well would be left over.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
