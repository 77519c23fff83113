"""Whisper's encoder, computed so that audio behind what it has heard costs only itself.

Whisper encodes a window as a whole: each position, 20 ms, attends to all of them. Here the
audio behind some that was encoded before attends to the newest of that, to itself and to
silence behind it, and what was encoded before stays as it was. The silence is that of a window
that holds nothing else, so that it is computed once for all. Whisper was not trained for either
and bears both; ``docs/whisper.md`` has what that costs and saves.

In 32 bits, by NumPy and one BLAS thread for each decode: for so few positions at once as quick as
CTranslate2 in 8 bits (``python -m benchmarks.whisper_costs``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from service.recognizers.whisper_weights import Tensors

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]

POSITIONS_PER_S: Final = 50
ATTENDED_S: Final = 3.0
"""Of what was encoded before, so much is attended to; each second of it takes 0.3 MB. With 2 and
3 s, and with all, 4.7, 4.4 and 4.4 % of the words in finals were wrong (as in docs/whisper.md)."""

_LAYER_NORM_EPSILON: Final = 1e-5
_GELU_FACTOR: Final = math.sqrt(2 / math.pi)
_GELU_CUBIC: Final = 0.044715
"""Of the approximation by tanh, of Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016)."""


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """What is kept of audio that was encoded; halves, for they are kept for each stream."""

    end: int
    """Position behind them."""
    outputs: Halves
    """Shape (positions, width)."""
    keys: Halves
    values: Halves
    """Of the newest, up to ATTENDED_S; shape (layers, heads, positions, width of a head)."""

    def without_outputs(self) -> States:
        """Return what later audio attends to."""
        return replace(self, outputs=self.outputs[:0])


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Audio that was encoded behind some; shapes as in States."""

    outputs: Floats
    keys: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class _Linear:
    weight: Floats
    """Shape (in, out)."""
    bias: Floats

    def __call__(self, values: Floats) -> Floats:
        result: Floats = values @ self.weight
        result += self.bias
        return result


@dataclass(frozen=True, slots=True)
class _Norm:
    gamma: Floats
    beta: Floats

    def __call__(self, values: Floats) -> Floats:
        centred: Floats = values - values.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        centred /= np.sqrt(variance + _LAYER_NORM_EPSILON)
        centred *= self.gamma
        centred += self.beta
        return centred


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_norm: _Norm
    queries_keys_values: _Linear
    """Queries are scaled."""
    attention_out: _Linear
    inner_norm: _Norm
    inner: _Linear
    inner_out: _Linear


class Encoder:
    """Weights in 32 bits, and the silence. May be used from several threads."""

    def __init__(self, tensors: Tensors, threads: int) -> None:
        """Take the weights of an encoder.

        Args:
            tensors: Of a CTranslate2 folder; those whose names begin with ``encoder/``.
            threads: Of BLAS for one decode, for the whole process.

        Raises:
            KeyError: the folder is of another architecture.
        """
        threadpoolctl.threadpool_limits(threads, user_api="blas")
        weights = _Weights(tensors)
        self._heads = int(tensors["encoder/num_heads"])
        self._convolutions = (weights.convolution("conv1"), weights.convolution("conv2"))
        self._positions = weights.floats("position_encodings/encodings")
        width = self._positions.shape[1]
        self._head_width = width // self._heads
        self._layers: list[_Layer] = []
        while f"encoder/layer_{len(self._layers)}/ffn/linear_0/weight" in tensors:
            self._layers.append(weights.layer(f"layer_{len(self._layers)}", width, self._heads))
        self._norm = weights.norm("layer_norm")
        empty = np.zeros((len(self._layers), self._heads, 0, self._head_width), np.float16)
        self.nothing = States(0, np.zeros((0, width), np.float16), empty, empty)
        """What is kept where nothing was heard."""
        mels = self._convolutions[0].weight.shape[0] // 3
        frames = 2 * self.most_positions
        self._silence = Stretch(np.zeros((0, width), np.float32), *2 * [empty.astype(np.float32)])
        self._silence = self.encode(
            self.embedded(np.zeros((mels, frames), np.float32)), self.nothing, 0
        )

    @property
    def most_positions(self) -> int:
        """Of audio and of silence behind it together: 30 s."""
        return len(self._positions)

    def silence(self, begin: int, end: int) -> Floats:
        """Return the outputs of silence at these positions."""
        return self._silence.outputs[begin : max(begin, end)]

    def embedded(self, mel: Floats, first: int = 0) -> Floats:
        """Return what positions are encoded from.

        Args:
            mel: The log-mel spectrogram, shape (mels, frames), two frames for each position.
            first: From this position on; frames that no position needs are not read.

        Returns:
            Shape (positions, width).
        """
        # Two frames before it take part, in a position that is dropped again.
        skipped = min(first, 1)
        hidden = np.ascontiguousarray(mel[:, 2 * (first - skipped) :].T, dtype=np.float32)
        hidden = _gelu(self._convolutions[0](_neighbours(hidden, step=1)))
        return _gelu(self._convolutions[1](_neighbours(hidden, step=2)))[skipped:]

    def encode(self, embedded: Floats, before: States, silence: int) -> Stretch:
        """Encode audio behind what was encoded.

        Args:
            embedded: The audio, from ``embedded``.
            before: What it lies behind.
            silence: Positions of silence behind it that are attended to, if there is room.
        """
        begin, end = before.end, before.end + len(embedded)
        behind = slice(end, end + max(0, silence))
        hidden = embedded + self._positions[begin:end]
        keys, values = [], []
        for number, layer in enumerate(self._layers):
            joint = layer.queries_keys_values(layer.attention_norm(hidden))
            parts = joint.reshape(len(joint), 3, self._heads, self._head_width)
            query, key, value = parts.transpose(1, 2, 0, 3)
            keys.append(key)
            values.append(value)
            silent = self._silence.keys[number, :, behind], self._silence.values[number, :, behind]
            key = np.concatenate([before.keys[number], key, silent[0]], axis=1)
            value = np.concatenate([before.values[number], value, silent[1]], axis=1)
            mixed = _softmax(query @ key.transpose(0, 2, 1)) @ value
            hidden += layer.attention_out(mixed.transpose(1, 0, 2).reshape(hidden.shape))
            hidden += layer.inner_out(_gelu(layer.inner(layer.inner_norm(hidden))))
        return Stretch(self._norm(hidden), np.stack(keys), np.stack(values))


def extended(before: States, stretch: Stretch, positions: int) -> States:
    """Return what is kept once so many positions of a stretch are kept as well."""

    def newest(old: Halves, new: Floats) -> Halves:
        kept = np.concatenate([old, new[:, :, :positions].astype(np.float16)], axis=2)
        return kept[:, :, -round(ATTENDED_S * POSITIONS_PER_S) :].copy()

    return States(
        end=before.end + positions,
        outputs=np.concatenate([before.outputs, stretch.outputs[:positions].astype(np.float16)]),
        keys=newest(before.keys, stretch.keys),
        values=newest(before.values, stretch.values),
    )


class _Weights:
    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors

    def floats(self, name: str) -> Floats:
        return self._tensors[f"encoder/{name}"].astype(np.float32)

    def convolution(self, name: str) -> _Linear:
        # Shape (out, in, 3) becomes (3 times in, out).
        kernel = self.floats(f"{name}/weight").transpose(2, 1, 0)
        flat = np.ascontiguousarray(kernel.reshape(-1, kernel.shape[2]))
        return _Linear(flat, self.floats(f"{name}/bias"))

    def linear(self, name: str) -> _Linear:
        weight = np.ascontiguousarray(self.floats(f"{name}/weight").T)
        return _Linear(weight, self.floats(f"{name}/bias"))

    def norm(self, name: str) -> _Norm:
        return _Norm(self.floats(f"{name}/gamma"), self.floats(f"{name}/beta"))

    def layer(self, name: str, width: int, heads: int) -> _Layer:
        joint = self.linear(f"{name}/self_attention/linear_0")
        scale = np.ones(3 * width, np.float32)
        scale[:width] = math.sqrt(heads / width)
        return _Layer(
            self.norm(f"{name}/self_attention/layer_norm"),
            _Linear(joint.weight * scale, joint.bias * scale),
            self.linear(f"{name}/self_attention/linear_1"),
            self.norm(f"{name}/ffn/layer_norm"),
            self.linear(f"{name}/ffn/linear_0"),
            self.linear(f"{name}/ffn/linear_1"),
        )


def _neighbours(frames: Floats, *, step: int) -> Floats:
    """Return each so many-th frame between the ones beside it, shape (frames, 3 times width)."""
    padded = np.pad(frames, ((1, 1), (0, 0)))
    count = len(frames) // step
    return np.concatenate([padded[at : at + step * count : step] for at in range(3)], axis=1)


def _gelu(values: Floats) -> Floats:
    inner = np.square(values)
    inner *= _GELU_CUBIC
    inner += 1.0
    inner *= values
    inner *= _GELU_FACTOR
    np.tanh(inner, out=inner)
    inner += 1.0
    inner *= values
    inner *= 0.5
    return inner


def _softmax(values: Floats) -> Floats:
    values -= values.max(axis=-1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=-1, keepdims=True)
    return values
