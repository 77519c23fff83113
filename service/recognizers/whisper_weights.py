"""Reads the weights that a folder in CTranslate2's format holds.

Layout: CTranslate2, ``python/ctranslate2/specs/model_spec.py``: a version, the name and revision of
the specification, then for each tensor its name, shape, type and bytes; then other names for some.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]

BFLOAT16: Final = 5
TYPES: Final[Mapping[int, type[np.generic]]] = {
    0: np.float32,
    1: np.int8,
    2: np.int16,
    3: np.int32,
    4: np.float16,
    BFLOAT16: np.uint16,
}
"""By CTranslate2's number of the type. NumPy has no bfloat16: these are the upper halves of
float32."""
ALIASES_SINCE: Final = 3
LATEST_VERSION: Final = 6
_SCALE: Final = "_scale"
"""Behind the name of a tensor whose rows are to be divided by it."""


def read_tensors(path: Path, wanted: Callable[[str], bool] = lambda _: True) -> Tensors:
    """Return tensors by name; those of floats, whatever they are written in, as floats.

    Weights that are written in 8 or 16 bits with a scale for each row are multiplied out.

    Args:
        path: The file ``model.bin``.
        wanted: Says of a name whether it is.

    Raises:
        ValueError: it is of a version or has a type that is not known here.
        OSError: it cannot be read.
    """
    places = _places(path)
    return {
        name: _multiplied_out(_mapped(path, place).copy(), place, _scale(path, places, name))
        for name, place in places.items()
        if wanted(name) and not name.endswith(_SCALE)
    }


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A tensor of which few rows are wanted at once: it stays in its file."""

    _place: _Place
    _values: NDArray[Any]
    _scale: NDArray[Any] | None

    def __call__(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """Return rows, in 32 bits."""
        wanted = list(numbers)
        scale = None if self._scale is None else self._scale[wanted]
        return _multiplied_out(self._values[wanted], self._place, scale).astype(np.float32)


def mapped_rows(path: Path, name: str) -> Rows:
    """Return the rows of a tensor.

    Raises:
        ValueError: as ``read_tensors``.
        KeyError: there is no such tensor.
        OSError: the file cannot be read.
    """
    places = _places(path)
    place, scale = places[name], _scale(path, places, name)
    # In 16 bits all rows have one.
    scale = None if scale is None else np.broadcast_to(scale.reshape(-1), place.shape[:1])
    return Rows(place, _mapped(path, place), scale)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor stands in the file."""

    begin: int
    shape: tuple[int, ...]
    kind: int
    """CTranslate2's number of its type."""


def _places(path: Path) -> Mapping[str, _Place]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _Reader(data).places()
        except (struct.error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not in CTranslate2's format") from error


def _mapped(path: Path, place: _Place) -> NDArray[Any]:
    if place.kind not in TYPES:
        raise ValueError(f"CTranslate2's type {place.kind} is not known here")
    # As a plain array: each view of a memmap would be one as well, which takes microseconds.
    return np.asarray(np.memmap(path, TYPES[place.kind], "r", place.begin, place.shape))


def _scale(path: Path, places: Mapping[str, _Place], name: str) -> NDArray[Any] | None:
    place = places.get(f"{name}{_SCALE}")
    return None if place is None else _mapped(path, place)


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def places(self) -> dict[str, _Place]:
        version = self._take("I")
        if version > LATEST_VERSION:
            raise ValueError(f"CTranslate2's format {version} is not known here")
        self._text()
        self._take("I")
        places = {self._text(): self._place() for _ in range(self._take("I"))}
        for _ in range(self._take("I") if version >= ALIASES_SINCE else 0):
            alias, name = self._text(), self._text()
            places[alias] = places[name]
        return places

    def _place(self) -> _Place:
        shape = tuple(self._take("I") for _ in range(self._take("B")))
        kind = self._take("B")
        size_bytes = self._take("I")
        place = _Place(self._at, shape, kind)
        self._at += size_bytes
        return place

    def _take(self, layout: str) -> int:
        (value,) = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return int(value)

    def _text(self) -> str:
        length = self._take("H")
        self._at += length
        # Without the zero at its end.
        return self._data[self._at - length : self._at - 1].decode()


def _multiplied_out(
    values: NDArray[Any], place: _Place, scale: NDArray[Any] | None
) -> NDArray[Any]:
    if place.kind == BFLOAT16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    if scale is None:
        return values
    multiplied: NDArray[np.float32] = values.astype(np.float32)
    multiplied /= scale.reshape(-1, *[1] * (values.ndim - 1))
    return multiplied
