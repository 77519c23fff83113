"""What cannot be loaded ends in a sentence that says what to do, never in a crash."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.core.hypothesis import DecodeOptions, Window
from service.recognizers.base import ModelUnavailableError
from service.recognizers.deepspeech import load
from service.recognizers.deepspeech_alphabet import read_alphabet
from service.recognizers.deepspeech_library import (
    COQUI,
    DEEPSPEECH,
    load_functions,
    take_text,
)
from service.recognizers.deepspeech_options import DeepSpeechOptions
from service.recognizers.deepspeech_scorer import TRIE_MAGIC, _read_trie, read_scorer
from service.recognizers.deepspeech_stderr import captured_stderr
from service.recognizers.deepspeech_trial import try_out
from service.recognizers.registry import load as load_spec
from service.recognizers.registry import parse_spec
from tests.recognizers.small_deepspeech_model import (
    MODEL,
    SCORER,
    functions,
    load_small,
    smoke_scorer,
)

ENGLISH = (" ", *"abcdefghijklmnopqrstuvwxyz", "'")


@pytest.fixture(autouse=True)
def _library() -> None:
    functions()


def _coqui() -> None:
    try:
        load_functions(COQUI, "", threads=1)
    except ModelUnavailableError as error:
        pytest.skip(str(error))


def _changed(old: bytes, new: bytes) -> bytes:
    data = MODEL.read_bytes()
    assert data.count(old) == 1
    assert len(old) == len(new)
    return data.replace(old, new)


VERSION = b"metadata_version\x12\x05Const"
DAMAGED_MODELS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("model.pb", lambda: b"", "download it again"),
    "empty mapped": ("model.pbmm", lambda: b"", "download it again"),
    "cut short": ("model.pb", lambda: MODEL.read_bytes()[:200_000], "download it again"),
    "random": ("model.pb", lambda: np.random.default_rng(0).bytes(9_999), "download it again"),
    "random mapped": ("model.pbmm", lambda: np.random.default_rng(0).bytes(9_999), "0x3000"),
    "not mapped": ("model.pbmm", MODEL.read_bytes, "Corrupted memmapped model"),
    "no version": (
        "model.pb",
        lambda: _changed(VERSION, b"metadata_versiom\x12\x05Const"),
        "metadata_version",
    ),
    "no logits": ("model.pb", lambda: _changed(b"\x06logits\x12", b"\x06logitz\x12"), "logits"),
}


@pytest.mark.parametrize("case", DAMAGED_MODELS)
def test_a_damaged_model_is_refused(tmp_path, case):
    """A file that is no model, or only a part of one, is refused with a remedy."""
    name, data, expected = DAMAGED_MODELS[case]
    (tmp_path / name).write_bytes(data())
    with pytest.raises(ModelUnavailableError, match=expected):
        load(str(tmp_path / name), {}, 1, 1)


def test_a_model_of_an_older_version_is_refused(tmp_path):
    """A graph of version 5 is refused, and the sentence names both versions."""
    data = bytearray(MODEL.read_bytes())
    at = data.index(VERSION)
    value = data.index(b":\x01\x06", at)
    assert value - at < 100
    data[value + 2] = 5
    (tmp_path / "old.pb").write_bytes(data)
    with pytest.raises(ModelUnavailableError, match=r"version \(5\).*minimum version.*\(6\)"):
        load(str(tmp_path / "old.pb"), {}, 1, 1)


@pytest.mark.parametrize("argument", ["", "model.onnx", "missing.pbmm", "."])
def test_a_missing_model_is_told(argument):
    """What is no model file is refused with the place where to read about models."""
    with pytest.raises(ModelUnavailableError, match=r"docs/deepspeech\.md"):
        load(argument, {}, 1, 1)


def _without_middle(data: bytes) -> bytes:
    """Its language model is too short, its words are whole."""
    words = data.rindex(b"EIRT")
    # Whole steps of 16 are left out, or the words would be out of step too.
    return data[: words % 16 + 16 * (words // 80)] + data[words:]


DAMAGED_SCORERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "not a scorer"),
    "random": (lambda data: np.random.default_rng(0).bytes(len(data)), "not a scorer"),
    "header": (lambda data: data[:1_000], "incomplete or damaged"),
    "language model": (lambda data: data[: len(data) // 2], "incomplete or damaged"),
    "words": (lambda data: data[: 3 * len(data) // 4], "incomplete or damaged"),
    "old": (lambda data: data.replace(b"EIRT\x06", b"EIRT\x05"), "version 5, and 6"),
    "middle": (_without_middle, "the library ended with status -6"),
}


@pytest.mark.parametrize("case", DAMAGED_SCORERS)
def test_a_damaged_scorer_is_refused(tmp_path, case):
    """A scorer cut anywhere, which ends the library's process, is refused with a sentence."""
    damage, expected = DAMAGED_SCORERS[case]
    path = tmp_path / "damaged.scorer"
    path.write_bytes(damage(SCORER.read_bytes()))
    with pytest.raises(ModelUnavailableError, match=expected):
        load_small(scorer=str(path))


@pytest.mark.parametrize("damage", ["no word ends", "an arc leads nowhere"])
def test_a_scorer_whose_words_are_damaged_is_refused(tmp_path, damage):
    """Weights of its states and targets of its arcs are looked at, and said to be damaged."""
    data = bytearray(SCORER.read_bytes())
    trie = data.rfind(TRIE_MAGIC)
    _, states, arcs, _ = _read_trie(bytes(data))
    if damage == "no word ends":
        begin = data.index(states.tobytes(), trie)
        states = states.copy()
        states["weight"] = np.inf
        data[begin : begin + states.nbytes] = states.tobytes()
    else:
        begin = data.index(arcs.tobytes(), trie)
        arcs = arcs.copy()
        arcs["next"][0] = -1
        data[begin : begin + arcs.nbytes] = arcs.tobytes()
    path = tmp_path / "damaged.scorer"
    path.write_bytes(data)
    with pytest.raises(ModelUnavailableError, match="has no words, or is damaged"):
        read_scorer(path, ENGLISH)


@pytest.mark.parametrize("path", ["/", "/no/such.scorer"])
def test_a_scorer_that_cannot_be_read_is_refused(path):
    """The operating system's reason is told."""
    with pytest.raises(ModelUnavailableError, match="cannot be read"):
        load_small(scorer=path)


@pytest.mark.parametrize(
    "alphabet",
    [
        ENGLISH[:20],
        (*ENGLISH[1:], " "),
        tuple(chr(code) for code in range(1, 256)),
    ],
    ids=["too small", "space last", "bytes"],
)
def test_a_scorer_of_another_alphabet_is_refused(alphabet):
    """Characters that the model lacks, or a space of another number, are found before use."""
    with pytest.raises(ModelUnavailableError, match="does not match the model's alphabet"):
        read_scorer(SCORER, alphabet)


def test_a_scorer_of_bytes_does_not_match_a_model_of_characters():
    """The smoke test's other scorer counts in bytes."""
    with pytest.raises(ModelUnavailableError, match="counts in bytes"):
        load_small(scorer=str(smoke_scorer("pruned_lm.bytes.scorer")))


def test_the_vocabulary_is_that_of_the_list_it_was_made_from():
    """Every word of the list is found, and none that is not in it."""
    known = smoke_scorer("vocab.pruned.txt").read_text().split()
    vocabulary = read_scorer(smoke_scorer(), ENGLISH)
    spelled = [word for word in known if set(word) <= set(ENGLISH)]
    assert len(spelled) > 1_000
    assert all(word in vocabulary for word in spelled)
    others = {word + "q" for word in spelled} | {word[:-1] for word in spelled}
    assert not any(word in vocabulary for word in others - set(spelled))


def test_the_alphabet_is_read_from_the_model(tmp_path):
    """The model's own labels are found, and nothing is found in other files."""
    assert read_alphabet(MODEL) == ENGLISH
    other = tmp_path / "other.pb"
    other.write_bytes(b"metadata_alphabet\x42\x04\x01\x00\x00" * 3)
    assert read_alphabet(other) is None


BAD_OPTIONS = {
    "unknown": ({"beams": "5"}, "no option 'beams'"),
    "beam 0": ({"beam_width": "0"}, "from 1 to 4096"),
    "beam huge": ({"beam_width": "4294967297"}, "from 1 to 4096"),
    "beam half": ({"beam_width": "1.5"}, "whole number"),
    "alpha nan": ({"scorer": "x", "lm_alpha": "nan", "lm_beta": "1"}, "lm_alpha='nan'"),
    "beta inf": ({"scorer": "x", "lm_alpha": "1", "lm_beta": "-inf"}, "lm_beta='-inf'"),
    "alpha huge": ({"scorer": "x", "lm_alpha": "1e38", "lm_beta": "1"}, "from 0 to 10"),
    "beta text": ({"scorer": "x", "lm_alpha": "1", "lm_beta": "much"}, "lm_beta='much'"),
    "alpha alone": ({"scorer": "x", "lm_alpha": "1"}, "give both"),
    "no scorer": ({"lm_alpha": "1", "lm_beta": "1"}, "give scorer=PATH"),
    "library": ({"library": "/no/such.so"}, "no such file"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_named(case):
    """What is wrong with an option, and what it may be, stand in the sentence."""
    options, expected = BAD_OPTIONS[case]
    with pytest.raises(ModelUnavailableError, match=expected):
        load(str(MODEL), options, 1, 1)


def test_a_missing_library_is_told_with_the_command(monkeypatch, tmp_path):
    """Where no library is found, the sentence holds the command that places it there."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(ModelUnavailableError) as error:
        load(str(MODEL), {}, 1, 1)
    message = str(error.value)
    assert f"{sys.executable} -m pip install" in message
    assert f"--target {tmp_path / 'native'} deepspeech==0.9.3" in message


def test_another_version_of_the_library_is_refused():
    """A library of another version is not used."""
    with pytest.raises(ModelUnavailableError, match=r"0\.9\.3, and 0\.9\.9 is needed"):
        load_functions(replace(DEEPSPEECH, version="0.9.9"), _path_of_library(), threads=1)


@pytest.mark.parametrize("name", ["text.so", "other.so"])
def test_another_library_is_refused(tmp_path, name):
    """What is no library, or another one, is refused."""
    import _ctypes

    path = tmp_path / name
    path.write_bytes(b"text" if name == "text.so" else Path(_ctypes.__file__).read_bytes())
    with pytest.raises(ModelUnavailableError, match="cannot be used as deepspeech"):
        load(str(MODEL), {"library": str(path)}, 1, 1)


def _path_of_library() -> str:
    return str(Path(sys.prefix) / "native" / "deepspeech" / "lib" / DEEPSPEECH.file)


def test_the_library_may_be_named(tmp_path):
    """A library anywhere is used when it is named, by a spec as a server is given it."""
    copy = tmp_path / "libdeepspeech.so"
    copy.symlink_to(_path_of_library())
    recognizer = load_spec(parse_spec(f"deepspeech:{MODEL}?library={copy}&language=en"), 1, 1)
    assert recognizer.capabilities.native_streaming
    assert recognizer.capabilities.languages == ("en",)
    recognizer.close()


def test_the_library_of_coqui_is_driven_by_the_same_binding(tmp_path):
    """Its functions are found, its version is checked, and its refusal of a model is told."""
    _coqui()
    found = load_functions(COQUI, "", threads=1)
    assert take_text(found, found["Version"]()) == "1.4.0"
    (tmp_path / "model.tflite").write_bytes(np.random.default_rng(0).bytes(5_000))
    with pytest.raises(ModelUnavailableError, match=r"model\.tflite cannot be loaded"):
        load(str(tmp_path / "model.tflite"), {}, 1, 1)


def test_loading_leaves_standard_error_alone(capfd):
    """The library's talk of its versions stays out of the log."""
    recognizer = load_small()
    recognizer.open_stream(DecodeOptions()).final(Window(np.ones(16_000, dtype=np.float32)))
    recognizer.close()
    assert capfd.readouterr() == ("", "")


def test_what_others_write_meanwhile_is_kept(capfd):
    """Lines on standard error are collected whoever writes them, and writing works again."""
    with captured_stderr() as lines:
        os.write(2, b"from another library\n")
        assert lines == []
    os.write(2, b"after\n")
    assert lines == ["from another library"]
    assert capfd.readouterr().err == "after\n"


def test_a_trial_that_passes_says_nothing(capfd):
    """A sound model is tried out without a word."""
    try_out(DEEPSPEECH.package, MODEL, DeepSpeechOptions())
    assert capfd.readouterr() == ("", "")
