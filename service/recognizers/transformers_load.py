"""From a name to the files of a transformers model, or a sentence that helps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

import huggingface_hub
from huggingface_hub import errors as hub_errors
from transformers import AutoConfig

from service.recognizers.base import ModelUnavailableError

SAFE_FILES: Final = ("*.json", "*.txt", "*.model", "*.jinja", "*.safetensors")
PICKLED_FILES: Final = ("*.bin",)
UNNEEDED_FILES: Final = ("onnx/*", "openvino/*", "*.msgpack", "language_model/*")
HARMLESS_MISSING: Final = ("masked_spec_embed",)
"""Weights that only training uses, and that many checkpoints lack."""


def find_folder(name: str, weights: str) -> Path:
    """Return the folder of a model: a local one, or a copy of the hub's.

    Args:
        name: A path, or OWNER/NAME on huggingface.co.
        weights: safetensors or any.

    Raises:
        ModelUnavailableError: there is none, or its weights are not of the kind allowed.
    """
    path = Path(name).expanduser()
    if name and path.is_dir():
        _check(path, name, weights)
        return path
    if name.count("/") != 1 or name[0] in "./~":
        raise ModelUnavailableError(
            f"transformers:{name} is neither a folder nor the id of a model on huggingface.co; "
            "write transformers:PATH or transformers:OWNER/NAME"
        )
    allowed = [*SAFE_FILES, *(PICKLED_FILES if weights == "any" else ())]
    folder = _cached(name, allowed) or _download(name, allowed)
    _check(folder, name, weights)
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


def _cached(name: str, allowed: list[str]) -> Path | None:
    try:
        found = huggingface_hub.snapshot_download(
            name,
            allow_patterns=allowed,
            ignore_patterns=list(UNNEEDED_FILES),
            local_files_only=True,
        )
    except (hub_errors.HFValidationError, OSError):
        return None
    folder = Path(found)
    return folder if _weights_in(folder) else None


def _download(name: str, allowed: list[str]) -> Path:
    try:
        return Path(
            huggingface_hub.snapshot_download(
                name, allow_patterns=allowed, ignore_patterns=list(UNNEEDED_FILES)
            )
        )
    except hub_errors.GatedRepoError as error:
        raise ModelUnavailableError(
            f"{name} is gated: ask for access at https://huggingface.co/{name}, then log in with "
            "`hf auth login` or set HF_TOKEN"
        ) from error
    except (hub_errors.RepositoryNotFoundError, hub_errors.HFValidationError) as error:
        raise ModelUnavailableError(
            f"huggingface.co has no model {name}, or it is private; check the id, or log in with "
            "`hf auth login` or set HF_TOKEN"
        ) from error
    except Exception as error:  # The hub's libraries fail in ways that share no base class.
        raise ModelUnavailableError(
            f"{name} is not on this machine and could not be downloaded from huggingface.co "
            f"({type(error).__name__}); connect to the network, or download it elsewhere and "
            "give the path of its folder as transformers:PATH"
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
        raise ModelUnavailableError(
            f"{name} has its weights as a pickle only, which may run code when it is loaded; "
            "convert them to safetensors, or allow it with ?weights=any if you trust their source"
        )


def _weights_in(folder: Path) -> list[Path]:
    return [*folder.glob("*.safetensors"), *folder.glob("*.bin")]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
