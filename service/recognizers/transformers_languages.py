"""Models that have some weights and a vocabulary for each language: MMS.

Pratap et al., "Scaling Speech Technology to 1,000+ Languages" (2023): between the layers of
one wav2vec2 lie adapters of 2 million weights, which with the output layer are exchanged
from language to language. A server loads one language; each further one is a further model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from service.recognizers.base import ModelUnavailableError

SHOWN_LANGUAGES: Final = 12
"""So many are named in an error; MMS has over a thousand."""


def choose_language(model: Any, tokenizer: Any, folder: Path, language: str, weights: str) -> str:  # noqa: ANN401
    """Put the weights and the vocabulary of a language in their places.

    Args:
        model: Of transformers.
        tokenizer: Its tokenizer.
        folder: Where ``adapter.LANGUAGE.safetensors`` lie.
        language: As the model names it, which is ISO 639-3 for MMS; empty is its default.
        weights: safetensors or any.

    Returns:
        The language; empty for a model that has no such parts.

    Raises:
        ModelUnavailableError: the model does not have the language, or lacks its file.
    """
    languages = _languages(tokenizer)
    if not languages or getattr(model.config, "adapter_attn_dim", None) is None:
        return ""
    language = language or tokenizer.target_lang or languages[0]
    if language not in languages:
        shown = ", ".join(languages[:SHOWN_LANGUAGES])
        more = len(languages) - SHOWN_LANGUAGES
        raise ModelUnavailableError(
            f"language={language!r}: {folder} knows {shown}{f' and {more} more' * (more > 0)}"
        )
    tokenizer.set_target_lang(language)
    file = f"adapter.{language}.safetensors"
    if not (folder / file).is_file() and weights != "any":
        raise ModelUnavailableError(
            f"{folder}: {file} is missing; download it into the folder, or give the model by "
            "its id on huggingface.co"
        )
    try:
        model.load_adapter(
            language, local_files_only=True, use_safetensors=None if weights == "any" else True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelUnavailableError(
            f"{folder}: {file} cannot be loaded ({str(error).splitlines()[0]}); download it again"
        ) from error
    return language


def _languages(tokenizer: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the languages of a tokenizer that has a vocabulary for each."""
    vocabulary = getattr(tokenizer, "vocab", None) or {}
    return tuple(name for name, entry in vocabulary.items() if isinstance(entry, dict))
