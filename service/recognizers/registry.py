"""From a model spec to a loaded recognizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from service.recognizers.allocation import loading
from service.recognizers.base import ModelUnavailableError, Recognizer


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """KIND[:ARGUMENT][?name=value&...], taken apart."""

    kind: str
    argument: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    """What clients call it: option ``name``, or the spec without its options."""


def parse_spec(text: str) -> ModelSpec:
    """Take a model spec apart.

    Raises:
        ModelUnavailableError: there is no such kind, or the options are not name=value, or
            the name is empty.
    """
    model, _, query = text.partition("?")
    kind, _, argument = model.partition(":")
    if kind not in KINDS:
        raise ModelUnavailableError(
            f"model {text!r}: there is no kind {kind!r}; choose one of: {', '.join(KINDS)}"
        )
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise ModelUnavailableError(
            f"model {text!r}: write options as ?name=value&name=value"
        ) from error
    name = options.pop("name", model)
    if not name:
        raise ModelUnavailableError(
            f"model {text!r}: its name is empty, by which clients mean the default model; "
            "give it another or leave name out"
        )
    return ModelSpec(kind, argument, options, name)


def load(spec: ModelSpec, threads: int, decodes: int) -> Recognizer:
    """Load a model for so many decodes at once, of so many threads each.

    Raises:
        ModelUnavailableError: it cannot be loaded; says what to install or download.
    """
    with loading():
        return KINDS[spec.kind](spec, threads, decodes)


def _whisper(spec: ModelSpec, threads: int, decodes: int) -> Recognizer:
    from service.recognizers import whisper

    return whisper.load(spec.argument, spec.options, threads, decodes)


def _transformers(spec: ModelSpec, threads: int, decodes: int) -> Recognizer:
    try:
        from service.recognizers import transformers_models
    except ImportError as error:
        raise ModelUnavailableError(
            f"model {spec.name!r} needs torch and transformers ({error}); "
            "run: python -m pip install -c constraints.txt -e '.[transformers]'"
        ) from error
    argument = spec.argument
    if spec.kind == "wav2vec2":
        if argument:
            raise ModelUnavailableError(
                f"wav2vec2 takes no argument; write transformers:{argument} for another model"
            )
        argument = transformers_models.WAV2VEC2
    return transformers_models.load(argument, spec.options, threads, decodes)


def _deepspeech(spec: ModelSpec, threads: int, decodes: int) -> Recognizer:
    from service.recognizers import deepspeech

    return deepspeech.load(spec.argument, spec.options, threads, decodes)


def _scripted(spec: ModelSpec, _threads: int, _decodes: int) -> Recognizer:
    from service.recognizers import scripted

    return scripted.load(spec.argument, spec.options)


KINDS: Mapping[str, Callable[[ModelSpec, int, int], Recognizer]] = {
    "whisper": _whisper,
    "wav2vec2": _transformers,
    "transformers": _transformers,
    "deepspeech": _deepspeech,
    "scripted": _scripted,
}
