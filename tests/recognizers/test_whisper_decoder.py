"""Whisper's decoder of our own: it writes what CTranslate2's writes, and a prefix changes nothing.

CTranslate2 with the same weights in 32 bits is the reference.
"""

from __future__ import annotations

import math
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import tokenizers

from service.core.hypothesis import SAMPLE_RATE_HZ
from service.recognizers.whisper_folder import bundled_folder
from service.recognizers.whisper_load import load_parts, own_decoder, own_parts
from service.recognizers.whisper_model import FULL_WINDOW_S, Prompt
from service.recognizers.whisper_options import parse_options
from tests.recognizers.hearing import error_rate
from tests.samples import read_sample

NAMES = ("command", "kitchen", "weather", "library", "message")
WINDOW_S = 12
NEAR = 0.1
"""Of log-probabilities: what 8 bits make of them."""


@pytest.fixture(scope="module")
def model():
    """The bundled weights, decoded by our own decoder."""
    model, _ = load_parts("", parse_options({}), 1, 1)
    yield model
    model.close()


@pytest.fixture(scope="module")
def reference():
    """The same weights, by CTranslate2 in 32 bits."""
    options = parse_options({"encoder": "windows", "compute_type": "float32"})
    model, _ = load_parts("", options, 1, 1)
    yield model
    model.close()


def _encoded(model, name, window_s=WINDOW_S):
    return model.encode(read_sample(f"{name}.flac")[: WINDOW_S * SAMPLE_RATE_HZ], window_s)


def _assert_near(model, encoded, prompt, expected):
    """8 bits may put a comma where 32 put none, but hardly another word."""
    (found,) = model.decode(encoded, prompt)
    assert error_rate([model.text(expected.tokens)], [model.text(found.tokens)]) <= 0.1
    assert found.log_probability == pytest.approx(expected.log_probability, abs=NEAR)
    assert found.is_cut == expected.is_cut


@pytest.mark.parametrize("name", NAMES)
def test_it_writes_what_the_reference_writes(model, reference, name):
    """Token by token, and as probable."""
    encoded = _encoded(reference, name)
    (expected,) = reference.decode(encoded, Prompt("en"))
    _assert_near(model, encoded, Prompt("en"), expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_prefix_changes_nothing_of_what_comes_behind_it(model, reference, name):
    """Forced in one step or written step by step, the same text goes on in the same way."""
    encoded = _encoded(reference, name)
    (whole,) = model.decode(encoded, Prompt("en"))
    for length in range(1, len(whole.tokens)):
        prompt = Prompt("en", whole.tokens[:length])
        (rest,) = model.decode(encoded, prompt)
        # Sums of other numbers of rows may be rounded in another way.
        texts = [model.text(tokens) for tokens in (whole.tokens, (*prompt.prefix, *rest.tokens))]
        assert error_rate(texts[:1], texts[1:]) <= 0.1
        assert rest.is_cut == whole.is_cut
    prompt = Prompt("en", whole.tokens[: len(whole.tokens) // 2])
    _assert_near(model, encoded, prompt, reference.decode(encoded, prompt)[0])


def test_what_was_said_before_is_told(model, reference):
    """Tokens of earlier text stand before the start of the transcript, as Whisper was trained."""
    encoded = _encoded(reference, "kitchen")
    (alone,) = model.decode(encoded, Prompt("en"))
    prompt = Prompt("en", (), model.tokens("turn on THE LIGHT IN THE CELLAR"))
    _assert_near(model, encoded, prompt, reference.decode(encoded, prompt)[0])
    assert model.decode(encoded, prompt)[0].log_probability != alone.log_probability


@pytest.mark.parametrize("loudness", [0.0, 0.01, 0.1])
def test_noise_is_doubted_as_much(model, reference, loudness):
    """Whether there is speech is asked at the start of the transcript, whatever stands before."""
    noise = np.random.default_rng(0).normal(0, 1, 5 * SAMPLE_RATE_HZ).astype(np.float32)
    encoded = reference.encode(loudness * noise, FULL_WINDOW_S)
    for prompt in (Prompt("en"), Prompt("en", (), model.tokens("yes"))):
        (found,) = model.decode(encoded, prompt, doubts_speech=True)
        (expected,) = reference.decode(encoded, prompt, doubts_speech=True)
        assert found.no_speech_probability == pytest.approx(
            expected.no_speech_probability, abs=NEAR
        )
        assert math.isnan(model.decode(encoded, prompt)[0].no_speech_probability)


def test_text_is_cut_at_its_bound(model):
    """No more tokens than were asked for, and that is told; a prefix that fills all leaves none."""
    encoded = _encoded(model, "weather")
    (whole,) = model.decode(encoded, Prompt("en"))
    assert not whole.is_cut
    for most in (0, 1, 5, len(whole.tokens)):
        (cut,) = model.decode(encoded, Prompt("en"), most_tokens=most)
        assert cut.tokens == whole.tokens[:most]
        assert cut.is_cut
    (none,) = model.decode(encoded, Prompt("en", model.tokens("yes") * 224))
    assert none.tokens == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_as_probable_as_when_it_is_aligned(model, reference, name):
    """Each of its tokens, in one step for all, and whatever text it is."""
    encoded = _encoded(reference, name)
    (written,) = model.decode(encoded, Prompt("en"))
    for tokens in (written.tokens, model.tokens("something else was said here")):
        found = model.log_probabilities(encoded, "en", tokens)
        expected = [time.log_probability for time in reference.align(encoded, "en", tokens)]
        assert len(found) == len(tokens)
        assert np.exp(found) == pytest.approx(np.exp(expected), abs=NEAR)


def test_threads_do_not_disturb_each_other(model):
    """One decoder serves all streams at once."""
    encoded = [_encoded(model, name) for name in NAMES] * 4
    alone = [model.decode(item, Prompt("en")) for item in encoded]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda item: model.decode(item, Prompt("en")), encoded))
    assert [one[0].tokens for one in together] == [one[0].tokens for one in alone]
    assert [one[0].log_probability for one in together] == [one[0].log_probability for one in alone]


def test_longer_windows_change_what_is_heard_and_not_how(model, reference):
    """Any number of positions, and of tokens, is computed by the same graph."""
    encoded = [_encoded(reference, "weather", window_s) for window_s in (8, 9, 20, 30)]
    lengths = [item.outputs.shape[0] for item in encoded]
    assert all(shorter < longer for shorter, longer in pairwise(lengths))
    for item in encoded:
        _assert_near(model, item, Prompt("en"), reference.decode(item, Prompt("en"))[0])


@pytest.mark.parametrize(
    ("options", "has_encoder", "has_decoder"),
    [
        ({}, True, True),
        ({"compute_type": "float32"}, True, False),
        ({"encoder": "windows"}, False, False),
    ],
)
def test_only_8_bits_are_decoded_here(options, has_encoder, has_decoder):
    """Who asks for another number format, or for CTranslate2's windows, gets CTranslate2's."""
    vocabulary = tokenizers.Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    parts = own_parts(bundled_folder(), parse_options(options), 1, vocabulary)
    assert [part is not None for part in parts] == [has_encoder, has_decoder]


def test_without_files_in_memory_it_is_loaded_from_the_disk(monkeypatch, tmp_path):
    """Where the system has none, as macOS; nothing is left behind."""
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = bundled_folder()
    vocabulary = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert own_decoder(folder, 1, vocabulary)
    assert not list(tmp_path.iterdir())
