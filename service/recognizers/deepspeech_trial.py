"""Loads a model in a process of its own first.

The library believes its files. A scorer cut short throws an exception that nobody catches,
which ends the process, and damage elsewhere may do anything. What ends the trial is told as
a sentence; what passes it is loaded once more, where it is served.

    python -m service.recognizers.deepspeech_trial REQUEST
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from service.recognizers.base import ModelUnavailableError
from service.recognizers.deepspeech_library import COQUI, DEEPSPEECH, load_functions
from service.recognizers.deepspeech_model import NativeModel
from service.recognizers.deepspeech_options import DeepSpeechOptions
from service.recognizers.deepspeech_stderr import unusual

TIMEOUT_S: Final = 300.0
REFUSED: Final = 3
"""Exit status of a trial whose library said no."""
FAILURES: Final = ("Error running session", "ERROR: ")
"""What the library writes where it goes on without having done its work."""
NOISE_SAMPLES: Final = 16_000


def try_out(package: str, path: Path, options: DeepSpeechOptions) -> None:
    """Load a model with its scorer and hear a second of noise, in another process.

    Raises:
        ModelUnavailableError: the library refuses it, fails, or ends the process.
    """
    request = json.dumps({"package": package, "path": str(path), "options": asdict(options)})
    command = [sys.executable, "-m", "service.recognizers.deepspeech_trial", request]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise ModelUnavailableError(
            f"model {path} was not loaded within {TIMEOUT_S:.0f} s; are its files on a slow disk?"
        ) from error
    told = unusual(done.stderr.decode("utf-8", "replace").splitlines())
    failures = [line for line in told if line.startswith(FAILURES)]
    if done.returncode == 0 and not failures:
        return
    if done.returncode == REFUSED:
        reason = done.stdout.decode("utf-8", "replace").strip()
    elif done.returncode == 0:
        reason = f"model {path} is loaded, but cannot be used"
    else:
        files = f"model {path}" + (f" or its scorer {options.scorer}" if options.scorer else "")
        reason = f"{files} is damaged: the library ended with status {done.returncode}"
    detail = (failures or told or ["it gave no reason"])[-1].strip()
    raise ModelUnavailableError(
        f"{reason} ({detail}); download it again, or export it with the version that is used here"
    )


def main() -> int:
    """Do what the request says; the exit status tells how it went."""
    request = json.loads(sys.argv[1])
    flavour = COQUI if request["package"] == COQUI.package else DEEPSPEECH
    options = DeepSpeechOptions(**request["options"])
    try:
        functions = load_functions(flavour, options.library, threads=1)
        model = NativeModel(functions, Path(request["path"]), options)
    except ModelUnavailableError as error:
        sys.stdout.write(str(error))
        return REFUSED
    noise = np.random.default_rng(0).normal(0, 300, NOISE_SAMPLES).astype(np.int16)
    stream = model.open_stream({})
    stream.feed(noise)
    stream.finish(1)
    model.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
