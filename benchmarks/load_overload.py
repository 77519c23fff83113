"""What becomes of the streams that have a slot while more callers come than there are slots.

A server with N slots, first with N streams, then with the same N streams and the rest of the
callers beside them: each of those comes back every RETRY_S, on a schedule fixed in advance,
on a connection of its own, until the shortest stream has ended. Both by turns.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any

import numpy as np

from benchmarks import load_report
from benchmarks.load_scripts import STAGGER_S, Record, Script, make_scripts
from benchmarks.load_systems import ours
from benchmarks.support import Clip

RETRY_S = 1.0
MOST_RATIO = 1.2
MOST_REFUSAL_S = 0.05


@dataclass(frozen=True)
class Overload:
    """A pair of runs with so many slots. Times are seconds."""

    slots: int
    callers: float
    """For each slot."""
    capacity_p95_s: float
    """Answer to a flush with every slot taken and nobody refused."""
    capacity_p99_s: float
    admitted_p95_s: float
    """The same streams' while others are refused."""
    admitted_p99_s: float
    ratio_p99: float
    refusals: float
    refusal_p50_s: float
    refusal_p99_s: float
    refusal_most_s: float
    failed: float
    """Streams of both runs that broke off, and callers that were neither refused nor taken."""
    taken: float
    """Callers that found a slot, though all should have been in use."""
    capacity_late_p99_s: float
    """By which the client sent too late: what its own machine could not do."""
    admitted_late_p99_s: float

    @property
    def is_met(self) -> bool:
        """Whether everything is within its bounds."""
        is_quick = self.ratio_p99 <= MOST_RATIO and self.refusal_p99_s <= MOST_REFUSAL_S
        return is_quick and not self.failed and not self.taken

    @property
    def line(self) -> str:
        """The figures in one line."""
        return (
            f"{self.slots:3.0f} slots  {self.callers:.2f} callers a slot  "
            f"final at capacity p95 {self.capacity_p95_s:.3f} p99 {self.capacity_p99_s:.3f} s  "
            f"under overload p95 {self.admitted_p95_s:.3f} p99 {self.admitted_p99_s:.3f} s  "
            f"p99 ratio {self.ratio_p99:.2f}  "
            f"{self.refusals:.0f} refusals p50 {1_000 * self.refusal_p50_s:.0f} "
            f"p99 {1_000 * self.refusal_p99_s:.0f} max {1_000 * self.refusal_most_s:.0f} ms  "
            f"failed {self.failed:.0f}  taken all the same {self.taken:.0f}  "
            f"sender late p99 {self.capacity_late_p99_s:.3f}, {self.admitted_late_p99_s:.3f} s  "
            f"{'met' if self.is_met else 'not met'}"
        )


def knocks(scripts: Sequence[Script], callers: int) -> list[Script]:
    """Return what comes too much: short streams, each with its time.

    The first come when all scripts have begun, the last before any has ended.
    """
    end_s = min(script.start_s + script.duration_s for script in scripts)
    found = []
    for number in range(callers):
        at_s = STAGGER_S + RETRY_S + random.Random(number).uniform(0, RETRY_S)
        while at_s < end_s - RETRY_S:
            found.append(Script(scripts[0].clips[:1], at_s))
            at_s += RETRY_S
    return found


def overload_of(
    slots: int,
    factor: float,
    capacity: Sequence[Record],
    admitted: Sequence[Record],
    knocking: Sequence[Record],
) -> Overload:
    """Work out the figures of a pair of runs."""
    refused = [record.refused_s for record in knocking if record.refused_s is not None]
    finals = {"capacity": _times("final_s", capacity), "admitted": _times("final_s", admitted)}
    late = [_times("lateness_s", capacity), _times("lateness_s", [*admitted, *knocking])]
    p99 = {name: _percentile(values, 99) for name, values in finals.items()}
    return Overload(
        slots=slots,
        callers=factor,
        capacity_p95_s=_percentile(finals["capacity"], 95),
        capacity_p99_s=p99["capacity"],
        admitted_p95_s=_percentile(finals["admitted"], 95),
        admitted_p99_s=p99["admitted"],
        ratio_p99=p99["admitted"] / p99["capacity"],
        refusals=len(refused),
        refusal_p50_s=_percentile(refused, 50),
        refusal_p99_s=_percentile(refused, 99),
        refusal_most_s=max(refused, default=math.inf),
        failed=sum(
            bool(record.failure) and record.refused_s is None
            for record in (*capacity, *admitted, *knocking)
        )
        + sum(record.refused_s is not None for record in (*capacity, *admitted)),
        taken=sum(record.is_admitted for record in knocking),
        capacity_late_p99_s=_percentile(late[0], 99),
        admitted_late_p99_s=_percentile(late[1], 99),
    )


def joined(pairs: Sequence[Overload]) -> Overload:
    """Return medians over pairs; of what should not happen, the most."""
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(Overload)):
        join = max if name in {"failed", "taken"} else median
        values[name] = join([getattr(pair, name) for pair in pairs])
    return Overload(**values)


def run(clips: Sequence[Clip], options: argparse.Namespace) -> None:
    """Print a line for each pair of runs, and medians for each number of slots."""
    pairs: list[Overload] = []
    try:
        for slots in options.streams:
            pairs += _with_slots(slots, clips, options)
    finally:
        if options.json:
            report = {
                "arguments": load_report.command_line(),
                "machine": load_report.machine(),
                "bounds": {"ratio_p99": MOST_RATIO, "refusal_p99_s": MOST_REFUSAL_S},
                "pairs": [asdict(pair) for pair in pairs],
            }
            load_report.write(report, options.json)


def _with_slots(slots: int, clips: Sequence[Clip], options: argparse.Namespace) -> list[Overload]:
    scripts = make_scripts(clips, slots, options.seconds)
    extra = knocks(scripts, max(1, round((options.overload - 1) * slots)))
    pairs = []
    with ours(options.model, options.settings, slots) as system:
        system.warm_up(scripts)
        for repeat in range(options.repeat):
            found = {}
            # The order changes, lest whoever comes second has a warmer machine.
            turns = [[], extra] if repeat % 2 else [extra, []]
            for others in turns:
                system.watch.settle()
                found[bool(others)] = asyncio.run(system.play([*scripts, *others]))
            admitted, knocking = found[True][:slots], found[True][slots:]
            pairs.append(overload_of(slots, options.overload, found[False], admitted, knocking))
            print(pairs[-1].line, flush=True)
            for failure in sorted(
                {record.failure for record in (*found[False], *found[True]) if record.failure}
            ):
                print(f"      {failure}")
    if options.repeat > 1:
        print(f"median of {options.repeat}:\n{joined(pairs).line}")
    return pairs


def _times(name: str, records: Sequence[Record]) -> list[float]:
    return [value for record in records for value in getattr(record, name)]


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else math.inf
