"""The Whisper weights, loaded, and their three computations: encode, decode and align."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import ctranslate2
import faster_whisper
import numpy as np
import tokenizers
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from service.core.hypothesis import Samples
from service.recognizers.whisper_decoder import Decoder

Floats = NDArray[np.float32]

FULL_WINDOW_S: Final = 30
"""The window that the model was trained on."""
MOST_TOKENS: Final = 224
"""Half the decoder's 448 positions: as much text as Whisper was trained to write at once."""
WIDE_BEAM_SIZE: Final = 5
"""At least, where something else than the most probable text is looked for."""
DEFAULT_LANGUAGE: Final = "en"

_FRAME_SAMPLES: Final = 160
_FRAMES_PER_S: Final = 100
"""Mel frames, one every 10 ms."""
_SILENCE_MEL: Final = 0.0
"""Padding behind the audio, as faster-whisper pads. Whisper's own code pads with digital
silence instead; on 219 clips that made 6.5 % of the words wrong instead of 6.0 %."""
_LEAST_SAMPLES: Final = 400
"""One analysis window of 25 ms; shorter audio is padded to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Audio as the decoder sees it."""

    features: Any
    """Of ctranslate2; shape (1, frames // 2, model width)."""
    frames: int
    """Mel frames that hold audio and not padding."""
    encoded_samples: int
    """Audio that was encoded for it."""

    @property
    def outputs(self) -> Floats:
        """The same for NumPy, shape (frames // 2, model width); on the CPU."""
        outputs: Floats = np.asarray(self.features)[0]
        return outputs


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the decoder is told before it writes."""

    language: str
    """One of the model's ``languages``."""
    prefix: Sequence[int] = ()
    """Tokens that are taken as written, of what is heard. Each costs CTranslate2 a step of the
    decoder, as much as one that it writes; our own decoder takes all in one."""
    before: Sequence[int] = ()
    """Tokens of what was said before the audio; all cost one step together."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer of the decoder; the forced prefix is not part of it."""

    tokens: tuple[int, ...]
    log_probability: float
    """Mean over the tokens and the end of text."""
    no_speech_probability: float
    """That the whole window holds no speech; NaN if nobody asked."""
    is_cut: bool
    """It would have gone on past the most tokens allowed."""


@dataclass(frozen=True, slots=True)
class TokenTime:
    """Where a token was heard, from the first sample of the window."""

    start_s: float
    end_s: float
    log_probability: float


def frames_of(samples: Samples) -> int:
    """Return how many mel frames so much audio has."""
    return math.ceil(len(samples) / _FRAME_SAMPLES)


def encoded(outputs: Floats, frames: int, encoded_samples: int) -> Encoded:
    """Return what an encoder of our own has put out, shape (frames // 2, model width)."""
    whole = np.ascontiguousarray(outputs[None])
    return Encoded(ctranslate2.StorageView.from_array(whole), frames, encoded_samples)


class WhisperModel:
    """A loaded model. All methods may be called from several threads."""

    def __init__(self, loaded: faster_whisper.WhisperModel, decoder: Decoder | None = None) -> None:
        """Take weights.

        Args:
            loaded: All of them, as CTranslate2 holds them.
            decoder: What searches greedily in its place, if anything does.
        """
        self._model = loaded.model
        self._decoder = decoder
        self._mel = loaded.feature_extractor
        self._vocabulary = loaded.hf_tokenizer
        _keep_no_words(self._vocabulary)
        self.languages: tuple[str, ...] = (DEFAULT_LANGUAGE,)
        """Codes of the languages that the model knows, the default first."""
        if loaded.model.is_multilingual:
            others = set(loaded.supported_languages) - {DEFAULT_LANGUAGE}
            self.languages = (DEFAULT_LANGUAGE, *sorted(others))
        self._starts = {language: self._start(language) for language in self.languages}
        self._end_of_text: int = self._vocabulary.token_to_id("<|endoftext|>")
        self._no_timestamps: int = self._vocabulary.token_to_id("<|notimestamps|>")
        self._start_of_transcript: int = self._vocabulary.token_to_id("<|startoftranscript|>")
        self._start_of_previous: int = self._vocabulary.token_to_id("<|startofprev|>")

    def encode(self, samples: Samples, window_s: float = FULL_WINDOW_S) -> Encoded:
        """Encode audio in a window of at least so many seconds, but no more than the full one.

        What is longer is left out. Windows are whole seconds: for each length oneDNN compiles
        convolutions anew and keeps them. With any length a process that decoded for 80 s in two
        threads held 733 MB and was still growing; so, 425 MB after 20 s and after 60.
        """
        frames = _FRAMES_PER_S * math.ceil(min(FULL_WINDOW_S, window_s))
        window = self.mel(samples, frames)[None]
        features = self._model.encode(ctranslate2.StorageView.from_array(window))
        return Encoded(features, min(frames, frames_of(samples)), len(samples))

    def mel(self, samples: Samples, frames: int) -> Floats:
        """Return the log-mel spectrogram, shape (mels, frames), with silence behind the audio."""
        if len(samples) < _LEAST_SAMPLES:
            samples = np.pad(samples, (0, _LEAST_SAMPLES - len(samples)))
        heard = self._mel(samples)[:, :frames]
        window = np.full((heard.shape[0], frames), _SILENCE_MEL, dtype=np.float32)
        window[:, : heard.shape[1]] = heard
        return window

    def decode(
        self,
        encoded: Encoded,
        prompt: Prompt,
        *,
        most_tokens: int = MOST_TOKENS,
        beam_size: int = 1,
        hypotheses: int = 1,
        no_repeat_ngram_size: int = 0,
        doubts_speech: bool = False,
    ) -> list[Decoded]:
        """Write the text that goes on after a prompt; best first.

        Args:
            encoded: The audio, that of the prompt's prefix included.
            prompt: What to go on from.
            most_tokens: Bound on the answer; with the prefix it is at most MOST_TOKENS.
            beam_size: 1 is greedy search.
            hypotheses: How many answers, at most ``beam_size``.
            no_repeat_ngram_size: No sequence of so many tokens is written twice; 0 is no
                such rule.
            doubts_speech: Ask for the no-speech probability, which costs a step.
        """
        if self._decoder and beam_size == 1 and not no_repeat_ngram_size:
            return [
                self._write(
                    self._decoder, encoded, prompt, most_tokens, doubts_speech=doubts_speech
                )
            ]
        prefix = prompt.prefix
        total_tokens = min(len(prefix) + most_tokens, MOST_TOKENS)
        start = self._before_text(prompt)
        result = self._model.generate(
            encoded.features,
            [[*start, *prefix]],
            beam_size=beam_size,
            num_hypotheses=hypotheses,
            no_repeat_ngram_size=no_repeat_ngram_size,
            # The library writes at most half of this, and with the start no more than this;
            # the prefix counts as written.
            max_length=total_tokens + max(total_tokens, len(start) - 1),
            return_scores=True,
            return_no_speech_prob=doubts_speech,
        )[0]
        return [
            Decoded(
                tokens=tuple(tokens[len(prefix) :]),
                # The library divides by the length with the prefix, whose tokens count 0.
                log_probability=score * (len(tokens) + 1) / (len(tokens) - len(prefix) + 1),
                no_speech_probability=result.no_speech_prob if doubts_speech else math.nan,
                is_cut=len(tokens) >= total_tokens,
            )
            for tokens, score in zip(result.sequences_ids, result.scores, strict=True)
        ]

    def log_probabilities(
        self, encoded: Encoded, language: str, tokens: Sequence[int]
    ) -> list[float]:
        """Return how probable the audio makes each token of a text."""
        if self._decoder is None:
            return [time.log_probability for time in self.align(encoded, language, tokens)]
        heard = self._decoder.hear(encoded.outputs)
        prompt = self._before_text(Prompt(language))
        return self._decoder.log_probabilities(heard, prompt, tokens)

    def align(self, encoded: Encoded, language: str, tokens: Sequence[int]) -> list[TokenTime]:
        """Find out where tokens were heard, and how probable the audio makes each."""
        if not tokens:
            return []
        result = self._model.align(
            encoded.features, self._starts[language], [list(tokens)], encoded.frames
        )[0]
        # Pairs of text position and encoder frame of 20 ms along the best path, monotonic.
        first_frames: dict[int, int] = {}
        last_frame = 0
        for token, frame in result.alignments:
            first_frames.setdefault(token, frame)
            last_frame = frame
        starts = [first_frames.get(index, last_frame) for index in range(len(tokens) + 1)]
        return [
            TokenTime(start / 50, end / 50, math.log(max(probability, 1e-9)))
            for start, end, probability in zip(
                starts, starts[1:], result.text_token_probs, strict=False
            )
        ]

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text that follows other text."""
        text = " ".join(text.split())
        return (
            list(self._vocabulary.encode(f" {text}", add_special_tokens=False).ids) if text else []
        )

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, its leading space included."""
        return str(
            self._vocabulary.decode([token for token in tokens if token < self._end_of_text])
        )

    def close(self) -> None:
        """Free the weights."""
        self._model.unload_model()

    def _write(
        self,
        decoder: Decoder,
        encoded: Encoded,
        prompt: Prompt,
        most_tokens: int,
        *,
        doubts_speech: bool,
    ) -> Decoded:
        start = self._before_text(prompt)
        written = decoder.write(
            decoder.hear(encoded.outputs),
            [*start, *prompt.prefix],
            min(most_tokens, MOST_TOKENS - len(prompt.prefix)),
            start.index(self._start_of_transcript) if doubts_speech else None,
        )
        return Decoded(
            tokens=written.tokens,
            log_probability=written.log_probability / (len(written.tokens) + 1),
            no_speech_probability=written.no_speech_probability,
            is_cut=not written.is_ended,
        )

    def _before_text(self, prompt: Prompt) -> list[int]:
        before = [self._start_of_previous, *prompt.before] if prompt.before else []
        return [*before, *self._starts[prompt.language], self._no_timestamps]

    def _start(self, language: str) -> list[int]:
        is_multilingual = self._model.is_multilingual
        return list(
            Tokenizer(self._vocabulary, is_multilingual, "transcribe", language).sot_sequence
        )


def _keep_no_words(vocabulary: tokenizers.Tokenizer) -> None:
    """Have the tokenizer keep nothing of the words that it has met.

    It would keep the tokens of 10 000, in 4 MB that take hours to fill, to save 10 µs a decode.
    """
    resize = getattr(vocabulary.model, "_resize_cache", None)
    if resize is not None:
        resize(0)
