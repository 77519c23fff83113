"""Whisper's decoder, computed so that all text that is known beforehand costs one step together.

CTranslate2 takes a step of the decoder for each token of a forced prefix, and each step reads all
weights. Here a prefix is one step, as long as two or three others, and a step takes half the time
(``python -m benchmarks.whisper_costs``). Greedy search only; the graph is in ``whisper_graph``.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.recognizers.whisper_graph import decoder_graph, heard_graph
from service.recognizers.whisper_weights import Rows, Tensors

Floats = NDArray[np.float32]
Values = Mapping[str, onnxruntime.OrtValue]

_BEST: Final = ("best", "log_probability_of_best", "log_probability_of_wanted")


@dataclass(frozen=True, slots=True)
class Signs:
    """Tokens that are no text."""

    end_of_text: int
    """Text tokens are those before it."""
    no_speech: int
    never: Sequence[int]
    """Are not written."""
    never_first: Sequence[int]
    """Are not written first."""


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Audio as the decoder attends to it."""

    values: Values


@dataclass(frozen=True, slots=True)
class Written:
    """What was written behind a prompt."""

    tokens: tuple[int, ...]
    log_probability: float
    """Sum over the tokens, and the end of text if it came."""
    no_speech_probability: float
    """That the window holds no speech; NaN if nobody asked."""
    is_ended: bool
    """The end of text came; otherwise it was cut at the most tokens."""


class Decoder:
    """Weights in 8 bits. May be used from several threads."""

    def __init__(self, tensors: Tensors, embeddings: Rows, signs: Signs, threads: int) -> None:
        """Take the weights of a decoder.

        Args:
            tensors: Of a CTranslate2 folder; those whose names begin with ``decoder/``.
            embeddings: Of tokens.
            signs: What the tokens mean.
            threads: Of one decode.

        Raises:
            KeyError: the folder is of another architecture.
            ValueError: its layers are of a width that has no kernel here.
        """
        self._embeddings = embeddings
        self._positions = tensors["decoder/position_encodings/encodings"].astype(np.float32)
        self._heard = _session(heard_graph(tensors), threads)
        self._session = _session(decoder_graph(tensors), threads)
        self._heard_names = [output.name for output in self._heard.get_outputs()]
        self._next_names = [
            output.name for output in self._session.get_outputs() if output.name not in _BEST
        ]
        heads, head_width = (self._session.get_inputs()[-1].shape[axis] for axis in (1, 3))
        nothing = _value(np.zeros((1, heads, 0, head_width), np.float32))
        self._nothing = {_kept(name): nothing for name in self._next_names}
        (vocabulary,) = tensors["decoder/projection/weight"].shape[:1]
        self._no_mask = _mask(vocabulary, [])
        self._later = _mask(vocabulary, signs.never)
        self._first = _mask(vocabulary, [*signs.never, *signs.never_first])
        self._text = _mask(vocabulary, range(signs.end_of_text, vocabulary))
        self._signs = signs

    def hear(self, outputs: Floats) -> Heard:
        """Take an encoder's outputs, shape (positions, width)."""
        found = self._heard.run_with_ort_values(self._heard_names, {"outputs": _value(outputs)})
        return Heard(dict(zip(self._heard_names, found, strict=True)))

    def write(
        self, heard: Heard, prompt: Sequence[int], most_tokens: int, start: int | None = None
    ) -> Written:
        """Write the most probable token behind a prompt, and behind that, up to the end of text.

        Args:
            heard: The audio.
            prompt: At least one token.
            most_tokens: At most so many are written.
            start: Where in the prompt the start of the transcript stands, behind which Whisper
                says whether there is speech; None if that is not asked.
        """
        rows = [len(prompt) - 1] if start is None else [len(prompt) - 1, start]
        masks = self._first if start is None else np.concatenate([self._first, self._no_mask])
        step = self._step(heard, self._nothing, 0, prompt, rows, masks, self._signs.no_speech)
        no_speech = math.nan if start is None else math.exp(step.of_wanted[1])
        tokens: list[int] = []
        log_probability = 0.0
        while len(tokens) < most_tokens:
            log_probability += step.of_best[0]
            if step.best[0] == self._signs.end_of_text:
                return Written(tuple(tokens), log_probability, no_speech, is_ended=True)
            tokens.append(step.best[0])
            if len(tokens) < most_tokens:
                behind = len(prompt) + len(tokens) - 1
                step = self._step(heard, step.kept, behind, tokens[-1:], [0], self._later, 0)
        return Written(tuple(tokens), log_probability, no_speech, is_ended=False)

    def log_probabilities(
        self, heard: Heard, prompt: Sequence[int], tokens: Sequence[int]
    ) -> list[float]:
        """Return how probable each token of a text is behind a prompt and those before it."""
        rows = range(len(prompt) - 1, len(prompt) + len(tokens) - 1)
        known = [*prompt, *tokens[:-1]]
        step = self._step(heard, self._nothing, 0, known, rows, self._text, tokens)
        return step.of_wanted

    def _step(
        self,
        heard: Heard,
        kept: Values,
        behind: int,
        tokens: Sequence[int],
        rows: Sequence[int],
        mask: Floats,
        wanted: int | Sequence[int],
    ) -> _Step:
        """Compute tokens that stand behind so many others, of which this is kept."""
        end = behind + len(tokens)
        causal = np.triu(np.full((len(tokens), end), -np.inf, np.float32), behind + 1)
        inputs = {
            "embedded": _value(self._embeddings(tokens) + self._positions[behind:end]),
            "mask": _value(causal[None, None]),
            "rows": _value(np.array(rows, np.int64)),
            "unlikeliness": _value(mask),
            "wanted": _value(
                np.broadcast_to(np.array(wanted, np.int64), len(rows))[:, None].copy()
            ),
        }
        best, of_best, of_wanted, *found = self._session.run_with_ort_values(
            [*_BEST, *self._next_names], {**inputs, **kept, **heard.values}
        )
        return _Step(
            best.numpy()[:, 0].tolist(),
            of_best.numpy()[:, 0].tolist(),
            of_wanted.numpy()[:, 0].tolist(),
            dict(zip(map(_kept, self._next_names), found, strict=True)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One answer for each row that was asked for."""

    best: list[int]
    of_best: list[float]
    of_wanted: list[float]
    kept: Values
    """For the step behind it."""


def _session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Without these every thread keeps an arena, and every length of text or audio a plan.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Bytes would be kept as long as the session.
    with _file(graph) as path:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """Hold a file while the block runs; in memory, for there may be no disk to write to."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("graph"), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            path.write_bytes(content)
            yield str(path)


def _value(array: NDArray[np.generic]) -> onnxruntime.OrtValue:
    return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))


def _kept(name: str) -> str:
    """Return the input that takes what this output put out, in the next step."""
    return name.removeprefix("next_")


def _mask(vocabulary: int, tokens: Sequence[int]) -> Floats:
    mask = np.zeros((1, vocabulary), np.float32)
    mask[0, list(tokens)] = -np.inf
    return mask
