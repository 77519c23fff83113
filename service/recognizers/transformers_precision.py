"""Which number format a model computes in: the fastest that changes no word."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import torch

from service.core.hypothesis import SAMPLE_RATE_HZ, Samples
from service.recognizers.base import ModelUnavailableError
from service.recognizers.transformers_fourier import to_fourier
from service.recognizers.transformers_int8 import to_int8

TYPES: Final = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.float32,
    "int8_bf16": torch.bfloat16,
}
"""By name of precision; of those with int8, what is not in linear layers has this type."""
INT8: Final = ("int8", "int8_bf16")
CANDIDATES: Final = {"cpu": ("bf16", "int8", "int8_bf16"), "cuda": ("bf16", "fp16")}
"""What is tried beside fp32. CPUs compute in fp16 no faster than in fp32."""
CLIP: Final = Path(__file__).with_name("transformers_calibration.flac")
"""A synthesized sentence of 3.5 s at 16 kHz."""
GLANCE_SAMPLES: Final = SAMPLE_RATE_HZ // 2
"""What is measured first. Processors without bf16 take nine times as long in it as in fp32."""
HOPELESS: Final = 2.0
"""So many times as long as in fp32, a precision is not measured any further."""
ROUNDS: Final = 3
ENOUGH_S: Final = 1.0
"""Of rounds in all; with models so slow that one takes that long, one tells enough."""


def prepare(
    model: Any,  # noqa: ANN401  (a module of torch)
    device: str,
    precision: str,
    transcribe: Callable[[Any, Samples], str],
) -> tuple[Any, str]:
    """Put a model on its device, in the precision that was chosen.

    Args:
        model: In fp32, on the CPU.
        device: cpu or cuda.
        precision: One of TYPES, or auto.
        transcribe: Gives the text that a model hears in audio.

    Returns:
        The model, and the name of its precision.

    Raises:
        ModelUnavailableError: it does not fit, or cannot compute in this precision.
    """
    clip = np.asarray(soundfile.read(CLIP, dtype="float32")[0], dtype=np.float32)
    try:
        model = model.to(device)
        if device == "cpu":
            to_fourier(model)
        if precision == "auto":
            return _fastest(model, device, clip, transcribe)
        model = _convert(model, device, precision)
        # What an operation lacks shows here and not at the first stream.
        transcribe(model, clip)
    except torch.OutOfMemoryError as error:
        remedy = "choose a smaller one"
        if precision in ("auto", "fp32"):
            remedy += ", or precision=bf16"
        raise ModelUnavailableError(
            f"the model does not fit into the memory of {device}; {remedy}"
        ) from error
    # NotImplementedError, where an operation lacks the format, is one of them.
    except RuntimeError as error:
        # What auto begins with, and what all models were trained in.
        is_plain = precision in ("auto", "fp32")
        raise ModelUnavailableError(
            f"the model cannot compute in {'fp32' if is_plain else precision} on {device} "
            f"({str(error).splitlines()[0]}); "
            f"choose {'another model' if is_plain else 'precision=auto'}"
        ) from error
    return model, precision


def _convert(model: Any, device: str, precision: str) -> Any:  # noqa: ANN401
    if precision in INT8:
        to_int8(model)
    if device == "cpu" and TYPES[precision] is torch.bfloat16:
        # torch's operator for the whole of attention took 1.5 times as long, at 2 s and at 30 s.
        model.set_attn_implementation("eager")
    return model.to(TYPES[precision])


def _fastest(
    model: Any,  # noqa: ANN401
    device: str,
    clip: Samples,
    transcribe: Callable[[Any, Samples], str],
) -> tuple[Any, str]:
    best, best_name = model, "fp32"
    text, best_s = _measure(model, clip, transcribe)
    glance = clip[:GLANCE_SAMPLES]
    _, glance_s = _measure(model, glance, transcribe)
    hopeless = set()
    for name in CANDIDATES[device]:
        if TYPES[name] in hopeless:
            continue
        try:
            other = _convert(copy.deepcopy(model), device, name)
            _, other_s = _measure(other, glance, transcribe, rounds=1)
            if other_s > HOPELESS * glance_s:
                hopeless.add(TYPES[name])
                continue
            other_text, other_s = _measure(other, clip, transcribe)
        except RuntimeError:
            continue  # An operation lacks this format, or both copies do not fit.
        if other_text == text and other_s < best_s:
            best, best_name, best_s = other, name, other_s
    return best, best_name


def _measure(
    model: Any,  # noqa: ANN401
    samples: Samples,
    transcribe: Callable[[Any, Samples], str],
    rounds: int = ROUNDS,
) -> tuple[str, float]:
    """Return text and wall time, the first round not counted.

    Text is on the CPU, so that a GPU has done its work when the clock is read.
    """
    text = transcribe(model, samples)
    seconds: list[float] = []
    while len(seconds) < rounds and sum(seconds) < ENOUGH_S:
        begin_s = time.perf_counter()
        transcribe(model, samples)
        seconds.append(time.perf_counter() - begin_s)
    return text, min(seconds)
