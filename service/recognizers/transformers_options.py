"""What may follow the name of a transformers model as ``?name=value``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch

from service.recognizers.base import ModelUnavailableError

DEVICES: Final = ("cpu", "cuda")
PRECISIONS: Final = ("auto", "fp32", "bf16", "fp16")
WEIGHTS: Final = ("safetensors", "any")
MOST_THREADS: Final = 256
MOST_CONTEXT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class TransformersOptions:
    """Options of all transformers models."""

    device: str = "cpu"
    """cpu or cuda."""
    precision: str = "auto"
    """Number format of the weights. auto measures at start-up and takes the fastest that
    leaves the text of a calibration clip unchanged."""
    threads: int = 0
    """CPU threads of one decode; 0 leaves it to the server."""
    language: str = ""
    """Language of streams that name none; empty is the model's own default."""
    weights: str = "safetensors"
    """safetensors; or any, which also loads pickled weights, that may run code."""
    left_s: float = 4.0
    """CTC: speech heard again before what an interim adds, 1 to MOST_CONTEXT_S."""
    right_s: float = 1.0
    """CTC: speech heard after a frame before interims settle it, 0 to MOST_CONTEXT_S; the
    chart in docs/transformers.md is why."""
    context_s: float = 2.0
    """CTC: speech before a segment that its final hears, 0 to MOST_CONTEXT_S. On 100 sentences
    and a small model, 0, 1, 2 and 4 s made 7.2, 6.7, 7.2 and 10.5 % of the words wrong behind
    other sentences, and 30.2, 26.9, 25.3 and 25.3 % where each was cut in two."""


def parse_options(options: Mapping[str, str]) -> TransformersOptions:
    """Read options.

    Raises:
        ModelUnavailableError: names all that are wrong, and what they may be.
    """
    known = tuple(TransformersOptions.__dataclass_fields__)
    wrong = [f"there is no option {name!r}" for name in sorted(set(options) - set(known))]
    default = TransformersOptions()

    def choice(name: str, choices: tuple[str, ...]) -> str:
        value = options.get(name, str(getattr(default, name)))
        if value not in choices:
            wrong.append(f"{name}={value!r} is none of {', '.join(choices)}")
        return value

    def seconds(name: str, least: float) -> float:
        text = options.get(name, str(getattr(default, name)))
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not least <= value <= MOST_CONTEXT_S:
            wrong.append(f"{name}={text!r} is not a number from {least:g} to {MOST_CONTEXT_S:g}")
        return value

    threads = options.get("threads", "0")
    is_number = threads.isascii() and threads.isdigit() and int(threads) <= MOST_THREADS
    if not is_number or ("threads" in options and int(threads) == 0):
        wrong.append(f"threads={threads!r} is not a number from 1 to {MOST_THREADS}")
    chosen = TransformersOptions(
        device=choice("device", DEVICES),
        precision=choice("precision", PRECISIONS),
        threads=int(threads) if is_number else 0,
        language=options.get("language", default.language),
        weights=choice("weights", WEIGHTS),
        left_s=seconds("left_s", 1.0),
        right_s=seconds("right_s", 0.0),
        context_s=seconds("context_s", 0.0),
    )
    if chosen.device == "cuda" and not torch.cuda.is_available():
        wrong.append("device='cuda', but this machine has no GPU that torch can use")
    if wrong:
        raise ModelUnavailableError(
            f"options of transformers: {'; '.join(wrong)}. Options are: {', '.join(known)}"
        )
    return chosen
