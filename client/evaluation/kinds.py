"""The kinds of steps that conditions are made of: what each takes and does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

import numpy as np

from client.evaluation import effects, voices
from client.evaluation.recordings import Samples


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
class Clip:
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
    apply: Callable[[Clip, Step], Samples]
    argument: tuple[str, ...] | None = ()
    """Allowed arguments; empty where there is none, None where it may be anything."""


def _noise(clip: Clip, step: Step) -> Samples:
    noise = clip.surroundings.noise(step.argument, clip.random)
    piece = effects.excerpt(noise, len(clip.samples), clip.random)
    return effects.mixed(clip.samples, piece, step.values["snr"])


def _babble(clip: Clip, step: Step) -> Samples:
    count = round(step.values["voices"])
    others = clip.surroundings.others(clip.name, count, clip.random)
    talk = effects.crowd(others, len(clip.samples), clip.random)
    return effects.mixed(clip.samples, talk, step.values["snr"])


def _codec(clip: Clip, step: Step) -> Samples:
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
