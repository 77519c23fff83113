"""Reads the weights that a folder in CTranslate2's format holds.

Layout: CTranslate2, ``python/ctranslate2/specs/model_spec.py``: a version, the name and revision of
the specification, then for each tensor its name, shape, type and bytes; then other names for some.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Mapping
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
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(data)
        try:
            tensors = reader.tensors(wanted)
        except (struct.error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not in CTranslate2's format") from error
    return {
        name: _multiplied_out(name, values, tensors)
        for name, values in tensors.items()
        if not name.endswith("_scale")
    }


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def tensors(self, wanted: Callable[[str], bool]) -> dict[str, NDArray[Any]]:
        version = self._take("I")
        if version > LATEST_VERSION:
            raise ValueError(f"CTranslate2's format {version} is not known here")
        self._text()
        self._take("I")
        tensors: dict[str, NDArray[Any]] = {}
        for _ in range(self._take("I")):
            name = self._text()
            values = self._tensor(is_wanted=wanted(name.removesuffix("_scale")))
            if values is not None:
                tensors[name] = values
        for _ in range(self._take("I") if version >= ALIASES_SINCE else 0):
            alias, name = self._text(), self._text()
            if wanted(alias):
                tensors[alias] = tensors[name]
        return tensors

    def _tensor(self, *, is_wanted: bool) -> NDArray[Any] | None:
        shape = [self._take("I") for _ in range(self._take("B"))]
        kind = self._take("B")
        size_bytes = self._take("I")
        begin = self._at
        self._at += size_bytes
        if not is_wanted:
            return None
        if kind not in TYPES:
            raise ValueError(f"CTranslate2's type {kind} is not known here")
        values = np.frombuffer(self._data[begin : self._at], TYPES[kind]).reshape(shape)
        return (values.astype(np.uint32) << 16).view(np.float32) if kind == BFLOAT16 else values

    def _take(self, layout: str) -> int:
        (value,) = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return int(value)

    def _text(self) -> str:
        length = self._take("H")
        self._at += length
        # Without the zero at its end.
        return self._data[self._at - length : self._at - 1].decode()


def _multiplied_out(name: str, values: NDArray[Any], tensors: Tensors) -> NDArray[Any]:
    scale = tensors.get(f"{name}_scale")
    if scale is None:
        return values
    return values.astype(np.float32) / scale.reshape(-1, *[1] * (values.ndim - 1))
