"""What the default recognizer is loaded with, and what it says when it cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import ctranslate2
import pytest

from service.recognizers import whisper
from service.recognizers.base import ModelUnavailableError
from service.recognizers.whisper_folder import BUNDLED_FILES, bundled_folder, check_files
from service.recognizers.whisper_load import load_problem
from service.recognizers.whisper_options import WhisperOptions, parse_options
from tests.recognizers.hearing import final
from tests.samples import read_sample


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
    assert final(recognizer, read_sample("command.flac")).text == "Stop the music."
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
