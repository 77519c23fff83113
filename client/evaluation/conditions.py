"""Conditions under which recordings are tried: what the command line says, applied to samples.

A condition is `clean`, or steps joined by "+", each `KIND:VALUE:NAME=VALUE…`. What it does to a
clip is a function of the samples, the seed and the clip's name: two runs, two machines and two
servers hear the same bytes.
"""

import itertools
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

import numpy as np

from client.evaluation import effects, voices
from client.evaluation.recordings import Samples

CLEAN = "clean"
VALUE_SEPARATOR = ","


class ConditionError(Exception):
    """A condition makes no sense. `str()` of it is a sentence for people."""


class Surroundings(Protocol):
    """Where other sounds than the clip's own come from."""

    def noise(self, path: str, random: np.random.Generator) -> Samples:
        """Return a noise: the file, or one of those in the directory."""
        ...

    def others(self, clip: str, count: int, random: np.random.Generator) -> list[Samples]:
        """Return some other clips, of other speakers where that is known."""
        ...


@dataclass(frozen=True)
class Parameter:
    """A number of a kind of step."""

    least: float
    most: float
    default: float | None = None
    """None must be given."""


@dataclass(frozen=True)
class Step:
    """One thing done to a clip."""

    kind: str
    argument: str
    """What stands without a name and is no number: a path, a codec."""

    values: Mapping[str, float]

    @property
    def label(self) -> str:
        """The step as on the command line, every value named."""
        return ":".join([self.name, *(f"{name}={value:g}" for name, value in self.values.items())])

    @property
    def name(self) -> str:
        """The step without its values. Of a path only the last part, as on any machine."""
        return f"{self.kind}:{PurePath(self.argument).name}" if self.argument else self.kind


@dataclass(frozen=True)
class _Clip:
    """What a step may look at."""

    name: str
    samples: Samples
    random: np.random.Generator
    surroundings: Surroundings


@dataclass(frozen=True)
class Kind:
    """What a kind of step takes and does."""

    usage: str
    help: str
    parameters: Mapping[str, Parameter]
    apply: Callable[[_Clip, Step], Samples]
    argument: tuple[str, ...] | None = ()
    """Allowed arguments; empty where there is none, None where it may be anything."""


def _noise(clip: _Clip, step: Step) -> Samples:
    noise = clip.surroundings.noise(step.argument, clip.random)
    piece = effects.excerpt(noise, len(clip.samples), clip.random)
    return effects.mixed(clip.samples, piece, step.values["snr"])


def _babble(clip: _Clip, step: Step) -> Samples:
    count = round(step.values["voices"])
    others = clip.surroundings.others(clip.name, count, clip.random)
    talk = effects.crowd(others, len(clip.samples), clip.random)
    return effects.mixed(clip.samples, talk, step.values["snr"])


def _codec(clip: _Clip, step: Step) -> Samples:
    match step.argument:
        case "opus":
            return effects.through_opus(clip.samples, step.values["kbps"])
        case "alaw":
            return effects.through_g711(clip.samples, "ALAW")
    return effects.through_g711(clip.samples, "ULAW")


_SNR = Parameter(-30, 100)

KINDS: dict[str, Kind] = {
    "noise": Kind(
        "noise:PATH:snr=DB",
        "a noise, of a file or of one of a directory chosen for each clip",
        {"snr": _SNR},
        _noise,
        argument=None,
    ),
    "babble": Kind(
        "babble:snr=DB[:voices=6]",
        "other clips of the manifests talking at once",
        {"snr": _SNR, "voices": Parameter(1, 50, 6)},
        _babble,
    ),
    "pitch": Kind(
        "pitch:SEMITONES",
        "a higher or lower voice, same duration",
        {"semitones": Parameter(-12, 12)},
        lambda clip, step: voices.at_pitch(clip.samples, step.values["semitones"]),
    ),
    "speed": Kind(
        "speed:FACTOR",
        "played faster or slower, pitch and all",
        {"factor": Parameter(0.5, 2)},
        lambda clip, step: voices.at_speed(clip.samples, step.values["factor"]),
    ),
    "tempo": Kind(
        "tempo:FACTOR",
        "spoken faster or slower, same pitch",
        {"factor": Parameter(0.5, 2)},
        lambda clip, step: voices.at_tempo(clip.samples, step.values["factor"]),
    ),
    "gain": Kind(
        "gain:DB",
        "louder or softer; beyond full scale it clips",
        {"db": Parameter(-60, 60)},
        lambda clip, step: effects.gained(clip.samples, step.values["db"]),
    ),
    "clip": Kind(
        "clip:DB",
        "clipped, as by a microphone that is so much too loud",
        {"db": Parameter(0, 60)},
        lambda clip, step: effects.clipped(clip.samples, step.values["db"]),
    ),
    "telephone": Kind(
        "telephone",
        "the band of a telephone, 300 to 3400 Hz",
        {},
        lambda clip, _: effects.telephone(clip.samples),
    ),
    "reverb": Kind(
        "reverb:RT60_S[:direct=0]",
        "a room; direct is the direct sound against the rest, in dB",
        {"rt60": Parameter(0.05, 5), "direct": Parameter(-30, 30, 0)},
        lambda clip, step: effects.reverberated(
            clip.samples, step.values["rt60"], step.values["direct"], clip.random
        ),
    ),
    "codec": Kind(
        "codec:mulaw|alaw|opus[:kbps=24]",
        "coded and decoded: G.711 at 8 kHz, or Opus",
        {"kbps": Parameter(6, 256, 24)},
        _codec,
        argument=("mulaw", "alaw", "opus"),
    ),
    "silence": Kind(
        "silence:BEFORE_S[:after=0]",
        "long silence around the clip",
        {"before": Parameter(0, 600), "after": Parameter(0, 600, 0)},
        lambda clip, step: effects.with_silence(
            clip.samples, step.values["before"], step.values["after"]
        ),
    ),
}

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
            samples = KINDS[step.kind].apply(_Clip(clip, samples, random, surroundings), step)
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
        kind = Kind(kind.usage, kind.help, {}, kind.apply, kind.argument)
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
