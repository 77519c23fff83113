"""A screen that rewrites its last line: growing text, progress, microphone level."""

import math
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from client.output import write
from protos.asr.v1.asr_pb2 import Result

_REFRESH_PER_S = 12.5
_TITLE_CELLS = 30
_METER_CELLS = 10
_METER_FLOOR_DB = -60.0


class TerminalScreen:
    """Shows results above a live line, on a terminal.

    The live line is drawn on standard error; results go to standard output, and are drawn above
    the line where that is a terminal too, which is then the same one.
    """

    def __init__(self, output: TextIO, *, title: str = "", duration_s: float | None = None) -> None:
        """Prepare the screen.

        Args:
            output: Takes the results.
            title: Stands before the progress bar.
            duration_s: Length of the recording; a bar is shown where it is given.
        """
        self._output = output
        self._console = Console(stderr=True)
        self._live_text = Text()
        self._meter = Text()
        self._bar: Progress | None = None
        if duration_s is not None:
            self._bar = Progress(
                TextColumn(
                    "{task.description}",
                    # A name may have brackets.
                    markup=False,
                    table_column=Column(max_width=_TITLE_CELLS),
                ),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task(title, total=duration_s)
        self._live = Live(
            self,
            console=self._console,
            refresh_per_second=_REFRESH_PER_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wipe the live line."""
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the live line as it is now."""
        lines: list[Text | Progress] = [line for line in (self._live_text, self._meter) if line]
        if self._bar is not None:
            lines.append(self._bar)
        yield Group(*lines)

    def results(self, text: str) -> None:
        """Write finished output, above the live line on a terminal."""
        if not text:
            return
        if self._output.isatty():
            self._console.print(Text(text.removesuffix("\n")), soft_wrap=True)
            return
        write(self._output, text)

    def interim(self, result: Result) -> None:
        """Show stable text in full and the rest, which may still change, dimmed."""
        stable = result.stable_text
        self._live_text = Text.assemble(stable, (result.text[len(stable) :], "dim"))

    def settled(self) -> None:
        """Empty the live line."""
        self._live_text = Text()

    def progress(self, processed_s: float) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=processed_s)

    def level(self, peak: float) -> None:
        """Draw the meter."""
        self._meter = meter(peak)

    def note(self, sentence: str) -> None:
        """Show a sentence above the live line."""
        self._console.print(Text(sentence), soft_wrap=True)


def meter(peak: float) -> Text:
    """Draw a level meter over 60 dB: green, yellow near full scale, red at it.

    Args:
        peak: Largest magnitude of a sample, 1 is full scale.
    """
    level_db = 20 * math.log10(peak) if peak > 0 else -math.inf
    share = min(1.0, max(0.0, 1 - level_db / _METER_FLOOR_DB))
    cells = round(share * _METER_CELLS)
    style = "red" if level_db > -1 else "yellow" if level_db > -6 else "green"
    return Text.assemble(("█" * cells, style), ("░" * (_METER_CELLS - cells), "dim"))
