"""Trains the small CTC model: a Wav2Vec2ForCTC of some million weights for one voice.

    python -m scripts.train_small_ctc SPEECH OUT [--minutes 15] [--threads 1]

SPEECH is the folder that ``scripts.synthesize_small_speech`` wrote. OUT becomes a checkpoint
folder of transformers, weights in float16 safetensors. It tells the word error rate on the
held-out sentences as it goes on. Ctrl-C ends the training early and keeps what it reached. With
--resume it goes on from OUT.

To learn within minutes on a CPU, the first convolution begins as a bank of band filters
instead of by chance, and the first steps teach letters spread evenly over each sentence
(a flat start), before CTC finds out where they really are. On half a busy core, 13 minutes with
700 sentences reached 14.5 % on those held out, and 3.5 more with 1 400, by --resume, 7.0 %:
these are the weights in tests/recognizers/small_ctc.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

from scripts.small_speech import EDGE_S, RATE_HZ, Sentence, at_another_speed, read

VOCABULARY = ("<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'")
BANDS = 40
LOWEST_HZ, HIGHEST_HZ = 80, 7_000
FRAME_SAMPLES = 480
FLAT_STEPS = 200
WARMUP_STEPS = 100
BATCH_S = 50.0
LEARNING_RATE = 1.5e-3
SPEEDS = (0.93, 1.07)
"""Each sentence is heard a little faster or slower every time, so that few suffice."""
SEED = 1


def labels_of(text: str) -> list[int]:
    """Return the letters of a text in the vocabulary."""
    return [VOCABULARY.index(char) for char in text.replace(" ", "|")]


def new_model() -> Any:
    """Return a model that has learned nothing."""
    torch.manual_seed(SEED)
    config = Wav2Vec2Config(
        vocab_size=len(VOCABULARY),
        hidden_size=176,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=528,
        conv_dim=(4 * BANDS, 176),
        conv_kernel=(400, 5),
        conv_stride=(160, 3),
        feat_extract_norm="group",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=24,
        num_conv_pos_embedding_groups=8,
        hidden_dropout=0.05,
        attention_dropout=0.0,
        activation_dropout=0.05,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
        ctc_loss_reduction="mean",
        ctc_zero_infinity=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = Wav2Vec2ForCTC(config)
    first = model.wav2vec2.feature_extractor.conv_layers[0].conv
    first.weight.data = torch.from_numpy(_band_filters(first.weight.shape[-1]))
    return model


def _band_filters(kernel: int) -> NDArray[np.float32]:
    """Return filters on a mel scale, shape (4 * BANDS, 1, kernel).

    Each band has a cosine and a sine and the negative of both, so that what is left of them
    after the nonlinearity adds up to the band's strength, wherever its phase is.
    """
    lowest, highest = (2595 * math.log10(1 + hz / 700) for hz in (LOWEST_HZ, HIGHEST_HZ))
    mels = np.linspace(lowest, highest, BANDS)
    hertz = 700 * (10 ** (mels / 2595) - 1)
    angles = 2 * np.pi * hertz[:, None] * np.arange(kernel) / RATE_HZ
    window = np.hanning(kernel)
    waves = [window * wave for wave in (np.cos(angles), np.sin(angles))]
    bank = np.concatenate([waves[0], waves[1], -waves[0], -waves[1]])
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    return bank[:, None, :].astype(np.float32)


def batches(sentences: list[Sentence], chance: np.random.Generator) -> Iterator[list[Sentence]]:
    """Yield batches of some BATCH_S seconds and nearly equal lengths, each sentence once."""
    order = sorted(sentences, key=lambda item: len(item.samples) + chance.integers(3_200))
    groups: list[list[Sentence]] = [[]]
    longest = 0
    for sentence in order:
        longest = max(longest, len(sentence.samples))
        if longest * (len(groups[-1]) + 1) > BATCH_S * RATE_HZ:
            groups.append([])
            longest = len(sentence.samples)
        groups[-1].append(sentence)
    for index in chance.permutation(len(groups)):
        yield groups[index]


def together(
    batch: list[Sentence], chance: np.random.Generator
) -> tuple[Any, list[Sentence], list[int]]:
    """Return a batch's audio, made as long as its longest by faint noise; each and its begin.

    Noise in place of zeros, for the model is to hear what a microphone hears in silence.
    """
    batch = [at_another_speed(item, float(chance.uniform(*SPEEDS))) for item in batch]
    longest = max(len(item.samples) for item in batch) + int(chance.integers(RATE_HZ // 4))
    audio = chance.standard_normal((len(batch), longest), dtype=np.float32)
    audio *= 10 ** (-chance.uniform(45, 75, (len(batch), 1)) / 20)
    begins = []
    for row, item in zip(audio, batch, strict=True):
        begins.append(int(chance.integers(longest - len(item.samples) + 1)))
        row[begins[-1] : begins[-1] + len(item.samples)] += item.samples
    audio -= audio.mean(axis=1, keepdims=True)
    audio /= audio.std(axis=1, keepdims=True) + 1e-7
    return torch.from_numpy(audio), batch, begins


def flat_loss(logits: Any, batch: list[Sentence], begins: list[int]) -> Any:
    """Return the loss against letters spread evenly over each sentence."""
    targets = torch.zeros(logits.shape[:2], dtype=torch.long)
    for row, item, begin in zip(targets, batch, begins, strict=True):
        labels = labels_of(item.text)
        first = (begin + EDGE_S * RATE_HZ) / FRAME_SAMPLES
        length = (len(item.samples) - 2 * EDGE_S * RATE_HZ) / FRAME_SAMPLES
        for frame in range(math.ceil(first), min(int(first + length), len(row))):
            row[frame] = labels[min(len(labels) - 1, int((frame - first) / length * len(labels)))]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def word_error_rate(model: Any, sentences: list[Sentence]) -> float:
    """Return the share of wrong words, each sentence heard alone."""
    model.eval()
    heard = []
    with torch.inference_mode():
        for item in sentences:
            audio = (item.samples - item.samples.mean()) / (item.samples.std() + 1e-7)
            path = model(torch.from_numpy(audio)[None]).logits[0].argmax(dim=-1)
            kept = [int(index) for index in torch.unique_consecutive(path) if index > 3]
            heard.append(" ".join("".join(VOCABULARY[i] for i in kept).replace("|", " ").split()))
    model.train()
    return float(jiwer.wer([item.text for item in sentences], heard))


def train(
    model: Any, sentences: list[Sentence], held_out: list[Sentence], minutes: float, *, is_new: bool
) -> None:
    """Teach the model for so long; the learning rate ends at zero."""
    chance = np.random.default_rng(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.01)
    fastest = LEARNING_RATE if is_new else LEARNING_RATE / 2
    begin_s = time.monotonic()
    step, told_s = 0, begin_s
    model.train()
    while True:
        for batch in batches(sentences, chance):
            spent = (time.monotonic() - begin_s) / (60 * minutes)
            if spent >= 1:
                print(f"{step} steps in {minutes:g} minutes", flush=True)
                return
            warmth = min(1.0, step / WARMUP_STEPS)
            rate = fastest * warmth * 0.5 * (1 + math.cos(math.pi * spent))
            for group in optimizer.param_groups:
                group["lr"] = rate
            audio, spoken, begins = together(batch, chance)
            if is_new and step < FLAT_STEPS:
                loss = flat_loss(model(audio).logits, spoken, begins)
            else:
                longest = max(len(item.text) for item in batch)
                labels = torch.full((len(batch), longest), -100)
                for row, item in zip(labels, batch, strict=True):
                    row[: len(item.text)] = torch.tensor(labels_of(item.text))
                loss = model(audio, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            if time.monotonic() - told_s > 45:
                told_s = time.monotonic()
                rate = word_error_rate(model, held_out[:40])
                print(f"step {step}: loss {loss.item():.2f}, WER {100 * rate:.1f} %", flush=True)


def save(model: Any, folder: Path) -> None:
    """Write a checkpoint of transformers, in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({token: index for index, token in enumerate(VOCABULARY)}))
    Wav2Vec2CTCTokenizer(str(vocabulary)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    model.float()


def main() -> None:
    """Train, tell the word error rate, and write the checkpoint."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("speech", type=Path, help="what scripts.synthesize_small_speech wrote")
    parser.add_argument("out", type=Path, help="folder of the checkpoint")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from OUT")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = new_model()
    if arguments.resume:
        model = Wav2Vec2ForCTC.from_pretrained(arguments.out, dtype=torch.float32)
    print(f"{sum(weight.numel() for weight in model.parameters()) / 1e6:.2f} million weights")
    held_out = read(arguments.speech / "held_out.npz")
    sentences = read(arguments.speech / "train.npz")
    try:
        train(model, sentences, held_out, arguments.minutes, is_new=not arguments.resume)
    except KeyboardInterrupt:
        print("ended early", flush=True)
    save(model, arguments.out)
    model = Wav2Vec2ForCTC.from_pretrained(arguments.out, dtype=torch.float32)
    print(f"held out: WER {100 * word_error_rate(model, held_out):.1f} %")


if __name__ == "__main__":
    main()
