"""What if interims kept the encoder's states of what they have heard?

    OMP_NUM_THREADS=1 python -m benchmarks.whisper_states [--every N] [MANIFEST...]

The service hears the newest seconds of a segment anew for each interim. Here the keys and values of
all layers are kept instead, and only the audio behind them is encoded, with silence behind it; what
lies within a margin of the end is encoded once more next time, for it had heard too little of what
follows. Whisper was trained on whole windows and never on this. Printed are the words that the last
interims have wrong, and how much audio is encoded for one: as the service does it, with the whole
segment heard each time, and with states kept, for several margins. States are computed by torch,
in 32 bits, from the bundled model.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import ctranslate2
import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from torch.nn import functional
from transformers import WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperAttention, WhisperEncoder
from transformers.utils import logging

from benchmarks.support import Clip, manifest_arguments, read_clips, word_errors
from scripts.map_whisper_weights import bundled_folder, write_checkpoint
from service.core.agreement import Agreement
from service.core.hypothesis import SAMPLE_RATE_HZ, Samples, Window
from service.recognizers import whisper_interim
from service.recognizers.whisper_interim import InterimDecoder
from service.recognizers.whisper_load import load_model, parse_options
from service.recognizers.whisper_model import Encoded, WhisperModel

INTERVAL_S = 0.5
"""New audio between two interims."""
LONGEST_S = 24.0
"""Of a clip: the silence behind it has to fit into the window."""
MARGINS_S = (2.0, 1.0, 0.5)
FRAMES_PER_S, POSITIONS_PER_S = 100, 50
"""Of the mel spectrogram, and of the encoder."""


class KeepingModel:
    """A model that encodes one growing segment; all else is the bundled model's."""

    def __init__(self, model: WhisperModel, encoder: WhisperEncoder, margin_s: float) -> None:
        """Begin a segment; with an infinite margin nothing is kept."""
        self._model = model
        self._encoder = encoder
        self._margin_s = margin_s
        self._mel = FeatureExtractor()
        self._kept = 0
        """Positions whose states are kept."""
        heads = encoder.config.encoder_attention_heads
        width = encoder.config.d_model
        self._keys = [torch.empty(heads, 0, width // heads)] * len(encoder.layers)
        self._values = list(self._keys)
        self._outputs = torch.empty(0, width)
        self.encoded_s = 0.0

    def __getattr__(self, name: str) -> object:
        """Return what the model has."""
        return getattr(self._model, name)

    def encode(self, samples: Samples, window_s: float) -> Encoded:
        """Encode what is new of the segment, and the silence behind it."""
        frames = FRAMES_PER_S * math.ceil(window_s)
        duration_s = len(samples) / SAMPLE_RATE_HZ
        self.encoded_s += duration_s - self._kept / POSITIONS_PER_S
        kept = max(self._kept, int(max(0.0, duration_s - self._margin_s) * POSITIONS_PER_S))
        hidden = self._embedded(samples, frames)[self._kept :]
        for number, layer in enumerate(self._encoder.layers):
            normal = layer.self_attn_layer_norm(hidden)
            hidden = hidden + self._attended(number, layer.self_attn, normal, kept)
            inner = functional.gelu(layer.fc1(layer.final_layer_norm(hidden)))
            hidden = hidden + layer.fc2(inner)
        outputs = torch.cat([self._outputs, self._encoder.layer_norm(hidden)])
        self._kept, self._outputs = kept, outputs[:kept]
        features = ctranslate2.StorageView.from_array(np.ascontiguousarray(outputs[None].numpy()))
        return Encoded(features, min(frames, math.ceil(duration_s * FRAMES_PER_S)))

    def _embedded(self, samples: Samples, frames: int) -> torch.Tensor:
        mel = self._mel(samples)[:, :frames]
        window = np.zeros((1, mel.shape[0], frames), dtype=np.float32)
        window[0, :, : mel.shape[1]] = mel
        hidden = functional.gelu(self._encoder.conv1(torch.from_numpy(window)))
        hidden = functional.gelu(self._encoder.conv2(hidden))[0].T
        return hidden + self._encoder.embed_positions.weight[: len(hidden)]

    def _attended(
        self, number: int, attention: WhisperAttention, hidden: torch.Tensor, kept: int
    ) -> torch.Tensor:
        queries, keys, values = (
            project(hidden).unflatten(-1, (attention.num_heads, -1)).transpose(0, 1)
            for project in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        keys = torch.cat([self._keys[number], keys], 1)
        values = torch.cat([self._values[number], values], 1)
        self._keys[number], self._values[number] = keys[:, :kept], values[:, :kept]
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        return cast(torch.Tensor, attention.out_proj(mixed.transpose(0, 1).flatten(1)))


def heard(
    model: WhisperModel, encoder: WhisperEncoder, clips: Sequence[Clip], margin_s: float
) -> tuple[float, float]:
    """Hear each clip as one growing segment.

    Returns:
        The percentage of words that the last interims have wrong, and the mean of the seconds of
        audio that were encoded for one interim.
    """
    shown: list[str] = []
    encoded_s, interims = 0.0, 0
    step = round(INTERVAL_S * SAMPLE_RATE_HZ)
    for clip in clips:
        keeping = KeepingModel(model, encoder, margin_s)
        decoder = InterimDecoder(cast(WhisperModel, keeping), "en")
        agreement = Agreement(confirms=False)
        words: Sequence[str] = ()
        for end in [*range(step, len(clip.samples), step), len(clip.samples)]:
            window = Window(clip.samples[:end], agreed_words=agreement.agreed_words)
            hypothesis = decoder.decode(window)
            interims += 1
            if not hypothesis.is_doubtful:
                words = agreement.interim([word.text for word in hypothesis.words])
        encoded_s += keeping.encoded_s
        shown.append(" ".join(words))
    return word_errors([clip.text for clip in clips], shown).percent, encoded_s / interims


def main() -> None:
    """Print a line for each way."""
    parser = manifest_arguments((__doc__ or "").partition("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="take one clip in so many")
    options = parser.parse_args()
    clips = [
        clip for clip in read_clips(options.manifests) if clip.text and clip.duration_s <= LONGEST_S
    ][:: options.every]
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    model = load_model("", parse_options({}), 1, 1)
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(bundled_folder(), Path(folder))
        whole = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    encoder = whole.model.encoder.eval()
    print(f"{len(clips)} clips, {sum(clip.duration_s for clip in clips):.0f} s")

    def report(way: str, margin_s: float) -> None:
        percent, encoded_s = heard(model, encoder, clips, margin_s)
        print(f"{way:24} words wrong {percent:5.1f} %  encoded {encoded_s:4.1f} s", flush=True)

    with torch.inference_mode():
        report("as the service does it", math.inf)
        # What is kept is known by its place in the segment, so that the begin has to stay.
        whisper_interim.TRIM_ABOVE_S = math.inf
        report("the whole segment", math.inf)
        for margin_s in MARGINS_S:
            report(f"kept but for {margin_s:.1f} s", margin_s)


if __name__ == "__main__":
    main()
