"""The small DeepSpeech model that the tests use, its held-out speech and its scorer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from service.core.hypothesis import Samples
from service.recognizers import deepspeech
from service.recognizers.base import ModelUnavailableError
from service.recognizers.deepspeech_library import DEEPSPEECH, Functions, load_functions

FOLDER = Path(__file__).parent / "small_deepspeech"
MODEL = FOLDER / "model.pb"
CLIPS = FOLDER / "held_out"
SMALL = f"deepspeech:{MODEL}?beam_width=100"
"""The model as ``load_small`` loads it."""

SCORER = FOLDER / "model.scorer"

SMOKE_FOLDER = Path(__file__).parents[3] / "shared" / "models" / "deepspeech-smoke-scorer"
"""Scorers of DeepSpeech's own smoke test, beside the project where they are at hand."""


def functions() -> Functions:
    """Return the library's functions; skips where the library is not installed."""
    try:
        return load_functions(DEEPSPEECH, "", threads=1)
    except ModelUnavailableError as error:
        pytest.skip(str(error))


def load_small(**options: str) -> deepspeech.DeepSpeechRecognizer:
    """Load the small model; skips where the library is not installed.

    Its search keeps 100 readings unless the options say otherwise: without a scorer, those
    500 that are the model's own take ten times as long and make no test any better.
    """
    functions()
    return deepspeech.load(str(MODEL), {"beam_width": "100"} | options, threads=1, decodes=2)


def load_with_scorer(**options: str) -> deepspeech.DeepSpeechRecognizer:
    """Load the small model with its scorer; skips where the library is not installed."""
    return load_small(scorer=str(SCORER), **options)


def smoke_scorer(name: str = "pruned_lm.scorer") -> Path:
    """Return a file of DeepSpeech's own smoke test; skips where it is missing."""
    path = SMOKE_FOLDER / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def clips() -> list[tuple[str, Samples]]:
    """Return what is said in each held-out clip, and its audio."""
    entries = map(json.loads, (CLIPS / "manifest.jsonl").read_text().splitlines())
    return [
        (entry["text"], soundfile.read(CLIPS / entry["audio"], dtype="float32")[0])
        for entry in entries
    ]
