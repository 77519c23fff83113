"""What can be chosen on the page, and what of it a model honours. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from client.messages import to_duration, to_seconds
from protos.asr.v1.asr_pb2 import EndpointingConfig, Model, Phrase, StreamingConfig

DEFAULT_SILENCE_S = 0.8
LEAST_SILENCE_S, MOST_SILENCE_S = 0.1, 3.0
"""Seconds of non-speech that end a segment; the contract allows up to 10."""

PHRASE_BOOST = 5.0


@dataclass(frozen=True)
class Choices:
    """What a person has chosen."""

    model: str = ""
    silence_s: float = DEFAULT_SILENCE_S
    language: str = ""
    phrases: str = ""
    """One in each line."""


def streaming_config(choices: Choices, model: Model | None, *, live: bool) -> StreamingConfig:
    """Make the config of a stream; what the model does not honour is left out."""
    config = StreamingConfig(
        model=choices.model,
        interim_results=live,
        endpointing=EndpointingConfig(silence_duration=to_duration(choices.silence_s)),
    )
    if model is not None:
        config.word_offsets = model.word_offsets
        if choices.language in model.language_codes:
            config.language_code = choices.language
        if model.phrases:
            texts = [line.strip() for line in choices.phrases.splitlines()]
            config.phrases.extend(Phrase(text=text, boost=PHRASE_BOOST) for text in texts if text)
    return config


def has_languages(model: Model) -> bool:
    """Whether there is a language to choose."""
    return len(model.language_codes) > 1


def chosen(models: Sequence[Model], name: str) -> Model | None:
    """Find a model by its name; the first where there is none of it."""
    return next((model for model in models if model.name == name), models[0] if models else None)


def capabilities(model: Model) -> str:
    """Describe a model in a line."""
    languages = ", ".join(model.language_codes[:5])
    if len(model.language_codes) > 5:
        languages += f" and {len(model.language_codes) - 5} more"
    parts = [
        f"languages: {languages}" if languages else "",
        "keeps its state through the stream" if model.native_streaming else "hears windows",
        "times of words" if model.word_offsets else "no times of words",
        "phrases" if model.phrases else "",
        f"hears {model.sample_rate_hertz / 1000:g} kHz" if model.sample_rate_hertz else "",
        f"up to {to_seconds(model.max_segment_duration):g} s at once"
        if model.HasField("max_segment_duration")
        else "",
    ]
    return " · ".join(part for part in parts if part)
