"""Conditions under which recordings are tried: what the command line says, applied to samples.

A condition is `clean`, or steps joined by "+", each `KIND:VALUE:NAME=VALUE…`. What it does to a
clip is a function of the samples, the seed and the clip's name: two runs, two machines and two
servers hear the same bytes.
"""

import itertools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from client.evaluation import effects
from client.evaluation.kinds import KINDS, Clip, Kind, Parameter, Step, Surroundings
from client.evaluation.recordings import Samples

CLEAN = "clean"
VALUE_SEPARATOR = ","


class ConditionError(Exception):
    """A condition makes no sense. `str()` of it is a sentence for people."""


_STEP_BORDER = re.compile(rf"\+(?=(?:{'|'.join(KINDS)})(?:[:+]|$))")
"""A plus before a kind; one within a path stays."""


@dataclass(frozen=True)
class Condition:
    """Steps that are applied one after the other."""

    label: str
    steps: tuple[Step, ...] = ()

    def apply(self, clip: str, samples: Samples, seed: int, surroundings: Surroundings) -> Samples:
        """Return what a clip sounds like under this condition.

        Args:
            clip: Its name, which chooses its share of chance.
            samples: The recording.
            seed: The run's share of chance.
            surroundings: Noises and other clips.
        """
        for step in self.steps:
            # Not by the numbers: at another ratio the same piece of the same noise is heard.
            key = [seed, zlib.crc32(clip.encode()), zlib.crc32(step.name.encode())]
            random = np.random.default_rng(key)
            samples = KINDS[step.kind].apply(Clip(clip, samples, random, surroundings), step)
        return samples

    def duration_s(self, duration_s: float) -> float:
        """Say how long a recording of this length becomes."""
        for step in self.steps:
            if "factor" in step.values:
                duration_s /= step.values["factor"]
            duration_s += step.values.get("before", 0) + step.values.get("after", 0)
        return duration_s

    @property
    def signal_to_noise(self) -> tuple[str, float] | None:
        """The condition but for its ratio, and the ratio in dB; None where it has no noise."""
        found = [step for step in self.steps if "snr" in step.values]
        if len(found) != 1:
            return None
        snr = found[0].values["snr"]
        return self.label.replace(f":snr={snr:g}", ""), snr

    @property
    def needs_others(self) -> bool:
        """Whether it needs other clips than the one it is applied to."""
        return any(step.kind == "babble" for step in self.steps)

    @property
    def noises(self) -> list[str]:
        """The files and directories that it takes noise from."""
        return [step.argument for step in self.steps if step.kind == "noise"]


def parse_conditions(specs: Sequence[str]) -> list[Condition]:
    """Read the conditions of a command line, each once; none means clean.

    A list of values, as in `noise:cafe.wav:snr=20,10,0`, makes a condition of each.

    Raises:
        ConditionError: One makes no sense.
    """
    found: dict[str, Condition] = {}
    for spec in specs or [CLEAN]:
        for condition in _parse(spec):
            if found.setdefault(condition.label, condition) != condition:
                raise ConditionError(
                    f"two conditions would be called {condition.label}; rename one of the files"
                )
    return list(found.values())


def conditions_help() -> str:
    """List the kinds, for people."""
    width = max(len(kind.usage) for kind in KINDS.values())
    return "\n".join(f"  {kind.usage:{width}}  {kind.help}" for kind in KINDS.values())


def _parse(spec: str) -> list[Condition]:
    if spec == CLEAN:
        return [Condition(CLEAN)]
    choices = [_parse_step(part) for part in _STEP_BORDER.split(spec)]
    return [
        Condition("+".join(step.label for step in steps), steps)
        for steps in itertools.product(*choices)
    ]


def _parse_step(text: str) -> list[Step]:
    """Read one step; several where it lists values."""
    name, *rest = text.split(":")
    if name == CLEAN:
        raise ConditionError(
            "clean stands alone; leave it out, or give it a --condition of its own"
        )
    kind = KINDS.get(name)
    if kind is None:
        raise ConditionError(
            f"there is no condition {name!r}; there are: clean, {', '.join(KINDS)}"
        )
    named = [part for part in rest if _is_named(part, kind)]
    # A path may hold colons.
    positional = ":".join(part for part in rest if not _is_named(part, kind))
    given = dict(part.split("=", 1) for part in named)
    argument = positional if kind.argument != () else ""
    if positional and not argument and kind.parameters:
        given.setdefault(next(iter(kind.parameters)), positional)
    elif positional and not argument:
        raise ConditionError(f"{text!r} has a value too many; it is {kind.usage}")
    if kind.argument != () and (not argument or (kind.argument and argument not in kind.argument)):
        raise ConditionError(f"{text!r} is not {kind.usage}")
    if argument == "opus" and not effects.opus_available():
        raise ConditionError("the installed libsndfile has no Opus; 1.0.29 and later do")
    if kind.argument and argument != "opus":
        kind = replace(kind, parameters={})
    lists = [
        [(key, value) for value in _numbers(text, key, given.get(key), parameter, kind)]
        for key, parameter in kind.parameters.items()
    ]
    return [Step(name, argument, dict(values)) for values in itertools.product(*lists)]


def _is_named(part: str, kind: Kind) -> bool:
    return part.partition("=")[0] in kind.parameters and "=" in part


def _numbers(
    text: str, name: str, given: str | None, parameter: Parameter, kind: Kind
) -> list[float]:
    """Read the values of one parameter."""
    if given is None:
        if parameter.default is None:
            raise ConditionError(f"{text!r} lacks {name}; it is {kind.usage}")
        return [parameter.default]
    values = []
    for word in given.split(VALUE_SEPARATOR):
        try:
            value = float(word)
        except ValueError:
            raise ConditionError(
                f"{word!r} in {text!r} is not a number; it is {kind.usage}"
            ) from None
        if not parameter.least <= value <= parameter.most:
            raise ConditionError(
                f"{name} in {text!r} is outside of {parameter.least:g} to {parameter.most:g}"
            )
        values.append(value)
    return values
