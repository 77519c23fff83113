"""CTC models of transformers, with a tiny wav2vec2 whose weights are drawn by chance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, DecodeOptions, Samples, Window
from service.recognizers.base import ModelUnavailableError
from service.recognizers.registry import load, parse_spec
from tests.recognizers.tiny_ctc import write_checkpoint
from tests.samples import read_sample

torch = pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
transformers = pytest.importorskip("transformers")

NAMES = ("kitchen", "bakery", "weather", "garden")


@pytest.fixture(scope="module", params=["group", "layer"])
def folder(request, tmp_path_factory) -> Path:
    """Checkpoints whose extractor normalizes over time, as base does, and over channels."""
    return write_checkpoint(tmp_path_factory.mktemp("ctc"), feat_extract_norm=request.param)


@pytest.fixture(scope="module")
def recognizer(folder) -> Iterator:
    recognizer = load(parse_spec(f"transformers:{folder}?precision=fp32"), 1, 1)
    yield recognizer
    recognizer.close()


@pytest.fixture(scope="module")
def speech() -> list[Samples]:
    return [read_sample(f"{name}.flac") for name in NAMES]


def _final(recognizer, samples: Samples, context=(), **options):
    return recognizer.open_stream(DecodeOptions(**options)).final(Window(samples, context))


def _offline(folder: Path, samples: Samples) -> str:
    """The text as the documentation of transformers has it made."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    inputs = extractor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
    with torch.inference_mode():
        path = model(**inputs).logits.argmax(dim=-1)
    (text,) = tokenizer.batch_decode(path)
    for token in ("<s>", "</s>", "<unk>"):
        text = text.replace(token, "")
    return " ".join(text.split())


def test_a_final_is_the_offline_text(recognizer, folder, speech):
    """A segment's final is, letter for letter, what plain transformers gives for it."""
    for samples in speech:
        final = _final(recognizer, samples)
        assert len(final.text) > 5
        assert final.text == _offline(folder, samples)


@pytest.mark.parametrize("size", [1, 2, 8, 32])
def test_a_batch_changes_no_word(recognizer, speech, size):
    """Windows heard together have the texts that each has alone, at every batch size."""
    model = recognizer.model
    length = 3 * SAMPLE_RATE_HZ // 2
    begins = range(0, 4_000, 500)
    windows = np.stack([part[begin : begin + length] for part in speech for begin in begins])
    alone = [model.text(window[np.newaxis])[0] for window in windows]
    together = []
    for begin in range(0, len(windows), size):
        together += model.text(windows[begin : begin + size])
    assert together == alone
    assert len(set(alone)) > 4


def test_interims_grow_cheaply_and_end_near_the_final(recognizer, speech):
    """The last interim has as many words as the final, give or take what the window changes."""
    for samples in speech:
        stream = recognizer.open_stream(DecodeOptions())
        for end in range(SAMPLE_RATE_HZ // 2, len(samples), SAMPLE_RATE_HZ // 2):
            stream.interim(Window(samples[:end]))
        interim, final = stream.interim(Window(samples)), stream.final(Window(samples))
        assert abs(len(interim.words) - len(final.words)) <= 0.5 * len(final.words)


def test_a_short_segments_interim_is_its_final(recognizer, speech):
    """As long as one window holds the segment, interim and final hear the same."""
    samples = speech[0]
    stream = recognizer.open_stream(DecodeOptions())
    assert stream.interim(Window(samples)).text == stream.final(Window(samples)).text


def test_context_is_heard_but_not_answered(folder, speech):
    """With left context the segment's frames are those of the longer window."""
    recognizer = load(parse_spec(f"transformers:{folder}?precision=fp32&context_s=2"), 1, 1)
    assert recognizer.capabilities.left_context
    first, second = speech[:2]
    context = (ContextSegment(first, "not read"),)
    heard = _final(recognizer, second, context, word_offsets=True)
    assert heard.text != _final(recognizer, second).text
    assert heard.words[-1].end_s <= len(second) / SAMPLE_RATE_HZ
    near = (ContextSegment(first[-2 * SAMPLE_RATE_HZ :], ""),)
    assert _final(recognizer, second, near).text == heard.text
    recognizer.close()


def test_without_context_finals_hear_their_segment_alone(folder, speech):
    """The capability says so, and context that is given all the same changes nothing."""
    recognizer = load(parse_spec(f"transformers:{folder}?precision=fp32&context_s=0"), 1, 1)
    assert not recognizer.capabilities.left_context
    context = (ContextSegment(speech[0], "not read"),)
    assert _final(recognizer, speech[1], context) == _final(recognizer, speech[1])
    recognizer.close()


def test_capabilities_are_honest(recognizer):
    """The language of an unknown model is not known; phrases are taken."""
    assert recognizer.capabilities.languages == ()
    assert recognizer.capabilities.phrases
    assert not recognizer.capabilities.native_streaming


def test_threads_are_set(folder):
    """The number of threads is what the spec says, whatever the machine has."""
    load(parse_spec(f"transformers:{folder}?precision=fp32&threads=3"), 1, 1).close()
    assert torch.get_num_threads() == 3
    load(parse_spec(f"transformers:{folder}?precision=fp32"), 1, 1).close()
    assert torch.get_num_threads() == 1


def test_auto_precision_changes_no_text(folder, speech):
    """Whatever precision is chosen leaves the calibration clip's text as it is in fp32."""
    chosen = load(parse_spec(f"transformers:{folder}"), 1, 1)
    plain = load(parse_spec(f"transformers:{folder}?precision=fp32"), 1, 1)
    assert chosen.model.precision in {"fp32", "bf16", "int8", "int8_bf16"}
    assert _final(chosen, speech[1]).text == _final(plain, speech[1]).text


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int8_bf16"])
def test_precision_by_setting(folder, precision, speech):
    """A precision that was asked for is used."""
    recognizer = load(parse_spec(f"transformers:{folder}?precision={precision}"), 1, 1)
    assert recognizer.model.precision == precision
    assert _final(recognizer, speech[0]).words


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("precision=int3", "precision='int3' is none of auto, fp32, bf16, fp16, int8, int8_bf16"),
        ("precision=int8&device=cuda", "precision='int8' is for device=cpu"),
        ("device=tpu", "device='tpu' is none of cpu, cuda"),
        ("threads=many", "threads='many' is not a number from 1 to 256"),
        ("left_s=0", "left_s='0' is not a number from 1 to 15"),
        ("speed=11", "there is no option 'speed'"),
    ],
)
def test_wrong_options_are_named(folder, query, said):
    """An option that cannot be is named, with what it may be."""
    with pytest.raises(ModelUnavailableError, match=r"Options are: device") as caught:
        load(parse_spec(f"transformers:{folder}?{query}"), 1, 1)
    assert said in str(caught.value)


def test_a_gpu_that_is_not_there(folder):
    """Whether the machine or the installed torch lacks it is told, and how to do without."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ModelUnavailableError, match=r"device='cuda', but .* on the CPU"):
        load(parse_spec(f"transformers:{folder}?device=cuda"), 1, 1)


def _unavailable(argument: object) -> str:
    with pytest.raises(ModelUnavailableError) as caught:
        load(parse_spec(f"transformers:{argument}"), 1, 1)
    return str(caught.value)


def test_a_folder_that_is_no_model(tmp_path):
    """What is missing is named."""
    assert "has no config.json" in _unavailable(tmp_path)
    assert "neither a folder nor the id" in _unavailable(tmp_path / "nowhere")
    assert "neither a folder nor the id" in _unavailable("")


def test_weights_that_are_missing_damaged_or_pickled(tmp_path):
    """Weights are there, whole, and not a pickle; each has its own sentence."""
    folder = write_checkpoint(tmp_path / "model")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "cannot be loaded" in _unavailable(folder)
    weights.unlink()
    assert "holds no weights" in _unavailable(folder)
    (folder / "pytorch_model.bin").write_bytes(b"")
    assert "weights as a pickle only" in _unavailable(folder)


def test_a_model_without_a_trained_head(tmp_path):
    """A checkpoint of the encoder alone would answer by chance; it is refused."""
    folder = write_checkpoint(tmp_path)
    transformers.Wav2Vec2Model.from_pretrained(folder).save_pretrained(folder)
    assert "the weights lack lm_head" in _unavailable(folder)


def test_a_model_of_another_kind(tmp_path):
    """A model that recognizes no speech says what it is."""
    folder = write_checkpoint(tmp_path)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    assert "of the kind bert" in _unavailable(folder)
    (folder / "config.json").write_text('{"model_type": "of the future"}')
    assert "a newer transformers may know it" in _unavailable(folder)
