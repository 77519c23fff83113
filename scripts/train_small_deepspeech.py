"""Trains the small DeepSpeech model: the graph of DeepSpeech 0.9 for one voice.

    python3 -m venv VENV
    VENV/bin/pip install tensorflow-cpu==2.21.0 jiwer==4.0.0
    VENV/bin/python -m scripts.train_small_deepspeech SPEECH... OUT.pb [--steps 1500]

Each SPEECH is a folder that ``scripts.synthesize_small_speech`` wrote. OUT.pb becomes a model
that libdeepspeech 0.9.3 loads. It tells the word error rate on held-out sentences as it goes on,
the likeliest letter of each frame taken. Ctrl-C keeps what was learned: the same command goes on
from the last checkpoint, beside OUT.pb.

To learn within minutes on a CPU, the first steps teach letters spread evenly over each sentence
(a flat start), before CTC finds out where they really are. Sentences are heard at changing
speed and loudness, over faint noise, with silence before and after as in the segments of a
stream, and some of them joined.

tests/recognizers/small_deepspeech/model.pb is of 1 400 sentences about the house and 1 200 about
the calendar: 8 minutes on one core of an AMD EPYC, WER on 100 held-out sentences of each 2.1 and
1.8 %.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from scripts import deepspeech_graph as graph
from scripts.deepspeech_alphabet import ALPHABET
from scripts.small_speech import EDGE_S, RATE_HZ, Sentence, at_another_speed, read

BLANK = len(ALPHABET)
BATCH_S = 60.0
FLAT_STEPS = 150
WARMUP_STEPS = 100
LEARNING_RATE = 2e-3
DROPOUT = 0.1
SPEEDS = (0.93, 1.07)
LEAD_S = (0.0, 1.2)
GAP_S = (0.1, 0.6)
TAIL_S = (0.1, 0.7)
JOINED = 0.3
"""Share of batches whose sentences are joined in pairs."""
GAIN_DB = (-9.0, 6.0)
NOISE_DB = (-78.0, -48.0)
SEED = 1
TOLD_STEPS = 100


@dataclass(frozen=True)
class Batch:
    """Utterances of nearly equal lengths.

    ``audio`` has shape (samples, utterances), ``frames`` says how many frames of each count;
    ``flat`` holds letters spread evenly over each sentence, shape (utterances, frames).
    """

    audio: NDArray[np.float32]
    frames: NDArray[np.int32]
    texts: list[str]
    flat: NDArray[np.int32]


def labels_of(text: str) -> list[int]:
    """Return the letters of a text in the alphabet."""
    return [ALPHABET.index(character) for character in text]


def frame_count(samples: int) -> int:
    """Return how many frames the library makes of so many samples.

    A frame for each whole window, and one of what is left when a stream is finished.
    """
    whole = max(0, (samples - graph.WINDOW_SAMPLES) // graph.STRIDE_SAMPLES + 1)
    return whole + 1


def as_batch(utterances: list[list[tuple[int, Sentence]]], lengths: list[int]) -> Batch:
    """Lay sentences into silence: each utterance has sentences at samples, and a length."""
    frames = np.array([frame_count(length) for length in lengths], np.int32)
    longest = (int(frames.max()) - 1) * graph.STRIDE_SAMPLES + graph.WINDOW_SAMPLES
    audio = np.zeros((longest, len(utterances)), np.float32)
    flat = np.full((len(utterances), int(frames.max())), BLANK, np.int32)
    texts = []
    for row, parts in enumerate(utterances):
        texts.append(" ".join(item.text for _, item in parts))
        for begin, item in parts:
            audio[begin : begin + len(item.samples), row] = item.samples
            labels = np.array(labels_of(item.text))
            first = round((begin + EDGE_S * RATE_HZ) / graph.STRIDE_SAMPLES)
            count = round((len(item.samples) - 2 * EDGE_S * RATE_HZ) / graph.STRIDE_SAMPLES)
            flat[row, first : first + count] = labels[np.arange(count) * len(labels) // count]
    return Batch(audio, frames, texts, flat)


def training_batch(sentences: list[Sentence], step: int) -> Batch:
    """Return the batch of a step; ``sentences`` are sorted by length."""
    chance = np.random.default_rng((SEED, step))
    joined = chance.random() < JOINED
    group: list[Sentence] = []
    place = int(chance.integers(len(sentences)))
    while (
        place < len(sentences)
        and (len(group) + 1) * len(sentences[place].samples) < BATCH_S * RATE_HZ
    ):
        group.append(sentences[place])
        place += int(chance.integers(1, 4))
    chance.shuffle(group)
    group = [at_another_speed(item, float(chance.uniform(*SPEEDS))) for item in group]
    size = 2 if joined else 1
    utterances, lengths = [], []
    for index in range(0, len(group), size):
        parts = []
        end = round(chance.uniform(*LEAD_S) * RATE_HZ)
        for item in group[index : index + size]:
            parts.append((end, item))
            end += len(item.samples) + round(chance.uniform(*GAP_S) * RATE_HZ)
        utterances.append(parts)
        last, item = parts[-1]
        lengths.append(last + len(item.samples) + round(chance.uniform(*TAIL_S) * RATE_HZ))
    batch = as_batch(utterances, lengths)
    noise = chance.standard_normal(batch.audio.shape, dtype=np.float32)
    noise *= 10 ** (chance.uniform(*NOISE_DB, len(utterances)) / 20)
    gains = 10 ** (chance.uniform(*GAIN_DB, len(utterances)) / 20)
    audio = np.clip((batch.audio * gains + noise), -1, 1).astype(np.float32)
    return Batch(audio, batch.frames, batch.texts, batch.flat)


class Model:
    """The weights while they learn, and how inputs are scaled for them."""

    def __init__(self, cells: int, sentences: list[Sentence]) -> None:
        self.cells = cells
        heard = [
            graph.features(training_batch(sentences, step).audio[:, :1])[0] for step in range(60)
        ]
        together = np.concatenate(heard)
        self.mean = together.mean(axis=0)
        self.deviation = together.std(axis=0)
        self.weights = {
            name: tf.Variable(value, name=name.replace("/", "_"))
            for name, value in graph.new_weights(cells, SEED).items()
        }

    def logits(self, audio: Any, dropout: float = 0.0) -> Any:
        """Return logits of audio (samples, utterances): (frames, utterances, classes)."""
        mfccs = graph.windows(graph.features(audio))
        scaled = (mfccs - np.tile(self.mean, graph.WINDOW_FRAMES)) / np.tile(
            self.deviation, graph.WINDOW_FRAMES
        )
        inputs = tf.transpose(scaled, [1, 0, 2])
        state = tf.zeros([tf.shape(inputs)[1], self.cells])
        return graph.layers(self.weights, inputs, (state, state), tf.shape(inputs)[0], dropout)[0]

    def exported(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights for inputs that are not scaled."""
        weights = {name: value.numpy() for name, value in self.weights.items()}
        kernel = weights["layer_1/weights"]
        scaled = kernel / np.tile(self.deviation, graph.WINDOW_FRAMES)[:, None]
        weights["layer_1/weights"] = scaled.astype(np.float32)
        weights["layer_1/bias"] -= (np.tile(self.mean, graph.WINDOW_FRAMES) @ scaled).astype(
            np.float32
        )
        return weights

    def word_error_rate(self, sentences: list[Sentence]) -> float:
        """Return the share of wrong words, each sentence heard alone, the best letters taken."""
        heard = []
        for item in sentences:
            batch = as_batch([[(0, item)]], [len(item.samples)])
            path = tf.argmax(self.logits(batch.audio)[:, 0], axis=1).numpy()
            kept = path[np.flatnonzero(np.diff(path, prepend=-1))]
            letters = "".join(ALPHABET[label] for label in kept if label != BLANK)
            heard.append(" ".join(letters.split()))
        return float(jiwer.wer([item.text for item in sentences], heard))


def sparse(texts: list[str]) -> Any:
    """Return labels of texts as TensorFlow's CTC loss wants them."""
    return tf.sparse.from_dense(
        tf.ragged.constant([[label + 1 for label in labels_of(text)] for text in texts]).to_tensor()
    )


class Trainer:
    """Teaches a model, and keeps what it learned."""

    def __init__(self, model: Model, steps: int, folder: Path) -> None:
        self.model = model
        self.steps = steps
        self.variables = list(model.weights.values())
        self.optimizer = tf.keras.optimizers.Adam(beta_2=0.98, global_clipnorm=5.0)
        self.optimizer.build(self.variables)
        self.step = tf.Variable(0, dtype=tf.int64)
        checkpoint = tf.train.Checkpoint(
            step=self.step, optimizer=self.optimizer, weights=self.variables
        )
        self.checkpoints = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1)
        if self.checkpoints.restore_or_initialize():
            print(f"going on from step {int(self.step)}", flush=True)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: a short rise, then half a cosine down to zero."""
        return (
            LEARNING_RATE
            * min(1.0, (step + 1) / WARMUP_STEPS)
            * 0.5
            * (1 + math.cos(math.pi * step / self.steps))
        )

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def learn(self, audio: Any, frames: Any, labels: Any, flat: Any, *, is_flat: bool) -> Any:
        """Take one step; returns the loss."""
        with tf.GradientTape() as tape:
            logits = self.model.logits(audio, DROPOUT)
            if is_flat:
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.transpose(flat), logits)
            else:
                letters = tf.SparseTensor(labels.indices, labels.values - 1, labels.dense_shape)
                loss = tf.nn.ctc_loss(letters, logits, None, frames, blank_index=BLANK)
            loss = tf.reduce_mean(loss)
        gradients = tape.gradient(loss, self.variables)
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        return loss

    def run(self, sentences: list[Sentence], held_out: list[Sentence]) -> None:
        """Take the steps that are left; on Ctrl-C and at each telling, keep what was learned."""
        begin_s = time.monotonic()
        try:
            while (step := int(self.step)) < self.steps:
                batch = training_batch(sentences, step)
                self.optimizer.learning_rate.assign(self.rate(step))
                loss = self.learn(
                    tf.constant(batch.audio),
                    tf.constant(batch.frames),
                    sparse(batch.texts),
                    tf.constant(batch.flat),
                    is_flat=step < FLAT_STEPS,
                )
                self.step.assign_add(1)
                if (step + 1) % TOLD_STEPS == 0:
                    error = self.model.word_error_rate(held_out)
                    spent_s = time.monotonic() - begin_s
                    print(
                        f"step {step + 1}/{self.steps}, {spent_s / 60:.1f} min: "
                        f"loss {float(loss):.2f}, WER {100 * error:.1f} %",
                        flush=True,
                    )
                    self.checkpoints.save()
        finally:
            self.checkpoints.save()


def main() -> None:
    """Train, tell the word error rate, and write the model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("speech", type=Path, nargs="+", help="a folder of spoken sentences")
    parser.add_argument("out", type=Path, help="model file, .pb")
    parser.add_argument("--cells", type=int, default=192, help="of each layer")
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(SEED)
    heard = [item for folder in arguments.speech for item in read(folder / "train.npz")]
    sentences = sorted(heard, key=lambda item: len(item.samples))
    sets = {folder.name: read(folder / "held_out.npz") for folder in arguments.speech}
    model = Model(arguments.cells, sentences)
    trainer = Trainer(
        model, arguments.steps, arguments.out.with_suffix(f".{arguments.cells}.training")
    )
    try:
        trainer.run(sentences, [item for part in sets.values() for item in part[:20]])
    except KeyboardInterrupt:
        print(f"stopped at step {int(trainer.step)}; the same command goes on from there")
        return
    graph.export(model.exported(), arguments.out)
    for name, held_out in sets.items():
        print(f"held out, {name}: WER {100 * model.word_error_rate(held_out):.1f} %")


if __name__ == "__main__":
    main()
