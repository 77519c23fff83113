"""Where a program shows what it hears: results on standard output, the rest beside them."""

import sys
from contextlib import AbstractContextManager
from typing import Protocol, Self, TextIO

from client.output import write
from protos.asr.v1.asr_pb2 import Result

SETTLING = ("final_result", "speech_started")
"""Events after which a growing segment that is shown grows no more."""


class Screen(AbstractContextManager["Screen"], Protocol):
    """What a program needs of a terminal. A block ends with the terminal as it was."""

    def results(self, text: str) -> None:
        """Write finished output, line ends included.

        Raises:
            OutputError: It cannot be written.
        """
        ...

    def interim(self, result: Result) -> None:
        """Show what the growing segment reads like now, in place of what was shown before."""
        ...

    def settled(self) -> None:
        """Show no growing segment: its final result came, or another one begins.

        A segment without words has no final result.
        """
        ...

    def progress(self, processed_s: float) -> None:
        """Show how much audio the server has listened to."""
        ...

    def level(self, peak: float) -> None:
        """Show how loud the microphone is; 1 is full scale."""
        ...

    def note(self, sentence: str) -> None:
        """Tell the user something that is not a result."""
        ...


class PlainScreen:
    """Lines only, for pipes and logs."""

    def __init__(self, output: TextIO, *, interims: bool = False) -> None:
        """Write results to `output` and the rest to standard error.

        Args:
            output: Takes the results.
            interims: Whether each interim result makes a line on standard error.
        """
        self._output = output
        self._interims = interims

    def __enter__(self) -> Self:
        """Do nothing; lines need no preparation."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing; lines leave nothing to restore."""

    def results(self, text: str) -> None:
        """Write finished output."""
        write(self._output, text)

    def interim(self, result: Result) -> None:
        """Write the text of an interim result, its unstable part in brackets."""
        if self._interims:
            stable = result.stable_text
            print(f"  … {stable}[{result.text[len(stable) :]}]", file=sys.stderr, flush=True)

    def settled(self) -> None:
        """Write nothing."""

    def progress(self, processed_s: float) -> None:
        """Write nothing."""

    def level(self, peak: float) -> None:
        """Write nothing."""

    def note(self, sentence: str) -> None:
        """Write a line to standard error."""
        print(sentence, file=sys.stderr, flush=True)
