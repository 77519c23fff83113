"""The computations of a sequence-to-sequence model: encode, write on, align.

Text is written by a greedy loop of our own and not by ``generate``: so it can go on from a
forced prefix, be bounded by the length of the audio, and tell each token's probability, the
same way for every family. Without a prefix it writes what ``generate`` writes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoFeatureExtractor, AutoModelForSpeechSeq2Seq, AutoTokenizer

from service.core.hypothesis import SAMPLE_RATE_HZ, Samples
from service.recognizers.base import ModelUnavailableError
from service.recognizers.transformers_align import path_starts
from service.recognizers.transformers_load import load_part, load_weights
from service.recognizers.transformers_options import TransformersOptions
from service.recognizers.transformers_precision import prepare

FAMILIES: Final = ("whisper", "moonshine", "speech_to_text")
"""Kinds of model whose decoder is started and stopped as here."""
MOST_TOKENS: Final = 224
"""As much text as Whisper was trained to write at once, prefix included."""
ATTENTION_FRAMES_PER_S: Final = 50
"""Encoder frames of Whisper."""
MEDIAN_FRAMES: Final = 7
"""Width of the filter over attention, as in openai/whisper, ``timing.py``."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the decoder wrote; the forced prefix is not part of it."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    """One for each token, and one for the end of text unless it is cut."""
    no_speech_probability: float
    """0 where the model has no such token."""
    is_cut: bool
    """It would have gone on past the most tokens allowed."""

    @property
    def log_probability(self) -> float:
        """Mean over the tokens and the end of text."""
        return sum(self.log_probabilities) / max(1, len(self.log_probabilities))


class Seq2SeqModel:
    """A loaded model. All methods may be called from several threads."""

    def __init__(self, folder: Path, family: str, options: TransformersOptions) -> None:
        """Load a folder.

        Raises:
            ModelUnavailableError: it cannot be loaded, or is of a family not known here.
        """
        if family not in FAMILIES:
            raise ModelUnavailableError(
                f"{folder}: sequence-to-sequence models of the kind {family} are not supported; "
                f"those of the kinds {', '.join(FAMILIES)} are"
            )
        self.is_whisper: Final = family == "whisper"
        self._device = options.device
        self._extractor = load_part(AutoFeatureExtractor, folder, "feature extractor")
        self._tokenizer = load_part(AutoTokenizer, folder, "tokenizer")
        # Alignment reads the attention weights, which only this implementation tells.
        settings = {"attn_implementation": "eager"} if self.is_whisper else {}
        model = load_weights(AutoModelForSpeechSeq2Seq, folder, options.weights, **settings)
        self._generation = model.generation_config
        self._end: int = _first(self._generation.eos_token_id, model.config.eos_token_id)
        self._begin: int = _first(
            self._generation.decoder_start_token_id, model.config.decoder_start_token_id
        )
        positions = getattr(model.config, "max_target_positions", None) or 448
        self._most_tokens = min(MOST_TOKENS, positions // 2)
        heads = getattr(self._generation, "alignment_heads", None)
        self._alignment_heads: list[list[int]] = heads if self.is_whisper and heads else []
        self._silent: list[int] = list(self._generation.suppress_tokens or ())
        self._silent_first: list[int] = list(self._generation.begin_suppress_tokens or ())
        self._no_speech: int | None = None
        if self.is_whisper:
            no_timestamps = int(self._generation.no_timestamps_token_id)
            self._no_speech = no_timestamps - 1
            self._silent += range(no_timestamps + 1, model.config.vocab_size)
        self.languages = self._known_languages()
        """Codes of the languages that the model knows; empty where it does not say."""
        with torch.inference_mode():
            self._model, self.precision = prepare(
                model, options.device, options.precision, self._calibration_text
            )

    @property
    def has_word_offsets(self) -> bool:
        """Whether the model tells where it heard its tokens."""
        return bool(self._alignment_heads)

    def encode(self, samples: Samples) -> Any:  # noqa: ANN401
        """Return the encoder's output, an object of transformers that ``decode`` takes."""
        with torch.inference_mode():
            return self._encode(self._model, samples)

    def decode(
        self,
        encoded: Any,  # noqa: ANN401
        language: str,
        prefix: Sequence[int] = (),
        *,
        most_tokens: int = MOST_TOKENS,
        no_repeat_ngram_size: int = 0,
    ) -> Decoded:
        """Write the text that goes on after a forced prefix.

        Args:
            encoded: From ``encode``.
            language: One of ``languages``, or empty.
            prefix: Tokens that are taken as written.
            most_tokens: Bound on the answer.
            no_repeat_ngram_size: No sequence of so many tokens is written twice; 0 is no
                such rule.
        """
        most = min(most_tokens, self._most_tokens - len(prefix))
        with torch.inference_mode():
            return self._write(
                self._model, encoded, [*self._start(language), *prefix], most, no_repeat_ngram_size
            )

    def log_probability(
        self,
        encoded: Any,  # noqa: ANN401
        language: str,
        tokens: Sequence[int],
    ) -> float:
        """Return how probable the audio makes a text, the mean over its tokens."""
        start = self._start(language)
        with torch.inference_mode():
            logits = self._model(
                encoder_outputs=encoded,
                decoder_input_ids=torch.tensor([[*start, *tokens[:-1]]], device=self._device),
                use_cache=False,
            ).logits[0, len(start) - 1 :]
            scores = torch.log_softmax(logits.float(), dim=-1)
            chosen = scores[torch.arange(len(tokens)), torch.tensor(tokens)]
        return float(chosen.mean())

    def align(
        self,
        encoded: Any,  # noqa: ANN401
        language: str,
        prefix: Sequence[int],
        tokens: Sequence[int],
        duration_s: float,
    ) -> list[float]:
        """Return where each token begins, and where the last one ends, in seconds."""
        start = self._start(language)
        written = [*start, *prefix, *tokens, self._end]
        with torch.inference_mode():
            output = self._model(
                encoder_outputs=encoded,
                decoder_input_ids=torch.tensor([written], device=self._device),
                output_attentions=True,
                use_cache=False,
            )
            heads = [
                output.cross_attentions[layer][0, head] for layer, head in self._alignment_heads
            ]
            weights = torch.stack(heads).float().cpu().numpy()
        frames = max(1, min(weights.shape[2], math.ceil(duration_s * ATTENTION_FRAMES_PER_S)))
        # Row i attends to what token i + 1 is written from.
        first = len(start) + len(prefix) - 1
        rows = weights[:, len(start) - 1 : -1, :frames]
        starts = path_starts(rows, MEDIAN_FRAMES)[first - len(start) + 1 :]
        return [frame / ATTENTION_FRAMES_PER_S for frame in starts]

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text that follows other text."""
        text = " ".join(text.split())
        if not text:
            return []
        text = f" {text}" if self.is_whisper else text
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, its leading space included."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def close(self) -> None:
        """Free the weights."""
        self._model = None

    def _encode(self, model: Any, samples: Samples) -> Any:  # noqa: ANN401
        features = self._extractor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        main = features[self._extractor.model_input_names[0]]
        return model.get_encoder()(main.to(self._device, model.dtype))

    def _write(
        self,
        model: Any,  # noqa: ANN401
        encoded: Any,  # noqa: ANN401
        written: list[int],
        most_tokens: int,
        no_repeat_ngram_size: int = 0,
    ) -> Decoded:
        tokens: list[int] = []
        log_probabilities: list[float] = []
        no_speech = 0.0
        first = len(written)
        unread, cache = written, None
        while len(tokens) < most_tokens:
            output = model(
                encoder_outputs=encoded,
                decoder_input_ids=torch.tensor([unread], device=self._device),
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            if not tokens and self._no_speech is not None:
                no_speech = float(torch.softmax(output.logits[0, 0].float(), 0)[self._no_speech])
            scores = output.logits[0, -1].float()
            scores[self._silent] = -math.inf
            if not tokens and first == len(self._start("")):
                scores[self._silent_first] = -math.inf
            scores[_repeated(tokens, no_repeat_ngram_size)] = -math.inf
            scores = torch.log_softmax(scores, 0)
            token = int(scores.argmax())
            log_probabilities.append(float(scores[token]))
            if token == self._end:
                break
            tokens.append(token)
            unread = [token]
        is_cut = len(tokens) == len(log_probabilities)
        return Decoded(tuple(tokens), tuple(log_probabilities), no_speech, is_cut)

    def _start(self, language: str) -> list[int]:
        """Return the tokens that the decoder begins with."""
        if not self.is_whisper:
            return [self._begin]
        start = [self._begin]
        if getattr(self._generation, "is_multilingual", False):
            code = language or self.languages[0]
            start += [
                self._generation.lang_to_id[f"<|{code}|>"],
                self._generation.task_to_id["transcribe"],
            ]
        return [*start, int(self._generation.no_timestamps_token_id)]

    def _known_languages(self) -> tuple[str, ...]:
        if not self.is_whisper:
            return ()
        if not getattr(self._generation, "is_multilingual", False):
            return ("en",)
        codes = {name.strip("<|>") for name in self._generation.lang_to_id}
        return ("en", *sorted(codes - {"en"}))

    def _calibration_text(self, model: Any, samples: Samples) -> str:  # noqa: ANN401
        encoded = self._encode(model, samples)
        return self.text(self._write(model, encoded, self._start(""), 64).tokens)


def _first(*values: Any) -> int:  # noqa: ANN401
    """Return the first value that is set; of a list its first."""
    value = next(value for value in values if value is not None)
    return int(value[0] if isinstance(value, list) else value)


def _repeated(tokens: Sequence[int], size: int) -> list[int]:
    """Return the tokens that would complete a sequence of so many a second time."""
    if size <= 0 or len(tokens) < size:
        return []
    end = tuple(tokens[len(tokens) - size + 1 :])
    return [
        tokens[at + size - 1]
        for at in range(len(tokens) - size + 1)
        if tuple(tokens[at : at + size - 1]) == end
    ]
