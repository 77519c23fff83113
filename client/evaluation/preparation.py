"""From a manifest's entry and a condition to the bytes that are streamed."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client.evaluation.conditions import Condition, ConditionError
from client.evaluation.manifest import Entry
from client.evaluation.recordings import Samples, read_samples, to_pcm
from client.sources import SourceError

_KEPT_NOISES = 16
"""Noises that are kept in memory; two minutes are 8 MB."""


@dataclass(frozen=True)
class Preparation:
    """Makes the audio of every clip. Its methods block; any thread may call them."""

    entries: Sequence[Entry]
    seed: int

    def pcm(self, entry: Entry, condition: Condition) -> bytes:
        """Return what is streamed.

        Raises:
            SourceError: The recording or a noise cannot be read.
        """
        samples = read_samples(entry.path)
        return to_pcm(condition.apply(entry.name, samples, self.seed, self))

    def noise(self, path: str, random: np.random.Generator) -> Samples:
        """Return a noise: the file, or one of those in the directory."""
        files = noise_files(path)
        return _read_noise(files[int(random.integers(0, len(files)))])

    def others(self, clip: str, count: int, random: np.random.Generator) -> list[Samples]:
        """Return some other clips, of other speakers where that is known."""
        speaker = next(entry.speaker for entry in self.entries if entry.name == clip)
        others = [entry for entry in self.entries if entry.name != clip]
        strangers = [entry for entry in others if entry.speaker != speaker]
        pool = strangers or others
        chosen = random.choice(len(pool), count, replace=count > len(pool))
        return [read_samples(pool[int(index)].path) for index in chosen]


def check(conditions: Sequence[Condition], entries: Sequence[Entry]) -> None:
    """See to it that what the conditions need is there.

    Raises:
        ConditionError: It is not.
    """
    for condition in conditions:
        if condition.needs_others and len(entries) < 2:
            raise ConditionError("babble is made of other clips, and there are none")
        for path in condition.noises:
            try:
                for file in noise_files(path):
                    _read_noise(file)
            except SourceError as error:
                raise ConditionError(f"noise: {error}") from None


def noise_files(path: str) -> list[Path]:
    """List the recordings of a directory in the order of their names; a file is itself."""
    place = Path(path)
    if not place.is_dir():
        return [place]
    files = sorted(file for file in place.iterdir() if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise SourceError(f"{path} holds no recordings ({', '.join(_SUFFIXES)})")
    return files


_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


@functools.lru_cache(maxsize=_KEPT_NOISES)
def _read_noise(path: Path) -> Samples:
    return read_samples(path)
