"""Whisper's decoder as graphs for ONNX Runtime, with its weights in 8 bits.

Each weight is rounded to 8 bits within a block of BLOCK of its row; values that come in are rounded
likewise, row by row, so that a row's answers do not depend on the rows beside it. Layers are as in
CTranslate2's format, whose names of tensors are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.recognizers.whisper_weights import Tensors

Floats = NDArray[np.float32]

BLOCK: Final = 128
"""Weights that share a scale."""
_MOST_WEIGHT: Final = 127
_ZERO: Final = 128
"""What stands for 0 among the 8 bits."""
_IN_8_BITS: Final = 4
"""``accuracy_level`` of MatMulNBits: computed in 8 bits."""
_OPSET: Final = 20
_IR_VERSION: Final = 9
"""Of the file's format; with this opset."""
_MICROSOFT: Final = "com.microsoft"
_LAYER_NORM_EPSILON: Final = 1e-5


def heard_graph(tensors: Tensors) -> bytes:
    """Return the graph of what the decoder attends to in audio, which is computed once.

    Input ``outputs``, shape (positions, width), of the encoder. Outputs ``heard_keys_L`` and
    ``heard_values_L`` for each layer L, shape (1, heads, positions, width of a head).
    """
    graph = _Graph(tensors)
    graph.input("outputs", ("positions", graph.width))
    for layer in range(graph.layers):
        keys, values = graph.parts(graph.linear("outputs", f"layer_{layer}/attention/linear_1"), 2)
        graph.by_head(keys, f"heard_keys_{layer}")
        graph.by_head(values, f"heard_values_{layer}")
    return graph.bytes()


def decoder_graph(tensors: Tensors) -> bytes:
    """Return the graph of tokens behind others.

    Inputs:
        embedded: Shape (tokens, width), with their positions.
        mask: Shape (1, 1, tokens, before and tokens): what is added to a token's attention.
        keys_L, values_L: Of the tokens before, shape (1, heads, before, width of a head).
        heard_keys_L, heard_values_L: From ``heard_graph``.
        rows: int64, which tokens something is to be known behind.
        unlikeliness: Shape (1 or rows, vocabulary): what is added to logits.
        wanted: int64, shape (rows, 1), a token each.

    Outputs:
        best: int64, shape (rows, 1), the most probable tokens.
        log_probability_of_best, log_probability_of_wanted: Shape (rows, 1).
        next_keys_L, next_values_L: Of the tokens before and these.
    """
    graph = _Graph(tensors)
    graph.input("embedded", ("tokens", graph.width))
    graph.input("mask", (1, 1, "tokens", "all"))
    graph.input("rows", ("rows",), TensorProto.INT64)
    graph.input("unlikeliness", ("masks", "vocabulary"))
    graph.input("wanted", ("rows", 1), TensorProto.INT64)
    hidden = "embedded"
    for layer in range(graph.layers):
        hidden = _layer(graph, hidden, layer)
    chosen = graph.node("Gather", [graph.norm(hidden, "layer_norm"), "rows"], axis=0)
    logits = graph.sum(graph.linear(chosen, "projection"), "unlikeliness")
    graph.node("ArgMax", [logits], ["best"], axis=-1)
    graph.output("best", TensorProto.INT64)
    log_probabilities = graph.node("LogSoftmax", [logits], axis=-1)
    for tokens in ("best", "wanted"):
        name = f"log_probability_of_{tokens}"
        graph.node("GatherElements", [log_probabilities, tokens], [name], axis=-1)
        graph.output(name)
    return graph.bytes()


def _layer(graph: _Graph, hidden: str, layer: int) -> str:
    name = f"layer_{layer}"
    normal = graph.norm(hidden, f"{name}/self_attention/layer_norm")
    joint = graph.linear(normal, f"{name}/self_attention/linear_0")
    mixed = graph.attention_to_text(joint, layer)
    hidden = graph.sum(hidden, graph.linear(mixed, f"{name}/self_attention/linear_1"))
    normal = graph.norm(hidden, f"{name}/attention/layer_norm")
    queries = graph.linear(normal, f"{name}/attention/linear_0")
    mixed = graph.attention_to_audio(queries, layer)
    hidden = graph.sum(hidden, graph.linear(mixed, f"{name}/attention/linear_2"))
    normal = graph.norm(hidden, f"{name}/ffn/layer_norm")
    inner = graph.node("Gelu", [graph.linear(normal, f"{name}/ffn/linear_0")], domain=_MICROSOFT)
    return graph.sum(hidden, graph.linear(inner, f"{name}/ffn/linear_1"))


class _Graph:
    """A graph that grows; what it computes are names."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._heads = int(tensors["decoder/num_heads"])
        self.width: int = tensors["decoder/layer_norm/gamma"].shape[0]
        self.layers = 0
        while f"decoder/layer_{self.layers}/ffn/linear_0/weight" in tensors:
            self.layers += 1

    def input(self, name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> None:
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))

    def output(self, name: str, kind: int = TensorProto.FLOAT) -> None:
        self._outputs.append(helper.make_tensor_value_info(name, kind, None))

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str] = (),
        *,
        domain: str | None = None,
        **attributes: Any,  # noqa: ANN401  (of the operator)
    ) -> str:
        """Compute something; what has no name that is known outside gets one."""
        outputs = outputs or [f"{operator}_{len(self._nodes)}"]
        self._nodes.append(
            helper.make_node(operator, inputs, outputs, None, None, domain, **attributes)
        )
        return outputs[0]

    def sum(self, one: str, other: str) -> str:
        return self.node("Add", [one, other])

    def parts(self, joint: str, count: int) -> list[str]:
        names = [f"{joint}_part_{number}" for number in range(count)]
        self.node("Split", [joint], names, axis=-1, num_outputs=count)
        return names

    def norm(self, values: str, name: str) -> str:
        weights = [self._floats(f"{name}/{part}") for part in ("gamma", "beta")]
        return self.node("LayerNormalization", [values, *weights], epsilon=_LAYER_NORM_EPSILON)

    def linear(self, values: str, name: str) -> str:
        """Multiply by the weights of a linear layer, shape (out, in)."""
        weights = self._tensors[f"decoder/{name}/weight"].astype(np.float32)
        rows, columns = weights.shape
        blocks = weights.reshape(rows, -1, BLOCK)
        # Of a block of nothing but zeros the scale does not matter.
        scales = np.maximum(np.abs(blocks).max(axis=-1) / _MOST_WEIGHT, np.finfo(np.float32).tiny)
        rounded = (np.rint(blocks / scales[:, :, None]) + _ZERO).astype(np.uint8)
        inputs = [
            values,
            self._weight(f"{name}/weight", rounded),
            self._weight(f"{name}/scales", scales),
        ]
        if f"decoder/{name}/bias" in self._tensors:
            inputs += ["", "", self._floats(f"{name}/bias")]
        return self.node(
            "MatMulNBits",
            inputs,
            domain=_MICROSOFT,
            N=rows,
            K=columns,
            bits=8,
            block_size=BLOCK,
            accuracy_level=_IN_8_BITS,
        )

    def by_head(self, values: str, name: str) -> None:
        """Put out what belongs to each head, shape (1, heads, rows, width of a head)."""
        shape = self._ints("heads", [1, -1, self._heads, self.width // self._heads])
        parts = self.node("Reshape", [values, shape])
        self.node("Transpose", [parts], [name], perm=[0, 2, 1, 3])
        self.output(name)

    def attention_to_text(self, joint: str, layer: int) -> str:
        kept = [f"keys_{layer}", f"values_{layer}"]
        new = [f"next_keys_{layer}", f"next_values_{layer}"]
        for name in kept:
            self.input(name, (1, self._heads, "before", self.width // self._heads))
        for name in new:
            self.output(name)
        parts = [self._batch(part) for part in self.parts(joint, 3)]
        return self._attention([*parts, "", "", "mask", *kept], [f"mixed_{layer}", *new])

    def attention_to_audio(self, queries: str, layer: int) -> str:
        heard = [f"heard_keys_{layer}", f"heard_values_{layer}"]
        for name in heard:
            self.input(name, (1, self._heads, "positions", self.width // self._heads))
        return self._attention([self._batch(queries), *heard])

    def bytes(self) -> bytes:
        weights = list(self._weights.values())
        graph = helper.make_graph(self._nodes, "decoder", self._inputs, self._outputs, weights)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return model.SerializeToString()

    def _attention(self, inputs: Sequence[str], outputs: Sequence[str] = ()) -> str:
        mixed = self.node(
            "MultiHeadAttention", inputs, outputs, domain=_MICROSOFT, num_heads=self._heads
        )
        return self.node("Squeeze", [mixed, self._ints("first", [0])])

    def _batch(self, values: str) -> str:
        return self.node("Unsqueeze", [values, self._ints("first", [0])])

    def _floats(self, name: str) -> str:
        return self._weight(name, self._tensors[f"decoder/{name}"].astype(np.float32))

    def _ints(self, name: str, values: list[int]) -> str:
        return self._weight(name, np.array(values))

    def _weight(self, name: str, values: NDArray[np.generic]) -> str:
        if name not in self._weights:
            self._weights[name] = numpy_helper.from_array(values, name)
        return name
