"""The C libraries of DeepSpeech 0.9.3 and Coqui STT 1.4.0, by ctypes.

Their wheels stop at older Pythons, but the library inside them does not know Python. The
two have one API under two prefixes (native_client/deepspeech.h and native_client/coqui-stt.h
in their repositories).
"""

from __future__ import annotations

import ctypes
import os
import shlex
import site
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.recognizers.base import ModelUnavailableError


@dataclass(frozen=True, slots=True)
class Flavour:
    """One of the two libraries."""

    package: str
    version: str
    prefix: str
    file: str
    platform: str
    """Platform tag of its wheel for Python 3.9 on x86-64 Linux."""


DEEPSPEECH: Final = Flavour("deepspeech", "0.9.3", "DS_", "libdeepspeech.so", "manylinux1_x86_64")
COQUI: Final = Flavour("stt", "1.4.0", "STT_", "libstt.so", "manylinux_2_24_x86_64")


class Token(ctypes.Structure):
    """TokenMetadata."""

    _fields_ = (
        ("text", ctypes.c_char_p),
        ("timestep", ctypes.c_uint),
        ("start_s", ctypes.c_float),
    )


class Candidate(ctypes.Structure):
    """CandidateTranscript."""

    _fields_ = (
        ("tokens", ctypes.POINTER(Token)),
        ("token_count", ctypes.c_uint),
        ("score", ctypes.c_double),
    )


class Metadata(ctypes.Structure):
    """Metadata; newer libraries append to it."""

    _fields_ = (
        ("candidates", ctypes.POINTER(Candidate)),
        ("candidate_count", ctypes.c_uint),
    )


_HANDLE: Final = ctypes.c_void_p
# A char* that must be freed stays a pointer; as c_char_p ctypes would copy and lose it.
_TEXT: Final = ctypes.c_void_p
_METADATA: Final = ctypes.POINTER(Metadata)

_SIGNATURES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "Version": (_TEXT, ()),
    "ErrorCodeToErrorMessage": (_TEXT, (ctypes.c_int,)),
    "FreeString": (None, (_TEXT,)),
    "CreateModel": (ctypes.c_int, (ctypes.c_char_p, ctypes.POINTER(_HANDLE))),
    "FreeModel": (None, (_HANDLE,)),
    "GetModelSampleRate": (ctypes.c_int, (_HANDLE,)),
    "GetModelBeamWidth": (ctypes.c_uint, (_HANDLE,)),
    "SetModelBeamWidth": (ctypes.c_int, (_HANDLE, ctypes.c_uint)),
    "EnableExternalScorer": (ctypes.c_int, (_HANDLE, ctypes.c_char_p)),
    "SetScorerAlphaBeta": (ctypes.c_int, (_HANDLE, ctypes.c_float, ctypes.c_float)),
    "AddHotWord": (ctypes.c_int, (_HANDLE, ctypes.c_char_p, ctypes.c_float)),
    "ClearHotWords": (ctypes.c_int, (_HANDLE,)),
    "CreateStream": (ctypes.c_int, (_HANDLE, ctypes.POINTER(_HANDLE))),
    "FeedAudioContent": (None, (_HANDLE, ctypes.c_void_p, ctypes.c_uint)),
    "IntermediateDecode": (_TEXT, (_HANDLE,)),
    "FinishStreamWithMetadata": (_METADATA, (_HANDLE, ctypes.c_uint)),
    "FreeStream": (None, (_HANDLE,)),
    "FreeMetadata": (None, (_METADATA,)),
}

Functions = dict[str, Callable[..., Any]]
"""The functions of the API by their names without prefix. Calls release the GIL."""


def take_text(functions: Functions, pointer: int | None) -> str:
    """Copy a string of the library and free it."""
    if not pointer:
        return ""
    try:
        return ctypes.string_at(pointer).decode("utf-8", "replace")
    finally:
        functions["FreeString"](pointer)


def load_functions(flavour: Flavour, given: str, threads: int) -> Functions:
    """Find the library, load it and check its version.

    Args:
        flavour: Which of the two.
        given: Path of the library, empty to look where the commands of the documentation
            place it.
        threads: Processor threads of one decode.

    Raises:
        ModelUnavailableError: there is none, or another version; says what to do.
    """
    path = _find(flavour, given)
    # TensorFlow reads these once per process. Its own default is a pool as large as the
    # machine beside the server's threads, and its log tells of instructions not used. With a
    # negative number a session runs in the thread that calls (direct_session.cc): otherwise
    # each frame of 20 ms goes to another thread and back.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "-1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        for companion in path.parent.glob("libkenlm.so*"):
            # Coqui's library names it without a path; once loaded, it is found.
            ctypes.CDLL(str(companion))
        library = ctypes.CDLL(str(path))
        functions = {
            name: _function(library, flavour.prefix + name, *signature)
            for name, signature in _SIGNATURES.items()
        }
    except (OSError, AttributeError) as error:
        raise ModelUnavailableError(
            f"{path} cannot be used as {flavour.package} {flavour.version} ({error}); "
            f"place the right library: {placing_command(flavour)}"
        ) from error
    version = take_text(functions, functions["Version"]())
    if version != flavour.version:
        raise ModelUnavailableError(
            f"{path} is version {version or 'unknown'}, and {flavour.version} is needed; "
            f"place it: {placing_command(flavour)}"
        )
    return functions


def placing_command(flavour: Flavour) -> str:
    """Return the command that places the library where it is looked for."""
    return shlex.join(
        (
            *(sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary=:all:"),
            "--ignore-requires-python",
            *("--python-version", "39", "--implementation", "cp", "--abi", "cp39"),
            *("--platform", flavour.platform, "--target", str(_own_place())),
            f"{flavour.package}=={flavour.version}",
        )
    )


def _own_place() -> Path:
    """Beside site-packages, so that pip's own tree holds no package of another Python."""
    return Path(sys.prefix) / "native"


def _find(flavour: Flavour, given: str) -> Path:
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise ModelUnavailableError(f"library={given}: there is no such file")
        return path.resolve()
    folders = (_own_place(), *map(Path, site.getsitepackages()))
    for folder in folders:
        path = folder / flavour.package / "lib" / flavour.file
        if path.is_file():
            return path
    raise ModelUnavailableError(
        f"the library of {flavour.package} {flavour.version} is not installed; "
        f"place it with: {placing_command(flavour)}, or name it with ?library=PATH"
    )


def _function(
    library: ctypes.CDLL,
    name: str,
    result: Any,  # noqa: ANN401  (ctypes has no common type for types)
    arguments: tuple[Any, ...],
) -> Callable[..., Any]:
    function = getattr(library, name)
    function.restype = result
    function.argtypes = arguments
    return function  # type: ignore[no-any-return]
