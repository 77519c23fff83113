"""What a client asks for, held against what a model can do."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.core.audio import AudioFormat
from service.core.capabilities import Capabilities
from service.core.decoding import DecodingRules
from service.core.endpointing import Endpointing
from service.core.errors import InvalidFieldError, quoted
from service.core.hypothesis import DecodeOptions, Phrase
from service.core.interims import InterimRules
from service.core.session import SessionConfig

MAX_PHRASES = 500
MAX_PHRASE_CHARACTERS = 100
MAX_BOOST = 20.0


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """How a stream is to be recognized, as its client said."""

    model: str = ""
    """Empty is the server's default."""
    audio_format: AudioFormat | None = None
    language_code: str = ""
    interim_results: bool = False
    word_offsets: bool = False
    max_alternatives: int = 0
    """0 is 1."""
    endpointing: Endpointing = field(default_factory=Endpointing)
    phrases: tuple[Phrase, ...] = ()


def decode_options(request: StreamRequest, model: str, capabilities: Capabilities) -> DecodeOptions:
    """Return what the recognizer is asked for.

    Raises:
        InvalidFieldError: this model cannot honour a field, or a value is out of range.
    """
    if request.word_offsets and not capabilities.word_offsets:
        raise InvalidFieldError(
            f"model {model} has no word offsets; drop the field", "word_offsets"
        )
    if not 0 <= request.max_alternatives <= capabilities.max_alternatives:
        raise InvalidFieldError(
            f"max_alternatives is {request.max_alternatives}; "
            f"model {model} gives 1 to {capabilities.max_alternatives}",
            "max_alternatives",
        )
    if request.phrases and not capabilities.phrases:
        raise InvalidFieldError(
            f"model {model} cannot prefer phrases; drop the field or choose another model",
            "phrases",
        )
    _check_phrases(request.phrases)
    return DecodeOptions(
        language=_language(request.language_code, model, capabilities.languages),
        word_offsets=request.word_offsets,
        max_alternatives=max(1, request.max_alternatives),
        phrases=request.phrases,
        interim_results=request.interim_results,
    )


def session_config(
    request: StreamRequest, capabilities: Capabilities, interim_interval_s: float
) -> SessionConfig:
    """Return what the session needs to know.

    Raises:
        InvalidFieldError: the endpointing is out of this model's range.
    """
    return SessionConfig(
        audio_format=request.audio_format or AudioFormat(),
        endpoint_rules=request.endpointing.resolve(capabilities.longest_window_s),
        single_utterance=request.endpointing.single_utterance,
        decoding_rules=DecodingRules(
            longest_window_s=capabilities.longest_window_s,
            interims=InterimRules(
                interval_s=interim_interval_s,
                confirm_interval_s=None
                if capabilities.native_streaming
                else capabilities.confirm_interval_s,
                confirm_lookahead_s=capabilities.confirm_lookahead_s,
            )
            if request.interim_results
            else None,
            left_context=capabilities.left_context,
            most_context_s=capabilities.most_context_s,
            speculation=not capabilities.native_streaming,
            hear_interval_s=interim_interval_s if capabilities.native_streaming else None,
        ),
    )


def _language(code: str, model: str, languages: tuple[str, ...]) -> str:
    if not code:
        return ""
    language = code.replace("_", "-").split("-")[0].lower()
    if language not in languages:
        known = ", ".join(languages) or "only its default"
        raise InvalidFieldError(
            f"model {model} does not know language {quoted(code)}; it knows {known}",
            "language_code",
        )
    return language


def _check_phrases(phrases: tuple[Phrase, ...]) -> None:
    if len(phrases) > MAX_PHRASES:
        raise InvalidFieldError(f"{len(phrases)} phrases; at most {MAX_PHRASES}", "phrases")
    for index, phrase in enumerate(phrases):
        if not 1 <= len(phrase.text) <= MAX_PHRASE_CHARACTERS:
            raise InvalidFieldError(
                f"phrase {index} has {len(phrase.text)} characters; "
                f"write 1 to {MAX_PHRASE_CHARACTERS}",
                f"phrases[{index}].text",
            )
        if not -MAX_BOOST <= phrase.boost <= MAX_BOOST:
            raise InvalidFieldError(
                f"phrase {index} has boost {phrase.boost:g}; "
                f"choose {-MAX_BOOST:g} to {MAX_BOOST:g}",
                f"phrases[{index}].boost",
            )
