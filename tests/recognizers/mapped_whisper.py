"""The default recognizer's weights as a checkpoint of transformers, written once."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path


@cache
def checkpoint() -> Path:
    """Return the folder, in float16; half a second of work."""
    from scripts.map_whisper_weights import bundled_folder, write_checkpoint

    folder = Path(tempfile.mkdtemp(prefix="mapped-whisper-"))
    write_checkpoint(bundled_folder(), folder)
    return folder
