"""Each family's text is the plain library's; its weights are drawn by chance, see families.py."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Samples, Window
from service.recognizers.base import ModelUnavailableError
from service.recognizers.registry import load, parse_spec
from tests.recognizers import families
from tests.samples import read_sample

torch = pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
transformers = pytest.importorskip("transformers")

SPEECH = ("kitchen", "bakery", "weather")
MOST_TOKENS = 24
"""Decoders drawn by chance never end."""


def _load(folder: Path, query: str = ""):
    return load(parse_spec(f"transformers:{folder}?precision=fp32{query}"), 1, 1)


def _final(recognizer, samples: Samples, **options):
    return recognizer.open_stream(DecodeOptions(**options)).final(Window(samples))


@pytest.fixture(scope="module", params=families.CTC)
def ctc(request, tmp_path_factory) -> Iterator[tuple[Path, object]]:
    folder = families.CTC[request.param](tmp_path_factory.mktemp("ctc"))
    recognizer = _load(folder)
    yield folder, recognizer
    recognizer.close()


@pytest.fixture(scope="module", params=families.SEQ2SEQ)
def seq2seq(request, tmp_path_factory) -> Iterator[tuple[Path, object]]:
    folder = families.SEQ2SEQ[request.param](tmp_path_factory.mktemp("seq2seq"))
    recognizer = _load(folder)
    yield folder, recognizer
    recognizer.close()


def _greedy(folder: Path, samples: Samples) -> tuple[str, int]:
    """The text as the documentation of transformers has it made, and the number of frames."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    if getattr(tokenizer, "target_lang", None):
        model.load_adapter(tokenizer.target_lang)
    # As a batch of one: of a bare array a feature extractor may take the wrong axis.
    inputs = extractor([samples], sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
    with torch.inference_mode():
        if hasattr(model, "_get_output_attention_mask"):
            path = model.generate(**inputs)
        else:
            path = model(**inputs).logits.argmax(dim=-1)
    (text,) = tokenizer.batch_decode(path)
    for token in ("<s>", "</s>", "<unk>"):
        text = text.replace(token, "")
    return " ".join(text.split()), path.shape[1]


def test_ctc_finals_are_the_offline_text(ctc):
    """Letter for letter, what plain transformers gives for the segment."""
    folder, recognizer = ctc
    for name in SPEECH:
        samples = read_sample(f"{name}.flac")
        final = _final(recognizer, samples)
        assert len(final.words) >= 3
        assert final.text == _greedy(folder, samples)[0]


def test_frames_have_their_length(ctc):
    """The frames of a long recording, each of the length that was found, fill it."""
    folder, recognizer = ctc
    samples = read_sample("passage.flac")[: 25 * SAMPLE_RATE_HZ]
    frames = _greedy(folder, samples)[1]
    assert abs(frames * recognizer.model.frame_samples - len(samples)) < 2 * 1_280


def test_a_batch_of_equal_lengths_changes_no_word(ctc):
    """Whatever the extractor masks or normalizes, neighbours of equal length change nothing."""
    _, recognizer = ctc
    length = 2 * SAMPLE_RATE_HZ + 137
    windows = [read_sample(f"{name}.flac")[:length] for name in SPEECH]
    alone = [recognizer.model.text(window[None])[0] for window in windows]
    assert recognizer.model.text(np.stack(windows)) == alone


@pytest.mark.parametrize("precision", ["bf16", "fp16", "int8", "int8_bf16"])
def test_ctc_in_lower_precision(ctc, precision):
    """Features, masks and weights meet in one number format; what cannot says so."""
    spec = parse_spec(f"transformers:{ctc[0]}?precision={precision}")
    try:
        recognizer = load(spec, 1, 1)
    except ModelUnavailableError as error:
        said = str(error)
    else:
        said = ""
    if said:
        # Weights drawn as wide as these may leave the range of fp16; WavLM has more to do with
        # its linear layers than to call them.
        if precision == "fp16":
            reason = "numbers overflow"
        else:
            reason = "it reads the weights of linear layers itself"
            assert transformers.AutoConfig.from_pretrained(ctc[0]).model_type == "wavlm"
        assert f"cannot compute in {precision} on cpu ({reason})" in said
        return
    assert recognizer.model.precision == precision
    assert _final(recognizer, read_sample("kitchen.flac"), word_offsets=True).words
    recognizer.close()


@pytest.mark.parametrize("precision", ["bf16", "fp16", "int8", "int8_bf16"])
def test_seq2seq_in_lower_precision(seq2seq, precision):
    """The same for encoders and decoders; the text need not be that of fp32."""
    recognizer = load(parse_spec(f"transformers:{seq2seq[0]}?precision={precision}"), 1, 1)
    model, samples = recognizer.model, read_sample("kitchen.flac")
    encoded = model.encode(samples)
    tokens = model.decode(encoded, "", most_tokens=MOST_TOKENS).tokens
    assert tokens
    assert model.log_probability(encoded, "", tokens) <= 0
    if model.has_word_offsets:
        assert len(model.align(encoded, "", (), tokens, 3.0)) == len(tokens) + 1
    recognizer.close()


def test_text_is_what_generate_writes(seq2seq):
    """Our loop writes the tokens that ``generate`` writes, in each family."""
    folder, recognizer = seq2seq
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(folder, dtype="float32").eval()
    for name in SPEECH:
        samples = read_sample(f"{name}.flac")
        inputs = extractor([samples], sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        with torch.inference_mode(), warnings.catch_warnings():
            # It warns of a bound beside the settings' own.
            warnings.simplefilter("ignore")
            written = model.generate(
                **inputs, max_new_tokens=MOST_TOKENS, num_beams=1, do_sample=False
            )
        text = tokenizer.decode(written[0], skip_special_tokens=True)
        decoded = recognizer.model.decode(
            recognizer.model.encode(samples), "", most_tokens=MOST_TOKENS
        )
        assert decoded.tokens
        assert recognizer.model.text(decoded.tokens).split() == text.split()


@pytest.fixture(scope="module")
def mms(tmp_path_factory) -> Path:
    return families.write_mms(tmp_path_factory.mktemp("mms"))


def test_mms_is_loaded_for_one_language(mms):
    """The language decides about weights and vocabulary, and is the model's only one."""
    samples = read_sample("kitchen.flac")
    texts = {}
    for language in families.LANGUAGES:
        recognizer = _load(mms, f"&language={language}")
        assert recognizer.capabilities.languages == (language,)
        texts[language] = _final(recognizer, samples).text
        recognizer.close()
    assert len(set(texts.values())) == len(families.LANGUAGES)
    assert set(texts["deu"]) & set("ÄÖÜß")
    by_default = _load(mms)
    assert by_default.capabilities.languages == ("eng",)
    assert _final(by_default, samples).text == texts["eng"]


def test_mms_text_is_that_of_the_loaded_language(mms):
    """The text is what transformers gives after ``load_adapter`` and ``set_target_lang``."""
    samples = read_sample("bakery.flac")
    processor = transformers.AutoProcessor.from_pretrained(mms)
    processor.tokenizer.set_target_lang("deu")
    model = transformers.Wav2Vec2ForCTC.from_pretrained(
        mms, target_lang="deu", ignore_mismatched_sizes=True
    ).eval()
    inputs = processor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
    with torch.inference_mode():
        text = processor.decode(model(**inputs).logits.argmax(dim=-1)[0])
    for token in ("<s>", "</s>", "<unk>"):
        text = text.replace(token, "")
    heard = _final(_load(mms, "&language=deu"), samples).text
    assert heard == " ".join(text.split())


def test_a_language_that_mms_lacks_is_refused(mms):
    """The languages there are stand in the sentence; so does a file that is missing."""
    with pytest.raises(ModelUnavailableError, match=r"language='fra': .* knows deu, eng"):
        _load(mms, "&language=fra")
    (mms / "adapter.deu.safetensors").unlink()
    with pytest.raises(ModelUnavailableError, match=r"adapter\.deu\.safetensors is missing"):
        _load(mms, "&language=deu")
