"""Phrases and language models in the search for a final's text."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile

from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    ContextSegment,
    DecodeOptions,
    Phrase,
    Samples,
    Window,
)
from service.recognizers.base import ModelUnavailableError
from service.recognizers.registry import load, parse_spec
from service.recognizers.transformers_beam import readings
from service.recognizers.transformers_ctc import CtcStream
from service.recognizers.transformers_fusion import Fusion
from service.recognizers.transformers_options import TransformersOptions
from service.recognizers.transformers_tokens import Vocabulary, align, best_path, own_frames

PIECES = "-|abcdrt"
BLANK, DELIMITER = 0, 1
LETTERS = Vocabulary(
    blank=BLANK,
    delimiter=DELIMITER,
    word_begins=frozenset(),
    silent=frozenset({BLANK}),
    spell=lambda tokens: "".join(PIECES[token] for token in tokens),
    letters=frozenset("abcdrt"),
)
FOLDER = Path(__file__).parent / "small_ctc"
CLIPS = FOLDER / "held_out"


def _frames(*columns: dict[str, float]) -> np.ndarray:
    """Frames of these probabilities; what is left is spread over the other pieces."""
    frames = np.empty((len(columns), len(PIECES)), dtype=np.float32)
    for row, column in zip(frames, columns, strict=True):
        row[:] = (1 - sum(column.values())) / (len(PIECES) - len(column))
        for piece, probability in column.items():
            row[PIECES.index(piece)] = probability
    return np.log(frames)


def _heard(text: str, *doubtful: dict[str, float]) -> np.ndarray:
    """A text heard clearly, but for "?", which stands for the next of the doubtful ones."""
    rest = iter(doubtful)
    return _frames(*(next(rest) if letter == "?" else {letter: 0.99} for letter in text))


def _read(frames: np.ndarray, *phrases: Phrase, model=None, history: Sequence[str] = ()) -> str:
    fusion = Fusion(LETTERS, phrases, model, history)
    ((tokens, _),) = readings(frames, BLANK, 1, fusion)
    return LETTERS.text(tokens)


B_NOT_D = {"b": 0.7, "d": 0.28}


def test_a_boosted_word_is_found():
    """Where two words are heard alike, the boost decides; without it the audio does."""
    frames = _heard("?ad", B_NOT_D)
    assert _read(frames) == "bad"
    assert _read(frames, Phrase("dad", 0.0)) == "bad"
    assert _read(frames, Phrase("dad", 3.0)) == "dad"
    assert _read(frames, Phrase("DAD", 3.0)) == "dad"


def test_a_boost_does_not_reach_into_longer_words():
    """A phrase is found as whole words only, at the end of the text too."""
    frames = _heard("?art", {"-": 0.6, "c": 0.38})
    assert _read(frames, Phrase("ca", 3.0)) == "art"
    assert _read(frames, Phrase("cart", 3.0)) == "cart"
    longer = _heard("?art|a", {"-": 0.6, "c": 0.38})
    assert _read(longer, Phrase("cart", 3.0)) == "cart a"


def test_a_phrase_of_several_words():
    """Its words gain together, and a part of it that goes on otherwise gains nothing."""
    phrase = Phrase("bad cat", 2.0)
    doubt = {"d": 0.85, "b": 0.14}
    assert _read(_heard("?ad|cat", doubt), phrase) == "bad cat"
    assert _read(_heard("?ad|rat", doubt), phrase) == "dad rat"


def test_a_phrase_may_be_unlikely():
    """A negative boost keeps a word away where there is another reading."""
    frames = _heard("?ad", B_NOT_D)
    assert _read(frames, Phrase("bad", -3.0)) == "dad"


def test_letters_that_no_word_can_have_do_not_count():
    """Signs in a phrase are passed over; a phrase of signs alone is none."""
    frames = _heard("?ad", B_NOT_D)
    assert _read(frames, Phrase("d-ad!", 3.0), Phrase("?!", 20.0)) == "dad"


class Words:
    """A language model of pairs; a state is the word before."""

    def __init__(self, pairs: dict[tuple[str, str], float]) -> None:
        self._pairs = pairs

    def start(self, history: Sequence[str]) -> str:
        return history[-1] if history else "<s>"

    def score(self, state: str, word: str) -> tuple[float, str]:
        return self._pairs.get((state, word), -5.0), word


def test_a_language_model_decides_between_words():
    """What is probable behind the words before is read, those before the segment included."""
    model = Words({("<s>", "dad"): 0.0, ("cat", "bad"): 0.0, ("dad", "cat"): 0.0})
    assert _read(_heard("?ad", B_NOT_D), model=model) == "dad"
    assert _read(_heard("?ad", B_NOT_D), model=model, history=["cat"]) == "bad"
    twice = _heard("?ad|cat", B_NOT_D)
    assert _read(twice, model=model) == "dad cat"


def test_tokens_are_aligned_where_they_were_heard():
    """The tokens of the best path are found where it has them, doubled letters too."""
    frames = _heard("--aa-a|b-")
    tokens = best_path(frames, BLANK)
    assert align(frames, [token.index for token in tokens], BLANK) == tokens
    assert align(frames, [], BLANK) == []
    assert align(frames[:1], [2, 3], BLANK) == []


def test_other_tokens_are_aligned_in_order():
    """Tokens that are not the best path's lie in order and do not overlap."""
    frames = _heard("?aad", B_NOT_D)
    tokens = align(frames, [PIECES.index(letter) for letter in "dad"], BLANK)
    assert [(token.first_frame, token.end_frame) for token in tokens] == [(0, 1), (1, 3), (3, 4)]


def test_a_token_that_began_in_the_context_is_left_out():
    """Search begins behind it, as the best path's answer does."""
    frames = _heard("aaab-a")
    assert own_frames(frames, BLANK, 0) == 0
    assert own_frames(frames, BLANK, 1) == 3
    assert own_frames(frames, BLANK, 5) == 5
    assert own_frames(_heard("aaa"), BLANK, 1) == 3


@dataclass
class HeardBefore:
    """Stands for a model: whatever it hears, these are the frames, each of 0.1 s."""

    frames: np.ndarray
    vocabulary: Vocabulary = LETTERS
    frame_samples: int = SAMPLE_RATE_HZ // 10

    def hear(self, samples: Samples, *, is_final: bool) -> np.ndarray:
        assert len(samples) == len(self.frames) * self.frame_samples
        return self.frames


@pytest.mark.parametrize("phrases", [(), (Phrase("cab", 0.1),)], ids=["greedy", "searched"])
def test_no_reading_has_a_token_that_began_in_the_context(phrases):
    """Neither the final nor its alternatives, though the token goes on in the segment."""
    model = HeardBefore(_heard("---aaaa-bb-----"))
    options = DecodeOptions(max_alternatives=4, phrases=phrases)
    stream = CtcStream(model, TransformersOptions(), options, None)
    context = (ContextSegment(np.ones(SAMPLE_RATE_HZ // 2, dtype=np.float32), ""),)
    final = stream.final(Window(np.ones(SAMPLE_RATE_HZ, dtype=np.float32), context))
    assert final.text == "b"
    assert final.alternatives
    assert all(other.confidence < 0.5 for other in final.alternatives)


# With the small model that understands


@pytest.fixture(scope="module")
def clips() -> list[tuple[str, Samples]]:
    entries = map(json.loads, (CLIPS / "manifest.jsonl").read_text().splitlines())
    return [
        (entry["text"], soundfile.read(CLIPS / entry["audio"], dtype="float32")[0])
        for entry in entries
    ]


@pytest.fixture(scope="module")
def recognizer() -> Iterator:
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    recognizer = load(parse_spec(f"transformers:{FOLDER}?precision=fp32"), 1, 1)
    yield recognizer
    recognizer.close()


def _finals(recognizer, clips, boosted=lambda text: ()):
    return [
        recognizer.open_stream(
            DecodeOptions(word_offsets=True, phrases=tuple(boosted(text)))
        ).final(Window(samples))
        for text, samples in clips
    ]


def _error_rate(clips, finals) -> float:
    return jiwer.wer([text for text, _ in clips], [final.text for final in finals])


def test_boosting_what_is_said_mends_errors(recognizer, clips):
    """Most of the words that were misheard are right once they are likely."""
    plain = _error_rate(clips, _finals(recognizer, clips))
    boosted = _finals(recognizer, clips, lambda text: [Phrase(word, 4.0) for word in text.split()])
    assert plain > 0.05
    assert _error_rate(clips, boosted) < plain / 3


def test_boosting_what_is_not_said_harms_nothing(recognizer, clips):
    """Words that nobody says, some of them near to what is said, bring no error."""
    absent = [
        "zebra crossing",
        "parliament",
        "xylophone",
        "Barcelona",
        "turnip",
        "for tea",
        "six teen",
    ]
    plain = _error_rate(clips, _finals(recognizer, clips))
    boosted = _finals(recognizer, clips, lambda _: [Phrase(text, 4.0) for text in absent])
    assert _error_rate(clips, boosted) <= plain


def test_places_stay_where_they_were(recognizer, clips):
    """Words that are the same with and without phrases lie in the same places."""
    plain = _finals(recognizer, clips)
    boosted = _finals(recognizer, clips, lambda _: [Phrase("turnip", 2.0)])
    for one, other in zip(plain, boosted, strict=True):
        if one.text != other.text:
            continue
        for word, same in zip(one.words, other.words, strict=True):
            assert same.start_s == pytest.approx(word.start_s, abs=0.07)
            assert same.end_s == pytest.approx(word.end_s, abs=0.07)
            assert 0 <= same.confidence <= 1


# KenLM


def _write_arpa(file: Path, words: Sequence[str]) -> Path:
    """All words alike; KenLM wants a pair, too."""
    log = math.log10(1 / (len(words) + 2))
    single = [f"{log:.4f}\t{word}\t0" for word in ("<unk>", "<s>", "</s>", *words)]
    sections = (
        "\\data\\",
        f"ngram 1={len(single)}\nngram 2=1\n",
        "\\1-grams:",
        *single,
        "\n\\2-grams:",
        f"{log:.4f}\t<s> {words[0]}\n",
        "\\end\\\n",
    )
    file.write_text("\n".join(sections))
    return file


def test_a_kenlm_model_mends_errors(tmp_path, recognizer, clips):
    """With the words that there are, in either case, hardly a word is spelled wrongly."""
    pytest.importorskip("kenlm", reason="the extra 'kenlm' is not installed: it needs a compiler")
    words = sorted({word.upper() for text, _ in clips for word in text.split()})
    arpa = _write_arpa(tmp_path / "words.arpa", words)
    with_model = load(parse_spec(f"transformers:{FOLDER}?precision=fp32&lm={arpa}"), 1, 1)
    plain = _error_rate(clips, _finals(recognizer, clips))
    assert _error_rate(clips, _finals(with_model, clips)) < plain / 3
    with_model.close()


def test_a_language_model_that_cannot_be_loaded(tmp_path):
    """No such file, and a file that is something else, each have their sentence."""
    pytest.importorskip("kenlm", reason="the extra 'kenlm' is not installed: it needs a compiler")
    assert "there is no such file" in _refused(tmp_path / "nothing.arpa")
    (tmp_path / "text.arpa").write_text("no model")
    assert "is neither an ARPA file nor a binary" in _refused(tmp_path / "text.arpa")


def test_a_language_model_without_its_library(tmp_path, monkeypatch):
    """What to install, and that it wants a compiler."""
    monkeypatch.setitem(sys.modules, "kenlm", None)
    assert "python -m pip install -c constraints.txt -e '.[kenlm]'" in _refused(tmp_path)


def _refused(path: Path) -> str:
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    with pytest.raises(ModelUnavailableError) as caught:
        load(parse_spec(f"transformers:{FOLDER}?precision=fp32&lm={path}"), 1, 1)
    return str(caught.value)
