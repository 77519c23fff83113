"""A worker with a scripted recognizer that fails on certain words; for tests.

python -m tests.workers.faulty_worker TASK   as python -m service.workers

No model is loaded while there is a file that SPOILED names: loading ends the process with the
status that the file says, or hangs if that says nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from service.core.errors import InvalidFieldError
from service.core.hypothesis import DecodeOptions, Hypothesis, Window
from service.recognizers import registry, scripted
from service.recognizers.base import Recognizer
from service.workers.__main__ import main
from service.workers.messages import TASK

RAISES, REFUSES, HANGS, EXITS, IS_KILLED, FAULTS = (
    "oscar",
    "papa",
    "romeo",
    "sierra",
    "tango",
    "mike",
)
"""What a decode does that hears the word."""

BREAKS = "november"
"""From then on every decode in the worker raises."""

SPOILED = "SPOILED_WORKERS"
"""Of the environment."""

REFUSED = "tlh"
"""A language that is refused when a stream is opened."""


class FaultyStream(scripted.ScriptedStream):
    """Hears as the scripted one does, and then fails."""

    def interim(self, window: Window) -> Hypothesis:
        return self.final(window)

    def final(self, window: Window) -> Hypothesis:
        hypothesis = scripted.ScriptedStream.final(self, window)
        heard = {word.text for word in hypothesis.words}
        if BREAKS in heard:
            _broken.set()
        if RAISES in heard or _broken.is_set():
            raise RuntimeError("the weights are of paper")
        if REFUSES in heard:
            raise InvalidFieldError("no papa here", "phrases[0].text", {"limit": "0"})
        if HANGS in heard:
            threading.Event().wait()
        if EXITS in heard:
            os._exit(7)
        if IS_KILLED in heard:
            os.kill(os.getpid(), signal.SIGKILL)
        if FAULTS in heard:
            # In this thread, as a real one is: sent to the process, another thread would take
            # it, and this one could answer meanwhile.
            signal.raise_signal(signal.SIGSEGV)
        return hypothesis


_broken = threading.Event()


def spoiled(load: Callable[..., Recognizer]) -> Callable[..., Recognizer]:
    """Return what loads a model as this does, unless loading is spoiled."""

    def load_or_fail(*arguments: object) -> Recognizer:
        file = Path(os.environ.get(SPOILED, "no such file"))
        if file.exists():
            status = file.read_text(encoding="utf-8")
            if status:
                os._exit(int(status))
            threading.Event().wait()
        return load(*arguments)

    return load_or_fail


def _open_stream(_: object, options: DecodeOptions) -> FaultyStream:
    if options.language == REFUSED:
        raise InvalidFieldError("no Klingon", "language_code")
    return FaultyStream(options, 0.0)


if __name__ == "__main__":
    registry.load = spoiled(registry.load)
    scripted.ScriptedRecognizer.open_stream = _open_stream
    sys.exit(main(TASK.validate_json(sys.argv[1])))
