"""Sequence-to-sequence models of transformers, with the real weights of Whisper tiny.en."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import jiwer
import numpy as np
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, DecodeOptions, Samples, Window
from service.recognizers import whisper
from service.recognizers.base import ModelUnavailableError
from service.recognizers.guards import LEAST_SUPPORT
from service.recognizers.registry import load, parse_spec
from tests.recognizers.mapped_whisper import checkpoint
from tests.samples import SAMPLES, read_sample

torch = pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
transformers = pytest.importorskip("transformers")

from service.recognizers.transformers_seq2seq import Seq2SeqStream  # noqa: E402
from service.recognizers.transformers_seq2seq_model import Decoded  # noqa: E402

SHORT = [sample for sample in SAMPLES if sample.duration_s <= 10]


@pytest.fixture(scope="module")
def recognizer() -> Iterator:
    recognizer = load(parse_spec(f"transformers:{checkpoint()}?precision=fp32"), 1, 1)
    yield recognizer
    recognizer.close()


def _final(recognizer, samples: Samples, context=(), **options):
    return recognizer.open_stream(DecodeOptions(**options)).final(Window(samples, context))


def _noise(seconds: float, level: float) -> Samples:
    chance = np.random.default_rng(7)
    return chance.normal(0, level, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def test_every_weight_has_its_place():
    """All tensors of the model come from the mapped ones, and nothing is left over."""
    _, report = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(
        checkpoint(), output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]


def test_a_final_is_the_offline_text(recognizer):
    """A segment alone has, letter for letter, the text that ``generate`` writes for it."""
    folder = checkpoint()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(folder, dtype="float32").eval()
    for name in ("kitchen.flac", "garden.flac", "question.flac"):
        samples = read_sample(name)
        features = extractor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            written = model.generate(features.input_features, num_beams=1)
        offline = tokenizer.decode(written[0], skip_special_tokens=True).strip()
        assert _final(recognizer, samples).text == offline


def test_texts_are_nearly_those_of_the_default_recognizer(recognizer):
    """The same weights in another engine hear the same, but for the precision and padding."""
    normalize = EnglishTextNormalizer()
    default = whisper.load("", {}, threads=1, decodes=1)
    heard = [
        [normalize(_final(one, read_sample(sample.name)).text) for sample in SHORT]
        for one in (default, recognizer)
    ]
    default.close()
    assert jiwer.wer(*heard) <= 0.03


def test_a_segment_goes_on_from_its_context(recognizer):
    """A sentence cut in two at a word is whole again when the second piece hears the first."""
    samples = read_sample("garden.flac")
    first, second = samples[: round(2.85 * SAMPLE_RATE_HZ)], samples[round(2.85 * SAMPLE_RATE_HZ) :]
    before = _final(recognizer, first).text
    after = _final(recognizer, second, (ContextSegment(first, before),), word_offsets=True)
    normalize = EnglishTextNormalizer()
    reference = next(sample.text for sample in SAMPLES if sample.name == "garden.flac")
    assert jiwer.wer(normalize(reference), normalize(f"{before} {after.text}")) == 0
    assert after.words[-1].end_s <= len(second) / SAMPLE_RATE_HZ


def test_word_offsets_are_near_those_of_the_default_recognizer(recognizer):
    """Words begin where the other engine hears them begin, to a fifth of a second."""
    default = whisper.load("", {}, threads=1, decodes=1)
    samples = read_sample("weather.flac")
    mine, theirs = (_final(one, samples, word_offsets=True).words for one in (recognizer, default))
    default.close()
    assert [word.text for word in mine] == [word.text for word in theirs]
    apart = [abs(one.start_s - other.start_s) for one, other in zip(mine, theirs, strict=True)]
    assert sorted(apart)[len(apart) // 2] <= 0.1
    places = [place for word in mine for place in (word.start_s, word.end_s)]
    assert all(earlier <= later for earlier, later in itertools.pairwise(places))


@pytest.mark.parametrize("level", [1e-4, 1e-3, 1e-2, 0.1])
def test_noise_has_no_words(recognizer, level):
    """White noise, hardly audible to loud, is heard as nothing, alone and behind speech."""
    speech = read_sample("kitchen.flac")
    context = (ContextSegment(speech, "Turn off the light in the kitchen."),)
    assert _final(recognizer, _noise(5, level)).words == ()
    assert _final(recognizer, _noise(5, level), context).words == ()


@pytest.mark.parametrize("level", [1e-3, 1e-2])
@pytest.mark.parametrize("name", ["kitchen", "bakery"])
def test_noise_behind_repeated_speech_has_no_words(recognizer, name, level):
    """Noise after a sentence said three times is not heard as that sentence again."""
    speech = read_sample(f"{name}.flac")
    context = (ContextSegment(speech, _final(recognizer, speech).text),) * 3
    assert _final(recognizer, _noise(3, level), context).words == ()


def test_a_text_is_borne_out_by_its_own_audio_alone(recognizer):
    """What is said has support in its audio, in noise and in other speech it has none."""
    model = recognizer.model
    samples = read_sample("kitchen.flac")
    tokens = model.tokens(_final(recognizer, samples).text)
    assert model.log_probability(model.encode(samples), "en", tokens) > LEAST_SUPPORT + 0.5
    for other in (_noise(3, 1e-2), read_sample("weather.flac")):
        assert model.log_probability(model.encode(other), "en", tokens) < LEAST_SUPPORT


SAID = (*["so", "I", "said"], *(["to", "the", "left"] * 4), "and", "went")


class Looping:
    """Stands for a model that falls into the same loop however it is asked; tokens are words."""

    is_whisper = False

    def encode(self, samples: Samples) -> None:
        """Hear nothing of it."""

    def decode(self, *_: object, **options: object) -> Decoded:
        count = len(SAID)
        return Decoded(tuple(range(count)), (-0.1,) * (count + 1), 0.0, is_cut=False)

    def text(self, tokens: Sequence[int]) -> str:
        return "".join(f" {SAID[token]}" for token in tokens)


def test_a_loop_that_stays_is_cut_to_one_turn():
    """Where another try falls into the loop as well, its first turn is kept."""
    stream = Seq2SeqStream(Looping(), "en", DecodeOptions())
    final = stream.final(Window(np.ones(10 * SAMPLE_RATE_HZ, dtype=np.float32)))
    assert final.text == "so I said to the left and went"


def test_interims_go_on_from_the_stable_words(recognizer):
    """Stable words are forced, even wrong ones, and written once."""
    samples = read_sample("bakery.flac")
    stream = recognizer.open_stream(DecodeOptions())
    interim = stream.interim(Window(samples, agreed_words=("The", "bakery")))
    assert interim.text == "The bakery on the corner sells warm bread every morning."


def test_capabilities_are_honest(recognizer):
    """tiny.en knows English, tells word offsets, and has no other readings or phrases."""
    capabilities = recognizer.capabilities
    assert capabilities.languages == ("en",)
    assert capabilities.word_offsets
    assert capabilities.left_context
    assert capabilities.max_alternatives == 1
    assert not capabilities.phrases


def test_another_language_is_refused():
    """A default language that the model lacks stops the loading."""
    with pytest.raises(ModelUnavailableError, match="knows en"):
        load(parse_spec(f"transformers:{checkpoint()}?precision=fp32&language=de"), 1, 1)


@pytest.fixture(scope="module")
def moonshine(tmp_path_factory) -> Iterator:
    """A tiny Moonshine, its weights drawn by chance."""
    folder = tmp_path_factory.mktemp("moonshine")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        config = transformers.MoonshineConfig(
            vocab_size=51_864,
            hidden_size=32,
            intermediate_size=64,
            encoder_num_hidden_layers=1,
            decoder_num_hidden_layers=1,
            encoder_num_attention_heads=2,
            decoder_num_attention_heads=2,
            decoder_start_token_id=1,
            eos_token_id=2,
            bos_token_id=1,
            pad_token_id=2,
        )
        transformers.MoonshineForConditionalGeneration(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((checkpoint() / name).read_bytes())
    recognizer = load(parse_spec(f"transformers:{folder}?precision=fp32"), 1, 1)
    yield recognizer
    recognizer.close()


def test_a_family_without_word_offsets_says_so(moonshine):
    """Moonshine does not tell where it heard its tokens, and hears segments alone."""
    capabilities = moonshine.capabilities
    assert not capabilities.word_offsets
    assert not capabilities.left_context
    assert capabilities.languages == ()


def test_the_written_text_is_what_generate_writes(moonshine, tmp_path):
    """Our loop and the library's write the same tokens for a model of another family."""
    model, samples = moonshine.model, read_sample("kitchen.flac")
    decoded = model.decode(model.encode(samples), "", most_tokens=12)
    with torch.inference_mode():
        written = model._model.generate(
            torch.from_numpy(samples)[None], max_new_tokens=12, num_beams=1, do_sample=False
        )
    assert list(decoded.tokens) == written[0, 1:].tolist()[: len(decoded.tokens)]
    assert decoded.is_cut == (len(decoded.tokens) == 12)


def test_a_family_that_is_not_supported(tmp_path):
    """A sequence-to-sequence model that is started otherwise is refused, and told which are not."""
    (tmp_path / "config.json").write_text('{"model_type": "pop2piano"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelUnavailableError, match="kind pop2piano are not supported"):
        load(parse_spec(f"transformers:{tmp_path}"), 1, 1)


@pytest.mark.parametrize("query", ["batch=8", "batch=2&precision=fp32"])
def test_batches_are_refused(query):
    """A model that writes token by token says that it computes streams one by one."""
    with pytest.raises(ModelUnavailableError, match=r"for CTC models, leave them out"):
        load(parse_spec(f"transformers:{checkpoint()}?{query}"), 1, 1)
