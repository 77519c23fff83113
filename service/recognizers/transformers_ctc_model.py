"""A CTC model's computation: equal lengths of audio in, frames of log-probabilities out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

from service.core.hypothesis import SAMPLE_RATE_HZ, Samples
from service.recognizers.base import ModelUnavailableError
from service.recognizers.transformers_languages import choose_language
from service.recognizers.transformers_load import load_part, load_weights
from service.recognizers.transformers_options import TransformersOptions
from service.recognizers.transformers_precision import prepare
from service.recognizers.transformers_stitch import Frames
from service.recognizers.transformers_tokens import Vocabulary, best_path

PROBE_S: Final = (2, 6)
"""Lengths of audio from which the length of a frame is found."""
FEATURE_HOP_SAMPLES: Final = 160
"""Of extractors that do not say: 10 ms, as in Kaldi."""
WORD_BEGIN: Final = ("\u2581", "\u0120")
"""With these a token begins that begins a word: SentencePiece's, and byte-level BPE's."""


class CtcModel:
    """A loaded model. All methods may be called from several threads."""

    def __init__(self, folder: Path, options: TransformersOptions, threads: int) -> None:
        """Load a folder.

        Raises:
            ModelUnavailableError: it cannot be loaded.
        """
        self._device = options.device
        self._extractor = load_part(AutoFeatureExtractor, folder, "feature extractor")
        self._main_input: str = self._extractor.model_input_names[0]
        self._hears_waveform = self._main_input == "input_values"
        rate_hz = getattr(self._extractor, "sampling_rate", SAMPLE_RATE_HZ)
        if rate_hz != SAMPLE_RATE_HZ:
            raise ModelUnavailableError(
                f"{folder}: the model hears {rate_hz} Hz; only {SAMPLE_RATE_HZ} Hz is supported"
            )
        model = load_weights(AutoModelForCTC, folder, options.weights)
        tokenizer = load_part(AutoTokenizer, folder, "tokenizer")
        self.language: str = choose_language(
            model, tokenizer, folder, options.language, options.weights
        )
        """Of a model that is loaded for one language; empty for others."""
        self.vocabulary = read_vocabulary(tokenizer, model.config.pad_token_id)
        with torch.inference_mode():
            self._model, self.precision = prepare(
                _baked(model), options.device, options.precision, threads, self._greedy_text
            )
        self.frame_samples: int = self._measure_frame(model.config)
        """From the begin of a frame to the begin of the next."""

    def log_probabilities(self, windows: NDArray[np.float32]) -> Frames:
        """Hear windows of the same length; padding cannot be expressed, and is not wanted.

        wav2vec2-base normalizes each channel over the whole window and was trained without
        a mask, so that padding would change its text.

        Args:
            windows: Audio, shape (windows, samples), float32.

        Returns:
            Shape (windows, frames, vocabulary), float32.
        """
        with torch.inference_mode():
            return self._frames(self._model, windows)

    def text(self, windows: NDArray[np.float32]) -> list[str]:
        """Return what is said in windows of the same length, shape (windows, samples)."""
        return [self._text(frames) for frames in self.log_probabilities(windows)]

    def close(self) -> None:
        """Free the weights."""
        self._model = None

    def _frames(self, model: Any, windows: NDArray[np.float32]) -> Frames:  # noqa: ANN401
        features = self._extractor(list(windows), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        inputs = {name: value.to(self._device) for name, value in features.items()}
        inputs[self._main_input] = inputs[self._main_input].to(model.dtype)
        logits = model(**inputs).logits
        if "attention_mask" in inputs and hasattr(model, "_get_output_attention_mask"):
            # Extractors that centre their frames add one behind the audio, and mask it.
            heard = model._get_output_attention_mask(  # noqa: SLF001
                inputs["attention_mask"], target_length=logits.shape[1]
            )
            logits = logits[:, : int(heard[0].sum())]
        return np.asarray(torch.log_softmax(logits.float(), dim=-1).cpu().numpy())

    def _greedy_text(self, model: Any, samples: Samples) -> str:  # noqa: ANN401
        frames = self._frames(model, samples[np.newaxis])[0]
        if np.isnan(frames).any():
            raise RuntimeError("numbers overflow")
        return self._text(frames)

    def _text(self, frames: Frames) -> str:
        return self.vocabulary.text(
            [token.index for token in best_path(frames, self.vocabulary.blank)]
        )

    def _measure_frame(self, config: Any) -> int:  # noqa: ANN401
        """Return the samples of a frame, exactly.

        Counting frames tells them to some parts in a hundred, for a part of a frame at the
        end of the audio is not answered. They are a multiple of the strides before the
        transformer, or of the hop of the features, and adapters may multiply these.
        """
        shorter, longer = (self._count_frames(seconds) for seconds in PROBE_S)
        about = (PROBE_S[1] - PROBE_S[0]) * SAMPLE_RATE_HZ / (longer - shorter)
        if self._hears_waveform:
            unit = math.prod(getattr(config, "conv_stride", (1,)))
        else:
            unit = int(getattr(self._extractor, "hop_length", FEATURE_HOP_SAMPLES))
        return unit * max(1, round(about / unit))

    def _count_frames(self, seconds: int) -> int:
        noise = np.random.default_rng(0).normal(0, 0.01, (1, seconds * SAMPLE_RATE_HZ))
        return int(self.log_probabilities(noise.astype(np.float32)).shape[1])


def read_vocabulary(tokenizer: Any, blank: int) -> Vocabulary:  # noqa: ANN401
    """Find out what outputs stand for.

    Args:
        tokenizer: Of transformers: characters with a delimiter between words, or pieces of
            words whose first is marked.
        blank: The output that stands for no token.
    """
    size = len(tokenizer)
    pieces: list[str] = list(tokenizer.convert_ids_to_tokens(range(size)))
    delimiter_piece = getattr(tokenizer, "word_delimiter_token", None)
    delimiter = pieces.index(delimiter_piece) if delimiter_piece in pieces else None
    begins = [at for at, piece in enumerate(pieces) if piece.startswith(WORD_BEGIN)]
    silent = {blank, *tokenizer.all_special_ids} - {delimiter}
    is_lower = getattr(tokenizer, "do_lower_case", False)

    def spell_characters(tokens: Sequence[int]) -> str:
        text = "".join(pieces[token] for token in tokens)
        return text.lower() if is_lower else text

    def spell_pieces(tokens: Sequence[int]) -> str:
        text = tokenizer.convert_tokens_to_string([pieces[token] for token in tokens])
        return str(text).strip()

    spell = spell_characters if delimiter is not None or not begins else spell_pieces
    return Vocabulary(
        blank=blank,
        delimiter=delimiter,
        word_begins=frozenset(begins if delimiter is None else ()),
        silent=frozenset(silent),
        spell=spell,
        letters=frozenset(
            letter for at in range(size) if at not in silent for letter in spell([at]).lower()
        ),
    )


def _baked(model: Any) -> Any:  # noqa: ANN401
    """Compute the weights that are stored as direction and length, once and not each time."""
    for module in model.modules():
        for name in list(getattr(module, "parametrizations", {})):
            torch.nn.utils.parametrize.remove_parametrizations(module, name)
    return model
