"""What may follow Whisper's name in a model spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import ctranslate2

from service.recognizers.base import ModelUnavailableError

DEVICES: Final = ("cpu", "cuda", "auto")
ENCODERS: Final = ("states", "windows")
"""What encodes: see ``whisper_states`` and ``whisper_segments``."""
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
