"""Environments of peers, made when they are asked for, apart from ours.

WhisperLive wants other versions of what we use, so it lives in an environment of its own in
the user's cache: 1.5 GB, made once in a minute or two, and made anew when the list of its
versions changes or another Python runs this.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.support import ROOT

REQUIREMENTS = ROOT / "benchmarks" / "whisper_live.txt"
DISTRIBUTION = "whisper-live==0.10.0"
STAMP = "installed"
"""Written last, so that an interrupted installation is done again."""


def cache_folder() -> Path:
    """Return where environments of peers are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "streaming-speech" / "peers"


def environment_folder(cache: Path, requirements: bytes, python: str) -> Path:
    """Return a folder that is another one for other versions."""
    digest = hashlib.sha256(b"\0".join([requirements, DISTRIBUTION.encode(), python.encode()]))
    return cache / f"{DISTRIBUTION.replace('==', '-')}-{digest.hexdigest()[:12]}"


def whisper_live_python() -> Path:
    """Return the Python of WhisperLive's environment, made if there is none.

    Raises:
        subprocess.CalledProcessError: pip failed; it has said why on standard error.
    """
    version = f"{sys.base_prefix} {sys.version}"
    folder = environment_folder(cache_folder(), REQUIREMENTS.read_bytes(), version)
    python = folder / "bin" / "python"
    if (folder / STAMP).exists():
        return python
    print(f"making an environment for {DISTRIBUTION} in {folder}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # The other way round, pip would complain of what is left out on purpose.
    for wanted in (["--requirement", str(REQUIREMENTS)], ["--no-deps", DISTRIBUTION]):
        # What pip prints is no line of figures.
        subprocess.run([*pip, *wanted], check=True, stdout=sys.stderr)
    (folder / STAMP).touch()
    return python
