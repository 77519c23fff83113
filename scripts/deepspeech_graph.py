"""The graph of a DeepSpeech 0.9 acoustic model, as its native library wants it.

Layers and names are those of ``training/deepspeech_training/train.py`` of mozilla/DeepSpeech
v0.9.3 (create_model, create_inference_graph, export), written for today's TensorFlow. The
library holds TensorFlow 2.3 with the kernels that its own graph needs and no others, so the
exported graph keeps to these, and is given no attribute that 2.3 does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from scripts.deepspeech_alphabet import ALPHABET, serialize_alphabet

RATE_HZ: Final = 16_000
WINDOW_SAMPLES: Final = 512
STRIDE_SAMPLES: Final = 320
COEFFICIENTS: Final = 26
CONTEXT_FRAMES: Final = 9
WINDOW_FRAMES: Final = 2 * CONTEXT_FRAMES + 1
STEPS: Final = 16
"""Frames that the library hears at once, 0.32 s."""
RELU_CLIP: Final = 20.0
GRAPH_VERSION: Final = 6
BEAM_WIDTH: Final = 500
DENSE_LAYERS: Final = ("layer_1", "layer_2", "layer_3", "layer_5", "layer_6")
NEWER_ATTRIBUTES: Final = ("bad_indices_policy", "grad_a", "grad_b")
"""Attributes of operators that TensorFlow got after 2.3."""

Weights = dict[str, Any]


def new_weights(cells: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Return weights that have learned nothing: Glorot's, biases zero.

    The forget gate's bias begins at one, so that the state is kept at first.
    """
    chance = np.random.default_rng(seed)
    classes = len(ALPHABET) + 1
    shapes = {
        "layer_1": (WINDOW_FRAMES * COEFFICIENTS, cells),
        "layer_2": (cells, cells),
        "layer_3": (cells, cells),
        "lstm": (2 * cells, 4 * cells),
        "layer_5": (cells, cells),
        "layer_6": (cells, classes),
    }
    weights: dict[str, NDArray[np.float32]] = {}
    for name, (inputs, outputs) in shapes.items():
        fan_out = cells if name == "lstm" else outputs
        limit = np.sqrt(6 / (inputs + fan_out))
        kernel = chance.uniform(-limit, limit, (inputs, outputs))
        weights[f"{name}/weights"] = kernel.astype(np.float32)
        weights[f"{name}/bias"] = np.zeros(outputs, np.float32)
    weights["lstm/bias"][2 * cells : 3 * cells] = 1.0
    return weights


def features(samples: Any) -> Any:
    """Return MFCCs of samples of shape (time, streams): (streams, frames, COEFFICIENTS)."""
    spectrogram = tf.raw_ops.AudioSpectrogram(
        input=samples, window_size=WINDOW_SAMPLES, stride=STRIDE_SAMPLES, magnitude_squared=True
    )
    return tf.raw_ops.Mfcc(
        spectrogram=spectrogram,
        sample_rate=tf.constant(RATE_HZ),
        upper_frequency_limit=RATE_HZ / 2,
        dct_coefficient_count=COEFFICIENTS,
    )


def windows(mfccs: Any) -> Any:
    """Return each frame with its neighbours, zeros beyond the ends: (streams, frames, window)."""
    padded = tf.pad(mfccs, [[0, 0], [CONTEXT_FRAMES, CONTEXT_FRAMES], [0, 0]])
    frames = tf.shape(mfccs)[1]
    shifted = [padded[:, shift : shift + frames] for shift in range(WINDOW_FRAMES)]
    return tf.concat(shifted, axis=2)


def layers(
    weights: Weights, inputs: Any, state: tuple[Any, Any], steps: Any, dropout: float = 0.0
) -> tuple[Any, Any, Any]:
    """Return logits, states and outputs of the cells.

    Args:
        weights: those of ``new_weights``, as constants or variables.
        inputs: windows, shape (time, streams, WINDOW_FRAMES * COEFFICIENTS).
        state: the cells' states and outputs before the first step, each (streams, cells).
        steps: how many of the time steps count; a scalar.
        dropout: share of each layer's outputs to leave out.

    Returns:
        Logits (time, streams, classes), and the states and outputs of the cells after each
        step (time, streams, cells).
    """
    streams, cells = state[0].shape[0], state[0].shape[1]
    if streams is None:
        streams = tf.shape(state[0])[0]

    def dense(name: str, values: Any) -> Any:
        values = tf.nn.bias_add(
            tf.matmul(values, weights[f"{name}/weights"]), weights[f"{name}/bias"]
        )
        if name != "layer_6":
            values = tf.minimum(tf.nn.relu(values), RELU_CLIP)
            values = tf.nn.dropout(values, dropout) if dropout else values
        return values

    values = tf.reshape(inputs, [-1, WINDOW_FRAMES * COEFFICIENTS])
    for name in DENSE_LAYERS[:3]:
        values = dense(name, values)
    gate = tf.zeros([cells])
    heard = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.cast(steps, tf.int64),
        x=tf.reshape(values, [-1, streams, cells]),
        cs_prev=state[0],
        h_prev=state[1],
        w=weights["lstm/weights"],
        wci=gate,
        wcf=gate,
        wco=gate,
        b=weights["lstm/bias"],
        forget_bias=0.0,
        cell_clip=-1.0,
        use_peephole=False,
    )
    values = tf.reshape(heard.h, [-1, cells])
    values = tf.nn.dropout(values, dropout) if dropout else values
    for name in DENSE_LAYERS[3:]:
        values = dense(name, values)
    return tf.reshape(values, [-1, streams, len(ALPHABET) + 1]), heard.cs, heard.h


def export(weights: dict[str, NDArray[np.float32]], path: Path) -> None:
    """Write a model file (.pb) that libdeepspeech 0.9.3 loads."""
    cells = len(weights["layer_2/bias"])
    with tf.Graph().as_default() as graph:
        placeholder = tf.compat.v1.placeholder
        samples = placeholder(tf.float32, [WINDOW_SAMPLES], "input_samples")
        tf.reshape(features(tf.expand_dims(samples, -1)), [-1, COEFFICIENTS], name="mfccs")
        inputs = placeholder(tf.float32, [1, STEPS, WINDOW_FRAMES, COEFFICIENTS], name="input_node")
        lengths = placeholder(tf.int32, [1], name="input_lengths")
        state = tuple(
            placeholder(tf.float32, [1, cells], f"previous_state_{part}") for part in "ch"
        )
        constants = {name: tf.constant(value, name=name) for name, value in weights.items()}
        logits, *states = layers(
            constants,
            tf.transpose(inputs, [1, 0, 2, 3]),
            (state[0], state[1]),
            tf.reduce_max(lengths),
        )
        tf.nn.softmax(logits, name="logits")
        last = tf.stack([lengths - 1, tf.constant([0])], axis=1)
        for part, value in zip("ch", states, strict=True):
            tf.gather_nd(value, last, name=f"new_state_{part}")
        for name, value in {
            "version": GRAPH_VERSION,
            "sample_rate": RATE_HZ,
            "feature_win_len": 1_000 * WINDOW_SAMPLES // RATE_HZ,
            "feature_win_step": 1_000 * STRIDE_SAMPLES // RATE_HZ,
            "beam_width": BEAM_WIDTH,
            "alphabet": serialize_alphabet(ALPHABET),
        }.items():
            tf.constant([value], name=f"metadata_{name}")
        definition = graph.as_graph_def()
    for node in definition.node:
        for attribute in list(node.attr):
            if attribute in NEWER_ATTRIBUTES or attribute.startswith("_"):
                del node.attr[attribute]
    definition.ClearField("library")
    definition.versions.Clear()
    definition.versions.producer = 440
    path.write_bytes(definition.SerializeToString(deterministic=True))
