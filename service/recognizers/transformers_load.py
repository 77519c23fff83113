"""From a name to the files of a transformers model, or a sentence that helps."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Final

from transformers import AutoConfig

from service.recognizers import hub
from service.recognizers.base import ModelUnavailableError

SAFE_FILES: Final = ("*.json", "*.txt", "*.model", "*.jinja", "*.safetensors")
PICKLED_FILES: Final = ("*.bin",)
UNNEEDED_FILES: Final = (
    "onnx/*",
    "openvino/*",
    "language_model/*",
    # The same weights once more, and not in half the bytes.
    "*.fp32*",
)
ADAPTER_FILES: Final = "adapter.*"
"""Weights for one language each, of which a repository may hold a thousand."""
HARMLESS_MISSING: Final = ("masked_spec_embed",)
"""Weights that only training uses, and that many checkpoints lack."""


def find_folder(name: str, weights: str, language: str = "") -> Path:
    """Return the folder of a model: a local one, or a copy of the hub's.

    Args:
        name: A path, or OWNER/NAME on huggingface.co.
        weights: safetensors or any.
        language: Whose adapter is wanted, of a model that has some.

    Raises:
        ModelUnavailableError: there is none, or its weights are not of the kind allowed.
    """
    path = Path(name).expanduser()
    if name and path.is_dir():
        _check(path, name, weights)
        return path
    if not name or not hub.is_id(name):
        raise ModelUnavailableError(
            f"transformers:{name} is neither a folder nor the id of a model on huggingface.co; "
            "write transformers:PATH or transformers:OWNER/NAME"
        )
    spec = "transformers:PATH"
    wanted = [*SAFE_FILES, *(PICKLED_FILES if weights == "any" else ())]
    folder = hub.download(name, spec, wanted, (*UNNEEDED_FILES, ADAPTER_FILES))
    if not _weights_in(folder) and any(file.endswith(".bin") for file in hub.files_of(name)):
        raise ModelUnavailableError(_pickled(name))
    _check(folder, name, weights)
    if language and _has_adapters(folder):
        hub.download(name, spec, [f"adapter.{language}.safetensors"])
    return folder


def read_config(folder: Path) -> Any:  # noqa: ANN401  (of transformers)
    """Return the model's configuration.

    Raises:
        ModelUnavailableError: there is none, or of a kind that this transformers lacks.
    """
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnavailableError(
            f"{folder}: its config.json is of no kind of model that the installed transformers "
            f"knows ({_first_line(error)}); a newer transformers may know it"
        ) from error


def load_weights(auto_class: Any, folder: Path, weights: str, **settings: object) -> Any:  # noqa: ANN401
    """Load a model in fp32, ready for inference.

    Args:
        auto_class: One of the Auto classes of transformers.
        folder: Where its files are.
        weights: safetensors or any.
        settings: Further arguments of ``from_pretrained``.

    Raises:
        ModelUnavailableError: files are damaged or incomplete.
    """
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        model, report = auto_class.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=None if weights == "any" else True,
            dtype="float32",
            output_loading_info=True,
            **settings,
        )
    except Exception as error:  # Damaged files fail in ways that share no base class.
        raise ModelUnavailableError(
            f"{folder}: the weights cannot be loaded ({_first_line(error)}); download them again"
        ) from error
    missing = [key for key in report["missing_keys"] if not key.endswith(HARMLESS_MISSING)]
    if missing:
        raise ModelUnavailableError(
            f"{folder}: the weights lack {missing[0]} and {len(missing) - 1} more; this is not "
            "a model trained to recognize speech, or its files are incomplete"
        )
    return model.eval()


def load_part(auto_class: Any, folder: Path, what: str) -> Any:  # noqa: ANN401
    """Load a feature extractor or a tokenizer.

    Raises:
        ModelUnavailableError: its files are missing or damaged.
    """
    try:
        return auto_class.from_pretrained(folder, local_files_only=True)
    except ImportError as error:
        raise ModelUnavailableError(
            f"{folder}: its {what} needs a library that is not installed ({_first_line(error)})"
        ) from error
    except Exception as error:  # As above.
        raise ModelUnavailableError(
            f"{folder}: its {what} cannot be loaded ({_first_line(error)}); the folder must hold "
            "all files of the model, not only its weights"
        ) from error


def _check(folder: Path, name: str, weights: str) -> None:
    if not (folder / "config.json").is_file():
        raise ModelUnavailableError(
            f"{name} has no config.json, so it is not a model of transformers"
        )
    found = _weights_in(folder)
    if not found:
        raise ModelUnavailableError(f"{name} holds no weights: no *.safetensors file is there")
    if weights != "any" and not any(path.suffix == ".safetensors" for path in found):
        raise ModelUnavailableError(_pickled(name))


def _has_adapters(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except ValueError:
        return False  # The configuration's reader says so.
    return isinstance(config, dict) and config.get("adapter_attn_dim") is not None


def _pickled(name: str) -> str:
    return (
        f"{name} has its weights as a pickle only, which may run code when it is loaded; "
        "convert them to safetensors, or allow it with ?weights=any if you trust their source"
    )


def _weights_in(folder: Path) -> list[Path]:
    return [*folder.glob("*.safetensors"), *folder.glob("*.bin")]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
