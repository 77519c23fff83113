"""What may follow the name of a transformers model as ``?name=value``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch

from service.recognizers.base import ModelUnavailableError
from service.recognizers.batching import MOST_WAIT_S
from service.recognizers.transformers_precision import INT8, TYPES

DEVICES: Final = ("cpu", "cuda")
PRECISIONS: Final = ("auto", *TYPES)
WEIGHTS: Final = ("safetensors", "any")
MOST_THREADS: Final = 256
MOST_CONTEXT_S: Final = 15.0
MOST_WEIGHT: Final = 10.0
MOST_BEAMS: Final = 500
MOST_AT_ONCE: Final = 256
MOST_WAIT_MS: Final = 1_000.0
AT_ONCE: Final = {"cpu": 1, "cuda": 32}
"""On a CPU a batch is no faster, window by window: in bf16 2, 4 and 8 windows of wav2vec2-base's
size took 6, 7 and 10 % more CPU time than one by one (``benchmarks.ctc_speed``)."""


@dataclass(frozen=True, slots=True)
class TransformersOptions:
    """Options of all transformers models."""

    device: str = "cpu"
    """cpu or cuda."""
    precision: str = "auto"
    """Number format of the computation, one of PRECISIONS. auto measures at start-up and takes
    the fastest that leaves the text of a calibration clip unchanged."""
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
    """CTC: most speech before a segment that its final hears, 0 to MOST_CONTEXT_S. On 100 sentences
    and a small model, 0, 1, 2 and 4 s made 7.2, 6.7, 7.2 and 10.5 % of the words wrong behind
    other sentences, and 30.2, 26.9, 25.3 and 25.3 % where each was cut in two."""
    lm: str = ""
    """CTC: path of a KenLM model of words, which takes part in the search for a final's text."""
    alpha: float = 0.5
    """CTC: weight of the lm, 0 to MOST_WEIGHT."""
    beta: float = 1.5
    """CTC: what each word gains beside the lm, -MOST_WEIGHT to MOST_WEIGHT."""
    beam_width: int = 16
    """CTC: texts that a search follows at once, 1 to MOST_BEAMS."""
    batch: int = 0
    """CTC: most windows that are computed at once, 1 to MOST_AT_ONCE; 0 is AT_ONCE of the
    device."""
    batch_wait_ms: float = MOST_WAIT_S * 1000
    """CTC: how long a window waits for others of its length, 0 to MOST_WAIT_MS."""
    graphs: int = 0
    """CTC, CUDA: 1 records the computation of each length once and replays it."""

    @property
    def most_at_once(self) -> int:
        """Most windows that are computed at once on this device."""
        return self.batch or AT_ONCE[self.device]

    @property
    def is_batching(self) -> bool:
        """Whether windows are computed by one thread: a CPU has a core for each otherwise."""
        return self.device != "cpu" or self.most_at_once > 1


class _Reader:
    """Reads options one by one and notes what is wrong."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = options
        self._default = TransformersOptions()
        self.wrong: list[str] = []

    def text(self, name: str) -> str:
        return self._options.get(name, str(getattr(self._default, name)))

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in choices:
            self.wrong.append(f"{name}={value!r} is none of {', '.join(choices)}")
        return value

    def number(self, name: str, least: float, most: float = MOST_CONTEXT_S) -> float:
        text = self.text(name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            self.wrong.append(f"{name}={text!r} is not a number from {least:g} to {most:g}")
        return value

    def count(self, name: str, most: int, least: int = 1) -> int:
        text = self._options.get(name, "")
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        if name in self._options:
            self.wrong.append(f"{name}={text!r} is not a number from {least} to {most}")
        return int(getattr(self._default, name))


def parse_options(options: Mapping[str, str]) -> TransformersOptions:
    """Read options.

    Raises:
        ModelUnavailableError: names all that are wrong, and what they may be.
    """
    known = tuple(TransformersOptions.__dataclass_fields__)
    read = _Reader(options)
    wrong = read.wrong
    wrong += [f"there is no option {name!r}" for name in sorted(set(options) - set(known))]
    chosen = TransformersOptions(
        device=read.choice("device", DEVICES),
        precision=read.choice("precision", PRECISIONS),
        threads=read.count("threads", MOST_THREADS),
        language=read.text("language"),
        weights=read.choice("weights", WEIGHTS),
        left_s=read.number("left_s", 1.0),
        right_s=read.number("right_s", 0.0),
        context_s=read.number("context_s", 0.0),
        lm=read.text("lm"),
        alpha=read.number("alpha", 0.0, MOST_WEIGHT),
        beta=read.number("beta", -MOST_WEIGHT, MOST_WEIGHT),
        beam_width=read.count("beam_width", MOST_BEAMS),
        batch=read.count("batch", MOST_AT_ONCE),
        batch_wait_ms=read.number("batch_wait_ms", 0.0, MOST_WAIT_MS),
        graphs=read.count("graphs", 1, least=0),
    )
    if chosen.device == "cuda" and not torch.cuda.is_available():
        wrong.append(f"device='cuda', but {_why_no_gpu()}; leave device out to compute on the CPU")
    if chosen.graphs and chosen.device != "cuda":
        wrong.append("graphs=1 are graphs of CUDA; they need device=cuda")
    if chosen.precision in INT8 and chosen.device != "cpu":
        wrong.append(f"precision={chosen.precision!r} is for device=cpu; leave precision out")
    if wrong:
        raise ModelUnavailableError(
            f"options of transformers: {'; '.join(wrong)}. Options are: {', '.join(known)}"
        )
    return chosen


def _why_no_gpu() -> str:
    if torch.version.cuda is None:
        return "the installed torch is the build without CUDA: install the one with it"
    return "this machine has no GPU that torch can use"
