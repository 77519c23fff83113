"""Weights that all workers of a model have in memory, held there once.

A library that reads weights into memory of its own, and converts them there, does so anew in each
process, and the system does not know that they are alike. So the first worker copies them to a
file in memory, which can never be changed then, and each worker has the file mapped in place of
what is equal to it. For the library nothing changes: it reads the same, and what it writes to is
its process's own from then on.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PIECE_BYTES: Final = max(16_384, mmap.PAGESIZE)
"""What is compared as a whole. Of tiny.en in int8, 77.7 MB are equal in two workers by pages of
4 KiB, 77.0 by these, and 74.5 by pieces of 64 KiB, with what is left over at the ends."""

_NOTHING: Final = hashlib.blake2b(bytes(PIECE_BYTES)).digest()
"""The key of zeros, which are no weights: they lie where something will be written."""

_FIXED: Final = 0x10
"""MAP_FIXED of mman.h."""
_FAILED: Final = ctypes.c_void_p(-1).value
"""MAP_FAILED of mman.h."""
_MMAP: Final = ctypes.CDLL(None, use_errno=True).mmap
_MMAP.restype = ctypes.c_void_p
_MMAP.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(3 * [ctypes.c_int]), ctypes.c_long)
_CHUNK: Final = struct.Struct("@NN")
"""How a chunk of malloc begins: what lies before it, and its size with flags."""
_FLAGS: Final = 0b111
_MAPPED: Final = 0b010
"""Of the flags in a chunk's size, malloc/malloc.c: IS_MMAPPED, and none of the others."""


def hold_once(descriptor: int) -> int:
    """Hold in the file what this process and others have alike.

    To be called when the model is loaded and before anybody decodes: nothing else may write to
    memory that is being exchanged. The first process that calls it fills the file; that call
    must have returned before the next one.

    Only blocks are looked at that glibc's malloc has mapped, each for one allocation of 128 KiB
    or more: not the heap, where audio and texts will lie. Other allocators have none that look
    like them.

    Args:
        descriptor: Of an empty file that can be sealed, or of one that has been filled.

    Returns:
        How many bytes other processes hold as well that have called it before.

    Raises:
        OSError: memory could not be exchanged and may be missing. The process has to end.
    """
    is_filled = bool(fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE)
    # All addresses before the first key: what is allocated from here on is not looked at, and
    # so never exchanged while it is in use.
    addresses = list(_pieces())
    offsets = _offsets(descriptor) if is_filled else {}
    count = 0
    for address in addresses:
        piece = _memory(address)
        key = hashlib.blake2b(piece).digest()
        if not is_filled and key not in offsets and key != _NOTHING:
            offset = len(offsets) * PIECE_BYTES
            if not _has_written(descriptor, piece, offset):
                break
            offsets[key] = offset
        if key in offsets:
            _exchange(address, descriptor, offsets[key])
            count += 1
    if is_filled:
        return count * PIECE_BYTES
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return 0


def _pieces() -> Iterator[int]:
    """Yield the addresses of whole pieces in what malloc has mapped."""
    for mapping in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        # Address range, permissions, offset, device, inode, and a path if it has one.
        addresses, permissions, _, _, _, *path = mapping.split(maxsplit=5)
        if permissions == "rw-p" and not path:
            begin, end = (int(address, 16) for address in addresses.split("-"))
            yield from _pieces_between(begin, end)


def _pieces_between(begin: int, end: int) -> Iterator[int]:
    """The same in one mapping: Linux makes one of those that lie side by side, whosever."""
    address = begin
    while address < end:
        before, size = _CHUNK.unpack(ctypes.string_at(address, _CHUNK.size))
        size_bytes = size & ~_FLAGS
        if (
            before == 0
            and size & _FLAGS == _MAPPED
            and size_bytes % mmap.PAGESIZE == 0
            and PIECE_BYTES <= size_bytes <= end - address
        ):
            yield from range(address, address + size_bytes - PIECE_BYTES + 1, PIECE_BYTES)
            address += size_bytes
        else:
            address += mmap.PAGESIZE


def _memory(address: int) -> ctypes.Array[ctypes.c_char]:
    return (ctypes.c_char * PIECE_BYTES).from_address(address)


def _offsets(descriptor: int) -> dict[bytes, int]:
    """Return where in the file each piece lies, by its key."""
    size_bytes = os.fstat(descriptor).st_size
    if not size_bytes:
        return {}
    with mmap.mmap(descriptor, size_bytes, mmap.MAP_PRIVATE, mmap.PROT_READ) as file:
        begins = range(0, size_bytes - PIECE_BYTES + 1, PIECE_BYTES)
        return {hashlib.blake2b(file[at : at + PIECE_BYTES]).digest(): at for at in begins}


def _has_written(descriptor: int, piece: ctypes.Array[ctypes.c_char], offset: int) -> bool:
    """Write a piece; False where no more can be, as by a limit of what files may have."""
    try:
        return os.pwrite(descriptor, piece, offset) == PIECE_BYTES
    except OSError:
        return False


def _exchange(address: int, descriptor: int, offset: int) -> None:
    found = _MMAP(
        address,
        PIECE_BYTES,
        mmap.PROT_READ | mmap.PROT_WRITE,
        mmap.MAP_PRIVATE | _FIXED,
        descriptor,
        offset,
    )
    if found == _FAILED:
        raise OSError(ctypes.get_errno(), "the model's weights could not be mapped")
