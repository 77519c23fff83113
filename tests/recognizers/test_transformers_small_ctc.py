"""A wav2vec2 that understands: the one that scripts/train_small_ctc.py trained."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile

from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, DecodeOptions, Samples, Window
from service.recognizers.registry import load, parse_spec

torch = pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
pytest.importorskip("transformers")

FOLDER = Path(__file__).parent / "small_ctc"
CLIPS = FOLDER / "held_out"
"""Sentences that were not trained on, in the voice that was."""

Clips = list[tuple[str, Samples]]


@pytest.fixture(scope="module")
def clips() -> Clips:
    entries = map(json.loads, (CLIPS / "manifest.jsonl").read_text().splitlines())
    return [
        (entry["text"], soundfile.read(CLIPS / entry["audio"], dtype="float32")[0])
        for entry in entries
    ]


@pytest.fixture(scope="module")
def recognizer() -> Iterator:
    recognizer = load(parse_spec(f"transformers:{FOLDER}?precision=fp32"), 1, 1)
    yield recognizer
    recognizer.close()


def _final(recognizer, samples: Samples, context=(), **options):
    return recognizer.open_stream(DecodeOptions(**options)).final(Window(samples, context))


def _last_interim(recognizer, samples: Samples, hop_s: float) -> str:
    stream = recognizer.open_stream(DecodeOptions())
    hop = round(hop_s * SAMPLE_RATE_HZ)
    for end in range(hop, len(samples), hop):
        stream.interim(Window(samples[:end]))
    return stream.interim(Window(samples)).text


def test_held_out_sentences_are_understood(recognizer, clips):
    """Fewer than 15 % of the words in sentences that were not trained on are wrong."""
    heard = [_final(recognizer, samples).text for _, samples in clips]
    assert jiwer.wer([text for text, _ in clips], heard) < 0.15


@pytest.mark.parametrize("hop_s", [0.25, 0.5, 1.0])
def test_interims_say_what_finals_say(recognizer, clips, hop_s):
    """Interims of stitched windows differ from the full context in few words."""
    finals = [_final(recognizer, samples).text for _, samples in clips]
    interims = [_last_interim(recognizer, samples, hop_s) for _, samples in clips]
    assert jiwer.wer(finals, interims) < 0.1


@pytest.mark.parametrize("size", [1, 2, 8, 32])
def test_a_batch_changes_no_word(recognizer, clips, size):
    """Speech heard together has the texts that each piece has alone, at every batch size."""
    length = 5 * SAMPLE_RATE_HZ // 4
    pieces = [samples[:length] for _, samples in clips if len(samples) >= length]
    windows = np.resize(np.stack(pieces), (32, length))
    alone = [recognizer.model.text(window[np.newaxis])[0] for window in windows]
    together = []
    for begin in range(0, len(windows), size):
        together += recognizer.model.text(windows[begin : begin + size])
    assert together == alone


def test_words_stand_where_they_are_said(recognizer, clips):
    """Silence before a sentence moves its words, and their places with them."""
    _, samples = clips[0]
    noise = np.random.default_rng(3).normal(0, 1e-4, SAMPLE_RATE_HZ).astype(np.float32)
    early = _final(recognizer, samples, word_offsets=True).words
    late = _final(recognizer, np.concatenate([noise, samples]), word_offsets=True).words
    assert [word.text for word in early] == [word.text for word in late]
    for one, other in zip(early, late, strict=True):
        assert other.start_s - one.start_s == pytest.approx(1.0, abs=0.1)


def test_auto_precision_leaves_the_texts(clips):
    """The precision that start-up chooses changes hardly a word of what was not calibrated on."""
    chosen = load(parse_spec(f"transformers:{FOLDER}"), 1, 1)
    plain = load(parse_spec(f"transformers:{FOLDER}?precision=fp32"), 1, 1)
    heard, expected = (
        [_final(one, samples).text for _, samples in clips] for one in (chosen, plain)
    )
    assert jiwer.wer(expected, heard) < 0.05


@pytest.mark.parametrize("precision", ["int8", "int8_bf16"])
def test_int8_leaves_the_texts(recognizer, clips, precision):
    """Linear layers in 8 bits change hardly one of 136 words, and make no more of them wrong."""
    rounded = load(parse_spec(f"transformers:{FOLDER}?precision={precision}"), 1, 1)
    exact, heard = (
        [_final(one, samples).text for _, samples in clips] for one in (recognizer, rounded)
    )
    assert jiwer.wer(exact, heard) < 0.05
    texts = [text for text, _ in clips]
    assert jiwer.wer(texts, heard) < jiwer.wer(texts, exact) + 0.01
    rounded.close()


def test_context_leaves_the_words_of_the_segment(clips):
    """With left context a final holds the segment's words, and none of those before it."""
    recognizer = load(parse_spec(f"transformers:{FOLDER}?precision=fp32&context_s=3"), 1, 1)
    texts, heard = [], []
    for (_, before), (text, samples) in itertools.pairwise(clips):
        texts.append(text)
        heard.append(_final(recognizer, samples, (ContextSegment(before, ""),)).text)
    assert jiwer.wer(texts, heard) < 0.25
    recognizer.close()


def test_a_frame_has_the_length_of_the_strides(recognizer):
    """Strides of 160 and 3: also a frame that no whole second is a multiple of is exact."""
    assert recognizer.model.frame_samples == 480


def test_weights_are_the_same_however_many_threads_there_were_before(clips):
    """A model that is loaded again, here or in another process, hears the same to the last bit."""
    samples = clips[0][1]
    options = DecodeOptions(word_offsets=True)
    hypotheses = []
    for threads_before in (4, 1):
        torch.set_num_threads(threads_before)
        again = load(parse_spec(f"transformers:{FOLDER}?precision=fp32"), 1, 1)
        stream = again.open_stream(options)
        hypotheses.append((stream.interim(Window(samples[:26_936])), stream.final(Window(samples))))
        again.close()
    assert hypotheses[0] == hypotheses[1]
