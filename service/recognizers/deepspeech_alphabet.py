"""The alphabet that is embedded in a model file.

The C API does not tell it, and only with it can a scorer be checked before use.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Final

from service.recognizers.base import ModelUnavailableError

NODE: Final = b"metadata_alphabet"
STRING_VALUE: Final = b"\x42"
"""Tag of string_val in TensorProto: field 8, of bytes."""
MOST_DISTANCE: Final = 512
"""Bytes between the node's name and its value: op, attributes, type and shape."""


def read_alphabet(path: Path) -> tuple[str, ...] | None:
    """Return the text of each label of a .pb or .pbmm model; None if it holds no alphabet.

    The graph is a protocol buffer without an index, so the constant is looked for by its name
    and then by being, to the last byte, a serialized alphabet (native_client/alphabet.cc: a
    count, then for each label its number, length and UTF-8 text, all numbers uint16).

    Raises:
        ModelUnavailableError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return None
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _search(data)
    except OSError as error:
        raise ModelUnavailableError(f"the model {path} cannot be read: {error.strerror}") from error


def _search(data: mmap.mmap) -> tuple[str, ...] | None:
    position = data.find(NODE)
    while position >= 0:
        begin = position + len(NODE)
        end = begin + MOST_DISTANCE
        tag = data.find(STRING_VALUE, begin, end)
        while tag >= 0:
            alphabet = _parse(data, tag + 1)
            if alphabet is not None:
                return alphabet
            tag = data.find(STRING_VALUE, tag + 1, end)
        position = data.find(NODE, begin)
    return None


def _parse(data: mmap.mmap, position: int) -> tuple[str, ...] | None:
    length, shift = 0, 0
    while position < len(data) and shift <= 28:
        byte = data[position]
        position += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return _deserialize(data[position : position + length])
    return None


def _deserialize(value: bytes) -> tuple[str, ...] | None:
    labels: dict[int, str] = {}
    try:
        (count,) = struct.unpack_from("<H", value)
        offset = 2
        for _ in range(count):
            label, length = struct.unpack_from("<HH", value, offset)
            offset += 4 + length
            # A model of bytes has labels that are no text by themselves.
            labels[label] = value[offset - length : offset].decode("utf-8", "surrogateescape")
    except struct.error:
        return None
    if not count or offset != len(value) or sorted(labels) != list(range(count)):
        return None
    return tuple(labels[label] for label in range(count))
