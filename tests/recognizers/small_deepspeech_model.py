"""The small DeepSpeech model that the tests use, its held-out speech, and a real scorer."""

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

SCORER = (
    Path(__file__).parents[3] / "shared" / "models" / "deepspeech-smoke-scorer" / "pruned_lm.scorer"
)
"""A real scorer with a toy vocabulary, beside the project where it is at hand."""


def functions() -> Functions:
    """Return the library's functions; skips where the library is not installed."""
    try:
        return load_functions(DEEPSPEECH, "", threads=1, workers=2)
    except ModelUnavailableError as error:
        pytest.skip(str(error))


def load_small(**options: str) -> deepspeech.DeepSpeechRecognizer:
    """Load the small model; skips where the library is not installed."""
    functions()
    return deepspeech.load(str(MODEL), options, threads=1, workers=2)


def load_with_scorer(**options: str) -> deepspeech.DeepSpeechRecognizer:
    """Load the small model with the scorer; skips where either is missing."""
    return load_small(scorer=str(scorer()), **options)


def scorer() -> Path:
    """Return the real scorer; skips where it is missing."""
    if not SCORER.is_file():
        pytest.skip(f"{SCORER} is not there")
    return SCORER


def clips() -> list[tuple[str, Samples]]:
    """Return what is said in each held-out clip, and its audio."""
    entries = map(json.loads, (CLIPS / "manifest.jsonl").read_text().splitlines())
    return [
        (entry["text"], soundfile.read(CLIPS / entry["audio"], dtype="float32")[0])
        for entry in entries
    ]
