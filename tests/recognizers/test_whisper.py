"""The default recognizer, with its real weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ctranslate2
import jiwer
import numpy as np
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from service.core.agreement import Agreement
from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    ContextSegment,
    DecodeOptions,
    Hypothesis,
    Samples,
    Window,
)
from service.recognizers import whisper
from service.recognizers.base import ModelUnavailableError
from service.recognizers.guards import has_words, repeats, without_loops
from service.recognizers.whisper_interim import TRIM_ABOVE_S
from service.recognizers.whisper_load import (
    BUNDLED_FILES,
    WhisperOptions,
    bundled_folder,
    check_files,
    load_problem,
    parse_options,
)
from service.recognizers.whisper_model import Prompt
from tests.samples import SAMPLES, read_sample

SHORT = [sample for sample in SAMPLES if sample.duration_s <= 28]


@pytest.fixture(scope="module")
def recognizer() -> Iterator[whisper.WhisperRecognizer]:
    recognizer = whisper.load("", {}, threads=1, decodes=1)
    yield recognizer
    recognizer.close()


def _final(
    recognizer: whisper.WhisperRecognizer,
    samples: Samples,
    context: tuple[ContextSegment, ...] = (),
    options: DecodeOptions | None = None,
) -> Hypothesis:
    return recognizer.open_stream(options or DecodeOptions()).final(Window(samples, context))


def _error_rate(references: list[str], heard: list[str]) -> float:
    normalize = EnglishTextNormalizer()
    return jiwer.wer([normalize(text) for text in references], [normalize(text) for text in heard])


def _noise(seconds: float, level: float) -> Samples:
    chance = np.random.default_rng(7)
    return chance.normal(0, level, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def _cut(samples: Samples, at_s: float) -> tuple[Samples, Samples]:
    at = round(at_s * SAMPLE_RATE_HZ)
    return samples[:at], samples[at:]


# Finals


def test_recordings_are_transcribed(recognizer):
    """At most one word in twenty of the recordings is wrong."""
    heard = [_final(recognizer, read_sample(sample.name)).text for sample in SHORT]
    assert _error_rate([sample.text for sample in SHORT], heard) <= 0.05


def test_a_segment_goes_on_from_its_context(recognizer):
    """A sentence cut in two at a word is whole again when the second piece hears the first."""
    first, second = _cut(read_sample("garden.flac"), 2.85)
    before = _final(recognizer, first).text
    after = _final(recognizer, second, (ContextSegment(first, before),)).text
    reference = next(sample.text for sample in SAMPLES if sample.name == "garden.flac")
    assert _error_rate([reference], [f"{before} {after}"]) == 0


def test_context_text_is_not_repeated(recognizer):
    """What context says does not stand in the segment's text again."""
    first, second = read_sample("kitchen.flac"), read_sample("bakery.flac")
    context = (ContextSegment(first, _final(recognizer, first).text),)
    assert "kitchen" not in _final(recognizer, second, context).text
    assert "bakery" in _final(recognizer, second, context).text


def test_oldest_context_is_left_out_whole(recognizer):
    """More context than fits changes nothing."""
    sample = read_sample("bakery.flac")
    near = ContextSegment(read_sample("kitchen.flac"), "Turn off the light in the kitchen.")
    far = ContextSegment(_noise(27, 0.01), "Nothing of this is heard.")
    assert _final(recognizer, sample, (far, near)) == _final(recognizer, sample, (near,))


def test_context_that_fits_is_heard(recognizer):
    """Context takes part in the decode: the wrong words for it change the final."""
    first, second = _cut(read_sample("weather.flac"), 1.5)
    heard = _final(recognizer, second, (ContextSegment(first, "It rained all night"),))
    assert heard != _final(recognizer, second)


@pytest.mark.parametrize("level", [1e-3, 1e-2])
@pytest.mark.parametrize("name", ["kitchen", "bakery", "command"])
def test_noise_behind_repeated_speech_has_no_words(recognizer, name, level):
    """Noise after a sentence said three times is not heard as that sentence again."""
    speech = read_sample(f"{name}.flac")
    context = (ContextSegment(speech, _final(recognizer, speech).text),) * 3
    assert _final(recognizer, _noise(3, level), context).words == ()


@pytest.mark.parametrize("seconds", [1, 5, 20])
@pytest.mark.parametrize("level", [1e-4, 1e-2, 0.1])
def test_noise_has_no_words(recognizer, seconds, level):
    """White noise, hardly audible to loud, is heard as nothing."""
    assert _final(recognizer, _noise(seconds, level)).words == ()


def test_a_hum_has_no_words(recognizer):
    """The hum of mains is heard as nothing."""
    seconds = np.arange(5 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    hum = 0.05 * np.sin(2 * np.pi * 50 * seconds)
    assert _final(recognizer, hum.astype(np.float32)).words == ()


def test_a_final_never_depends_on_agreed_words(recognizer):
    """Stable words are for interims; a final that is given them is the same."""
    samples = read_sample("question.flac")
    stream = recognizer.open_stream(DecodeOptions())
    with_words = stream.final(Window(samples, agreed_words=("Which", "thyme")))
    assert with_words == _final(recognizer, samples)


def test_word_offsets_follow_the_speech(recognizer):
    """Two seconds of silence before the speech move its words by two seconds."""
    samples = read_sample("kitchen.flac")
    options = DecodeOptions(word_offsets=True)
    later = np.concatenate([np.zeros(2 * SAMPLE_RATE_HZ, dtype=np.float32), samples])
    plain, moved = (_final(recognizer, audio, (), options).words for audio in (samples, later))
    assert [word.text for word in plain] == [word.text for word in moved]
    # The first word's begin is where the silence before it ends, and lies anywhere there.
    ends_s = [(one.end_s, two.end_s) for one, two in zip(plain, moved, strict=True)]
    assert all(two - one == pytest.approx(2, abs=0.25) for one, two in ends_s)


def test_word_offsets_count_from_the_segment(recognizer):
    """Context moves no word: offsets count from the segment's first sample."""
    samples = read_sample("bakery.flac")
    options = DecodeOptions(word_offsets=True)
    first = read_sample("kitchen.flac")
    context = (ContextSegment(first, _final(recognizer, first).text),)
    alone = _final(recognizer, samples, (), options).words
    behind = _final(recognizer, samples, context, options).words
    assert [word.text for word in alone] == [word.text for word in behind]
    for one, two in zip(alone, behind, strict=True):
        assert one.end_s == pytest.approx(two.end_s, abs=0.5)


def test_words_have_confidence_with_their_offsets(recognizer):
    """Confidence comes with offsets, for each word; the hypothesis always has one."""
    samples = read_sample("command.flac")
    words = _final(recognizer, samples, (), DecodeOptions(word_offsets=True)).words
    assert all(word.confidence is not None and 0 < word.confidence <= 1 for word in words)
    assert _final(recognizer, samples).confidence > 0.5


def test_alternatives_are_other_texts(recognizer):
    """Speech that can be written in several ways has alternatives."""
    options = DecodeOptions(max_alternatives=5)
    hypothesis = _final(recognizer, read_sample("weather.flac"), (), options)
    assert 1 <= len(hypothesis.alternatives) <= 4
    assert all(0 < other.confidence <= 1 for other in hypothesis.alternatives)


# Interims


def _interims(recognizer, samples):
    """Yield the interims of a growing segment, the agreed words before each, and the stream."""
    stream = recognizer.open_stream(DecodeOptions())
    agreement = Agreement(confirms=False)
    for end in range(SAMPLE_RATE_HZ, len(samples) + 1, SAMPLE_RATE_HZ // 2):
        agreed = agreement.agreed_words
        hypothesis = stream.interim(Window(samples[:end], agreed_words=agreed))
        if hypothesis is not None:
            agreement.interim([word.text for word in hypothesis.words])
        yield end, agreed, hypothesis, stream


def test_interims_of_a_long_segment_hear_only_its_end(recognizer):
    """In a segment of 20 s, audio under agreed words is let go, and their words stay."""
    samples = read_sample("without_pauses.flac")[: 20 * SAMPLE_RATE_HZ]
    longest_heard_s = 0.0
    words: tuple[str, ...] = ()
    for _, agreed, hypothesis, _ in _interims(recognizer, samples):
        if hypothesis is not None:
            longest_heard_s = max(longest_heard_s, hypothesis.heard_samples / SAMPLE_RATE_HZ)
            words = tuple(word.text for word in hypothesis.words)
            assert words[: len(agreed[:-1])] == agreed[:-1]
    assert longest_heard_s <= TRIM_ABOVE_S + 3
    assert _error_rate([_final(recognizer, samples).text], [" ".join(words)]) <= 0.15


def test_text_before_the_audio_takes_no_room_from_the_answer(recognizer):
    """However much was said before, as much may be written, and no more."""
    model = recognizer._model
    encoded = model.encode(read_sample("library.flac"))
    alone = model.decode(encoded, Prompt("en"))[0]
    before = model.tokens(" ".join(["It was a long day and we went home late."] * 6))
    for count in (1, 5, len(before)):
        told = model.decode(encoded, Prompt("en", before=before[:count]))[0]
        assert not told.is_cut
        assert _error_rate([model.text(alone.tokens)], [model.text(told.tokens)]) <= 0.1
        short = model.decode(
            encoded, Prompt("en", alone.tokens[:2], before[:count]), most_tokens=3
        )[0]
        assert (len(short.tokens), short.is_cut) == (3, True)


def test_a_final_tells_how_much_was_heard_for_it(recognizer):
    """In context it hears what lies before once, and itself twice: it must be borne out alone."""
    first, second = _cut(read_sample("message.flac"), 3.0)
    context = (ContextSegment(first, _final(recognizer, first).text),)
    alone = _final(recognizer, first)
    behind = _final(recognizer, second, context)
    assert alone.heard_samples == len(first)
    assert behind.heard_samples == len(first) + 2 * len(second)
    assert _final(recognizer, np.zeros(16_000, np.float32)).heard_samples == 0


def test_most_interims_are_shown(recognizer):
    """Guards against loops hide few of the interims of clear speech."""
    heard = [
        hypothesis
        for name in ("library", "mountain", "message")
        for _, _, hypothesis, _ in _interims(recognizer, read_sample(f"{name}.flac"))
    ]
    assert sum(hypothesis is None for hypothesis in heard) <= len(heard) / 4


def test_agreed_words_stand_even_if_they_are_wrong(recognizer):
    """An interim goes on from the agreed words and does not correct them."""
    stream = recognizer.open_stream(DecodeOptions())
    window = Window(read_sample("kitchen.flac"), agreed_words=("Turn", "of", "the"))
    interim = stream.interim(window)
    assert [word.text for word in interim.words[:3]] == ["Turn", "of", "the"]
    assert "kitchen" in interim.text


def test_other_agreed_words_take_back_what_was_let_go(recognizer):
    """A segment whose agreed words are not those that were settled is heard whole again."""
    samples = read_sample("library.flac")
    stream = recognizer.open_stream(DecodeOptions())
    long = np.concatenate([samples, samples])
    text = _final(recognizer, samples).text.split()
    stream.interim(Window(long, agreed_words=tuple(text)))
    assert stream._interims._begin_samples > 0
    stream.interim(Window(samples, agreed_words=()))
    assert stream._interims._begin_samples == 0


@pytest.mark.parametrize(
    "changed",
    [("In", "libraries"), ("Inside", "the", "old", "library"), ("It's",)],
    ids=["other", "more", "fewer"],
)
def test_what_was_let_go_stays_so_when_its_first_words_are_heard_otherwise(recognizer, changed):
    """A confirming decode may change words far back; the newest of them tell where audio ends."""
    samples = read_sample("library.flac")
    stream = recognizer.open_stream(DecodeOptions())
    text = _final(recognizer, samples).text.split()
    window = Window(np.concatenate([samples, samples]), agreed_words=tuple(text))
    stream.interim(window)
    begin_samples = stream._interims._begin_samples
    assert begin_samples > 0
    words = (*changed, *text[2:])
    heard = stream.interim(replace(window, agreed_words=words))
    assert heard.heard_samples == len(window.samples) - begin_samples
    assert tuple(word.text for word in heard.words)[: len(words) - 1] == words[:-1]


# Loops


def test_loops_are_told_from_speech():
    """A phrase over and over is a loop; emphasis and figures of speech are not."""
    assert repeats("the end of the day " * 6)
    assert repeats("la " * 10)
    assert not repeats("no, no, no, no")
    assert not repeats("It was the best of times, it was the worst of times, it was the age")
    assert not repeats("")


def test_a_loop_is_cut_to_one_turn():
    """Of a loop its first turn is kept, and all that is around it."""
    looping = [*["so", "I", "said"], *(["to", "the", "left"] * 5), "and", "went"]
    assert without_loops(looping) == ["so", "I", "said", "to", "the", "left", "and", "went"]
    assert without_loops(["very"] * 3) == ["very"] * 3


def test_punctuation_is_no_word():
    """Signs alone are no words, in any script letters and digits are."""
    assert not has_words(" . ... !")
    assert has_words(" 5")
    assert has_words("да")


# Loading


def test_all_wrong_options_are_named_at_once():
    """One error lists every unknown option and every bad value, and what there is."""
    wrong = {"beam_size": "0", "speed": "9", "compute_type": "int1", "device": "tpu"}
    with pytest.raises(ModelUnavailableError) as caught:
        parse_options(wrong)
    for part in (*wrong, "int8", "cuda", "threads"):
        assert part in str(caught.value)


def test_options_have_defaults_and_are_read():
    """Without options it is int8 on the CPU, greedy; each option is taken."""
    assert parse_options({}) == WhisperOptions(compute_type="int8")
    options = {"beam_size": "5", "threads": "2", "compute_type": "float32", "language": "en"}
    assert parse_options(options) == WhisperOptions("cpu", "float32", 5, 2, "en")


def test_a_gpu_that_is_not_there():
    """It is told, and how to find out, and how to do without; auto does without by itself."""
    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ModelUnavailableError, match=r"no GPU .*nvidia-smi.* leave device out"):
        whisper.load("", {"device": "cuda"}, threads=1, decodes=1)
    assert parse_options({"device": "auto"}) == parse_options({})


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Library libcublas.so.12 is not found or cannot be loaded", "nvidia-cublas-cu12"),
        ("CUDA failed with error out of memory", "compute_type=int8_float16"),
        ("Unable to open file 'model.bin'", "download it again"),
    ],
)
def test_each_problem_of_loading_has_its_remedy(said, remedy):
    """What CTranslate2 says is passed on, with what to do about it."""
    problem = load_problem(Path("folder"), RuntimeError(said))
    assert said in problem
    assert remedy in problem


def test_a_beam_can_be_asked_for(tmp_path):
    """Finals by beam search, from a folder given by its path, are transcripts too."""
    folder = shutil.copytree(bundled_folder(), tmp_path / "model")
    recognizer = whisper.load(str(folder), {"beam_size": "3"}, threads=1, decodes=1)
    assert _final(recognizer, read_sample("command.flac")).text == "Stop the music."
    recognizer.close()


def test_a_language_that_the_model_does_not_know_is_refused():
    """A default language must be one of the model's, which the error names."""
    with pytest.raises(ModelUnavailableError, match="knows en"):
        whisper.load("", {"language": "de"}, threads=1, decodes=1)


def test_an_unknown_size_is_refused_with_the_sizes():
    """A name that is no size and no folder is answered with the sizes there are."""
    with pytest.raises(ModelUnavailableError, match=r"huge.*small\.en"):
        whisper.load("huge", {}, threads=1, decodes=1)


def test_a_folder_without_a_model_is_refused(tmp_path):
    """A folder that lacks files is refused with their names."""
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelUnavailableError, match=r"model\.bin, tokenizer\.json"):
        whisper.load(str(tmp_path), {}, threads=1, decodes=1)


def test_a_missing_folder_is_refused(tmp_path):
    """A path where nothing lies is not taken for something to download."""
    with pytest.raises(ModelUnavailableError, match="neither a folder nor a size"):
        whisper.load(str(tmp_path / "nothing"), {}, threads=1, decodes=1)


def test_damaged_weights_are_refused(tmp_path):
    """A model file that is cut off stops the start with a sentence."""
    folder = shutil.copytree(bundled_folder(), tmp_path / "model")
    weights = folder / "model.bin"
    weights.write_bytes(weights.read_bytes()[:1_000_000])
    with pytest.raises(ModelUnavailableError, match="download it again"):
        whisper.load(str(folder), {}, threads=1, decodes=1)


def test_bundled_files_are_checked(tmp_path):
    """One changed byte in a bundled file is noticed, and a missing file too."""
    for name in BUNDLED_FILES:
        shutil.copy(bundled_folder() / name, tmp_path)
    check_files(tmp_path, BUNDLED_FILES)
    with (tmp_path / "tokenizer.json").open("r+b") as file:
        file.write(b" ")
    with pytest.raises(ModelUnavailableError, match=r"tokenizer\.json is damaged.*pip install"):
        check_files(tmp_path, BUNDLED_FILES)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelUnavailableError, match=r"config\.json is damaged or missing"):
        check_files(tmp_path, BUNDLED_FILES)


def test_a_model_that_cannot_be_downloaded_is_refused(monkeypatch):
    """Without a network the error says so, and how to give a folder instead."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailableError, match=r"HF_HUB_OFFLINE forbids.*whisper:PATH"):
        whisper.load("no-such-owner/no-such-model", {}, threads=1, decodes=1)
