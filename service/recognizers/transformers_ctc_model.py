"""A CTC model's computation: equal lengths of audio in, frames of log-probabilities out.

Calls of ``hear`` from many threads meet in a batcher where that pays. Features are made for each
window by itself, in the thread that asks; in a batch there are equal lengths only, which share no
operation. What is left is that libraries choose their kernels by the shape of a batch, and round
otherwise in others; so finals are always computed in one and the same number of rows, those that
nobody wants filled with copies; alone, where a model's rows are not alike. Whoever is beside it,
a final is the same to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

from service.core.hypothesis import SAMPLE_RATE_HZ, Samples
from service.recognizers.base import ModelUnavailableError
from service.recognizers.batching import Batcher, Bucket
from service.recognizers.transformers_device import Graphs, Inputs, Staging
from service.recognizers.transformers_languages import choose_language
from service.recognizers.transformers_load import load_part, load_weights
from service.recognizers.transformers_options import TransformersOptions
from service.recognizers.transformers_precision import prepare
from service.recognizers.transformers_stitch import Frames
from service.recognizers.transformers_tokens import best_path, read_vocabulary

PROBE_S: Final = (2, 6)
"""Lengths of audio from which the length of a frame is found."""
FEATURE_HOP_SAMPLES: Final = 160
"""Of extractors that do not say: 10 ms, as in Kaldi."""
FINAL_ROWS: Final = 8
"""Most finals in a batch, and the rows of each: their lengths are shared less than those of
interims, and what is not shared is computed for nothing."""
ALIKE_S: Final = {"cpu": (1,), "cuda": (1, 5, 15, 30)}
"""Lengths of audio for which it is tried whether all rows of a batch give the same. Which kernel a
GPU's library takes depends on the shape, and some add up differently from row to row."""
GRID_S: Final = 0.5
"""Windows that may be chosen are multiples of this long, so that their lengths are few: those of
finals by how much they hear before their segment, those of interims where batches are wanted."""


class CtcModel:
    """A loaded model. All methods may be called from several threads."""

    def __init__(self, folder: Path, options: TransformersOptions) -> None:
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
        self.batch_size: int = options.most_at_once
        """Most windows that are computed at once."""
        with torch.inference_mode():
            self._model, self.precision = prepare(
                _baked(model), options.device, options.precision, self._greedy_text
            )
        self.frame_samples: int = self._measure_frame(model.config)
        """From the begin of a frame to the begin of the next."""
        self.final_rows: int = self.rows_of_finals(self._model)
        """Rows in which finals are computed."""
        self._batcher: Batcher[Inputs, Frames] | None = None
        if options.is_batching:
            self._batcher = self._new_batcher(options)

    @property
    def grid_frames(self) -> int:
        """Interims' windows are to be a multiple of so many long; 1 where nothing is batched."""
        if self._batcher is None:
            return 1
        return max(1, round(GRID_S * SAMPLE_RATE_HZ / self.frame_samples))

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """How many batches of each size ``hear`` has had; empty where nothing is batched."""
        batcher = self._batcher
        return batcher.sizes if batcher is not None else {}

    def hear(self, samples: Samples, *, is_final: bool) -> Frames:
        """Hear one window, at once with others of its length that are there at the time.

        Returns:
            Shape (frames, vocabulary), float32.
        """
        if self._batcher is None:
            frames: Frames = self.log_probabilities(samples[np.newaxis])[0]
            return frames
        return self._batcher.compute(Bucket(len(samples), is_final), self._features(samples))

    def log_probabilities(self, windows: NDArray[np.float32]) -> Frames:
        """Hear windows of the same length at once, and no others with them.

        Padding cannot be expressed, and is not wanted: wav2vec2-base normalizes each channel
        over the whole window and was trained without a mask, so that it would change its text.

        Args:
            windows: Audio, shape (windows, samples), float32.

        Returns:
            Shape (windows, frames, vocabulary), float32.
        """
        rows = [self._features(window) for window in windows]
        with torch.inference_mode():
            return self._frames(self._model, rows, Staging(self._device))

    def rows_of_finals(self, model: Any) -> int:  # noqa: ANN401
        """Return in how many rows finals may be computed.

        With 1, finals share no batch: that is so where the same window gives something else, be
        it in the last bit, in another row of the same batch, for then a final would depend on
        where among its neighbours it stands.

        Args:
            model: As it will compute finals, on its device.

        Raises:
            ModelUnavailableError: so many do not fit into the memory.
        """
        most = min(FINAL_ROWS, self.batch_size)
        chance = np.random.default_rng(0)
        for seconds in ALIKE_S[self._device] if most > 1 else ():
            noise = chance.normal(0, 0.05, seconds * SAMPLE_RATE_HZ).astype(np.float32)
            rows = [self._features(noise)] * most
            try:
                with torch.inference_mode():
                    frames = self._frames(model, rows, Staging(self._device))
            except torch.OutOfMemoryError as error:
                raise ModelUnavailableError(
                    f"{most} segments of {seconds} s at once do not fit into the memory of "
                    f"{self._device}; choose a smaller model, precision=bf16 or batch=1"
                ) from error
            if not all(np.array_equal(row, frames[0]) for row in frames):
                return 1
        return most

    def text(self, windows: NDArray[np.float32]) -> list[str]:
        """Return what is said in windows of the same length, shape (windows, samples)."""
        return [self._text(frames) for frames in self.log_probabilities(windows)]

    def close(self) -> None:
        """Free the weights."""
        if self._batcher is not None:
            self._batcher.close()
        self._batcher = self._model = None

    def _new_batcher(self, options: TransformersOptions) -> Batcher[Inputs, Frames]:
        staging = Staging(options.device)
        graphs = Graphs(partial(self._forward, self._model)) if options.graphs else None

        def compute(bucket: Bucket, items: Sequence[Inputs]) -> list[Frames]:
            spare = self._rows(bucket, len(items)) - len(items)
            rows = [*items, *[items[-1]] * spare]
            # Lengths of finals are too many to be recorded.
            forward = None if bucket.is_final else graphs
            with torch.inference_mode():
                frames = self._frames(self._model, rows, staging, forward)
            # Each by itself: a part of the whole would keep the whole in memory.
            return [part.copy() for part in frames[: len(items)]]

        batcher = Batcher(compute, self._most, options.batch_wait_ms / 1000)
        if graphs is not None:
            self._try_graphs(batcher)
        return batcher

    def _try_graphs(self, batcher: Batcher[Inputs, Frames]) -> None:
        window = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
        try:
            batcher.compute(Bucket(len(window)), self._features(window))
        except RuntimeError as error:
            batcher.close()
            raise ModelUnavailableError(
                f"graphs=1: this model cannot be recorded as a CUDA graph "
                f"({str(error).splitlines()[0]}); leave graphs out"
            ) from error

    def _most(self, bucket: Bucket) -> int:
        return self.final_rows if bucket.is_final else self.batch_size

    def _rows(self, bucket: Bucket, count: int) -> int:
        """Return in how many rows so many windows are computed: few numbers, one for finals."""
        most = self._most(bucket)
        return most if bucket.is_final else min(most, 1 << (count - 1).bit_length())

    def _features(self, samples: Samples) -> Inputs:
        """Return what the model is called with for one window, shapes (1, ...), on the CPU."""
        features = self._extractor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        return dict(features)

    def _frames(
        self,
        model: Any,  # noqa: ANN401
        rows: Sequence[Inputs],
        staging: Staging,
        forward: Callable[[Inputs], torch.Tensor] | None = None,
    ) -> Frames:
        """Return the log-probabilities of rows of the same shapes; they lie in the staging."""
        inputs = {name: staging.to_device(name, [row[name] for row in rows]) for name in rows[0]}
        found = (forward or partial(self._forward, model))(inputs)
        return staging.to_host(found[:, : self._count_heard(model, rows[0], found.shape[1])])

    def _forward(self, model: Any, inputs: Inputs) -> torch.Tensor:  # noqa: ANN401
        main = inputs[self._main_input].to(model.dtype)
        logits = model(**{**inputs, self._main_input: main}).logits
        return torch.log_softmax(logits.float(), dim=-1)

    def _count_heard(self, model: Any, row: Inputs, frames: int) -> int:  # noqa: ANN401
        """Return how many of a row's frames are audio.

        Extractors that centre their frames add one behind the audio, and mask it.
        """
        if "attention_mask" not in row or not hasattr(model, "_get_output_attention_mask"):
            return frames
        mask = model._get_output_attention_mask(row["attention_mask"], target_length=frames)  # noqa: SLF001
        return int(mask[0].sum())

    def _greedy_text(self, model: Any, samples: Samples) -> str:  # noqa: ANN401
        # In a whole batch: which precision is fastest depends on it.
        rows = [self._features(samples)] * self.batch_size
        frames = self._frames(model, rows, Staging(self._device))[0]
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


def _baked(model: Any) -> Any:  # noqa: ANN401
    """Compute the weights that are stored as direction and length, once and not each time."""
    for module in model.modules():
        for name in list(getattr(module, "parametrizations", {})):
            torch.nn.utils.parametrize.remove_parametrizations(module, name)
    return model
