"""The letters of the small DeepSpeech model, and how its library reads an alphabet."""

from __future__ import annotations

import struct

ALPHABET = " abcdefghijklmnopqrstuvwxyz'"
"""That of the published English model; the blank comes behind it."""


def serialize_alphabet(alphabet: str) -> bytes:
    """Return an alphabet as ``Alphabet::Deserialize`` of the library reads it.

    The count of labels, and for each its number, the length of its UTF-8 and its UTF-8; the
    numbers are little-endian and have 16 bits.
    """
    parts = [struct.pack("<H", len(alphabet))]
    for label, character in enumerate(alphabet):
        encoded = character.encode()
        parts.append(struct.pack("<HH", label, len(encoded)) + encoded)
    return b"".join(parts)
