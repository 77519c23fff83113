"""The recognizers that the contract suite runs against; one more is one more line."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import soundfile

from service.core.hypothesis import Samples
from service.recognizers import registry, scripted, whisper
from service.recognizers.base import Recognizer
from service.recognizers.registry import parse_spec
from tests.recognizers import families
from tests.recognizers.mapped_whisper import checkpoint
from tests.recognizers.small_deepspeech_model import SMALL, clips, load_small
from tests.recognizers.tiny_ctc import write_checkpoint
from tests.samples import read_sample
from tests.tones import tones
from tests.workers.pools import remote

SMALL_CTC = f"transformers:{Path(__file__).parent / 'small_ctc'}?precision=fp32&context_s=2"


@dataclass(frozen=True)
class Case:
    """A recognizer, and speech that it understands."""

    name: str
    load: Callable[[], Recognizer]
    speech: Callable[[], tuple[Samples, ...]]
    """Three different segments or more, each of 1 to 6 s with at least three words."""
    shows_interims: bool = True
    """A decoder drawn by chance never ends, which is a loop, and no loop is shown."""


def _recordings() -> tuple[Samples, ...]:
    return tuple(read_sample(f"{name}.flac") for name in ("kitchen", "bakery", "weather"))


def _held_out() -> tuple[Samples, ...]:
    folder = Path(__file__).parent / "small_ctc" / "held_out"
    names = ("00.flac", "01.flac", "02.flac")
    return tuple(soundfile.read(folder / name, dtype="float32")[0] for name in names)


def _deepspeech_clips() -> tuple[Samples, ...]:
    return tuple(samples for _, samples in clips()[1:4])


def _tones() -> tuple[Samples, ...]:
    return (
        tones("alfa bravo charlie delta"),
        tones("echo foxtrot golf"),
        tones("hotel india juliett kilo lima"),
    )


def _tiny_ctc() -> Recognizer:
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    return registry.load(parse_spec(f"transformers:{_tiny_checkpoint()}?precision=fp32"), 1, 2)


def _mapped_whisper() -> Recognizer:
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    return registry.load(parse_spec(f"transformers:{checkpoint()}?precision=fp32"), 1, 2)


def _small_ctc(batch: int = 1) -> Recognizer:
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    return registry.load(parse_spec(f"{SMALL_CTC}&batch={batch}"), 1, 2)


def _in_workers(load: Callable[[], Recognizer], spec: str) -> Recognizer:
    """Load into two workers what can be loaded here; skips as that does."""
    load().close()
    return remote(spec)


@cache
def _tiny_checkpoint() -> Path:
    return write_checkpoint(Path(tempfile.mkdtemp(prefix="tiny-ctc-")))


def _family(name: str) -> Case:
    """A model with few weights, drawn by chance: what it hears is nonsense, but steady."""

    @cache
    def folder() -> Path:
        writers = {**families.CTC, **families.SEQ2SEQ}
        return writers[name](Path(tempfile.mkdtemp(prefix="family-")) / name.replace(" ", "_"))

    def load() -> Recognizer:
        pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
        return registry.load(parse_spec(f"transformers:{folder()}?precision=fp32"), 1, 2)

    return Case(name, load, _recordings, shows_interims=name in families.CTC)


CASES = (
    Case("whisper", lambda: whisper.load("", {}, threads=1, decodes=2), _recordings),
    Case("small_ctc", _small_ctc, _held_out),
    Case("small_ctc_batched", lambda: _small_ctc(batch=4), _held_out),
    Case("transformers_ctc", _tiny_ctc, _recordings),
    Case("transformers_seq2seq", _mapped_whisper, _recordings),
    *(_family(name) for name in (*families.CTC, *families.SEQ2SEQ)),
    Case("deepspeech", load_small, _deepspeech_clips),
    Case("scripted", lambda: scripted.load("", {}), _tones),
    Case("scripted in workers", lambda: remote("scripted"), _tones),
    Case("whisper in workers", lambda: remote("whisper"), _recordings),
    Case("small_ctc in workers", lambda: _in_workers(_small_ctc, SMALL_CTC), _held_out),
    Case("deepspeech in workers", lambda: _in_workers(load_small, SMALL), _deepspeech_clips),
)
