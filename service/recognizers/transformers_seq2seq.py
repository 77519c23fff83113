"""Whisper, Moonshine and their like, by transformers."""

from __future__ import annotations

from pathlib import Path

from service.recognizers.base import ModelUnavailableError, Recognizer
from service.recognizers.transformers_options import TransformersOptions


def load(folder: Path, options: TransformersOptions, threads: int) -> Recognizer:
    raise ModelUnavailableError("soon")
