"""The vocabulary of an external scorer, and whether it was made for a model's alphabet.

A scorer is a KenLM binary with a trie of its words behind it: a header, then a ConstFst of
OpenFst 1.6.7 whose labels are the alphabet's plus one (native_client/ctcdecode/scorer.cpp and
fst/const-fst.h in mozilla/DeepSpeech). The library believes whatever stands there: a file cut
short ends the process, and labels of another alphabet are searched without a word found.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.recognizers.base import ModelUnavailableError

LANGUAGE_MODEL_MAGIC: Final = b"mmap lm http://kheafield.com/code format version"
TRIE_MAGIC: Final = b"EIRT"
VERSION: Final = 6
HEADER: Final = struct.Struct("<4siBdd")
"""Magic, version, whether its units are bytes, default alpha and beta."""
FST_MAGIC: Final = 2_125_659_606
FST_HEADER: Final = struct.Struct("<iiQqqq")
"""Version, flags, properties, first state, states, arcs."""
ALIGNMENT: Final = 16
BYTE_LABELS: Final = 255
"""Labels of an alphabet of bytes."""

STATE: Final = np.dtype(
    [("weight", "<f4"), ("first", "<u4"), ("arcs", "<u4"), ("in", "<u4"), ("out", "<u4")]
)
ARC: Final = np.dtype([("label", "<i4"), ("out", "<i4"), ("weight", "<f4"), ("next", "<i4")])


class Vocabulary:
    """The words that a scorer knows, spelled in a model's alphabet."""

    def __init__(
        self, states: NDArray[Any], arcs: NDArray[Any], start: int, alphabet: Sequence[str]
    ) -> None:
        """Take the trie; ``alphabet`` has the text of each label."""
        self._states = states
        self._arcs = arcs
        self._start = start
        self._labels = {text: label for label, text in enumerate(alphabet)}

    def __contains__(self, word: str) -> bool:
        """Whether it is a whole word of the trie."""
        state: int | None = self._start
        for letter in f"{word} ":
            label = self._labels.get(letter)
            state = None if state is None or label is None else self._next(state, label)
        return state is not None and bool(np.isfinite(self._states["weight"][state]))

    def _next(self, state: int, label: int) -> int | None:
        first = int(self._states["first"][state])
        arcs = self._arcs[first : first + int(self._states["arcs"][state])]
        found = np.flatnonzero(arcs["label"] == label + 1)
        return int(arcs["next"][found[0]]) if len(found) else None


def read_scorer(path: Path, alphabet: Sequence[str] | None) -> Vocabulary | None:
    """Read the words of a scorer.

    Args:
        path: The .scorer file.
        alphabet: Text of each label of the model; None if it is not known, and the scorer
            is then not held against it.

    Returns:
        None if its units are bytes, where every word can be spelled, or without an alphabet.

    Raises:
        ModelUnavailableError: it is no scorer, incomplete, of another version, or made for
            another alphabet.
    """
    data = _read(path)
    if data[: len(LANGUAGE_MODEL_MAGIC)] != LANGUAGE_MODEL_MAGIC:
        raise ModelUnavailableError(
            f"{path} is not a scorer: it does not begin as a KenLM binary; give the .scorer file "
            "that belongs to the model, not an ARPA or text file"
        )
    try:
        in_bytes, states, arcs, start = _read_trie(data)
    except (struct.error, ValueError) as error:
        raise ModelUnavailableError(
            f"{path} is incomplete or damaged ({error}); download or make it again"
        ) from error
    if alphabet is None:
        return None
    if in_bytes != (len(alphabet) == BYTE_LABELS):
        units = ("characters", "bytes")
        raise ModelUnavailableError(
            f"{path} does not match the model's alphabet: it counts in {units[in_bytes]}, and the "
            f"model in {units[not in_bytes]}; use the scorer that was made for this model"
        )
    if in_bytes:
        return None
    _check_labels(path, states, arcs, alphabet)
    return Vocabulary(states, arcs, start, alphabet)


def _read(path: Path) -> bytes | mmap.mmap:
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return b""
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ModelUnavailableError(
            f"the scorer {path} cannot be read: {error.strerror}"
        ) from error


def _read_trie(data: bytes | mmap.mmap) -> tuple[bool, NDArray[Any], NDArray[Any], int]:
    # From the end: the trie is the last and by far the smaller part of the file.
    position = data.rfind(TRIE_MAGIC)
    if position < 0:
        raise ValueError("it has no words behind its language model")
    _, version, in_bytes, _, _ = HEADER.unpack_from(data, position)
    if version != VERSION:
        raise ValueError(f"its words are of version {version}, and {VERSION} is needed")
    position += HEADER.size
    for expected in (FST_MAGIC, None):
        if expected is not None:
            (magic,) = struct.unpack_from("<i", data, position)
            if magic != expected:
                raise ValueError("its words begin wrongly")
            position += 4
        position = _skip_text(data, position)
    _, _, _, start, state_count, arc_count = FST_HEADER.unpack_from(data, position)
    position = _aligned(position + FST_HEADER.size)
    states = np.frombuffer(data, dtype=STATE, count=state_count, offset=position)
    position = _aligned(position + states.nbytes)
    arcs = np.frombuffer(data, dtype=ARC, count=arc_count, offset=position)
    return bool(in_bytes), states, arcs, start


def _skip_text(data: bytes | mmap.mmap, position: int) -> int:
    (length,) = struct.unpack_from("<i", data, position)
    return position + 4 + int(length)


def _aligned(position: int) -> int:
    return position + -position % ALIGNMENT


def _check_labels(
    path: Path, states: NDArray[Any], arcs: NDArray[Any], alphabet: Sequence[str]
) -> None:
    """Every label is one of the alphabet's, and every word ends with its space."""
    damaged = ModelUnavailableError(f"{path} has no words, or is damaged; make it again")
    following = arcs["next"]
    if not len(states) or not len(arcs) or following.min() < 0 or following.max() >= len(states):
        raise damaged
    ends = np.isfinite(states["weight"][following])
    if not ends.any():
        raise damaged
    last_label = int(arcs["label"].max()) - 1
    endings = {int(label) - 1 for label in np.unique(arcs["label"][ends])}
    space = alphabet.index(" ") if " " in alphabet else None
    if last_label >= len(alphabet) or endings != {space}:
        raise ModelUnavailableError(
            f"{path} does not match the model's alphabet: it has {last_label + 1} characters or "
            f"more and its words end with number {min(endings)}, and the model has "
            f"{len(alphabet)} with the space as number {space}; use the scorer that was made for "
            "this model"
        )
