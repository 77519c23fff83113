"""The small DeepSpeech model and its scorer: what can be said of them without their library."""

import itertools
import math
import struct
from pathlib import Path

import pytest

from scripts.build_deepspeech_scorer import arpa
from scripts.deepspeech_alphabet import ALPHABET, serialize_alphabet
from scripts.small_model_texts import DOMAINS, sentences
from tests.scripts.graph_reader import read_graph

FOLDER = Path(__file__).parent.parent / "recognizers" / "small_deepspeech"

ATTRIBUTES = {
    "AudioSpectrogram": {"magnitude_squared", "stride", "window_size"},
    "BiasAdd": {"T", "data_format"},
    "BlockLSTM": {"T", "cell_clip", "forget_bias", "use_peephole"},
    "Cast": {"DstT", "SrcT", "Truncate"},
    "Const": {"dtype", "value"},
    "ExpandDims": {"T", "Tdim"},
    "GatherNd": {"Tindices", "Tparams"},
    "MatMul": {"T", "transpose_a", "transpose_b"},
    "Max": {"T", "Tidx", "keep_dims"},
    "Mfcc": {
        "dct_coefficient_count",
        "filterbank_channel_count",
        "lower_frequency_limit",
        "upper_frequency_limit",
    },
    "Minimum": {"T"},
    "Pack": {"N", "T", "axis"},
    "Placeholder": {"dtype", "shape"},
    "Relu": {"T"},
    "Reshape": {"T", "Tshape"},
    "Softmax": {"T"},
    "Sub": {"T"},
    "Transpose": {"T", "Tperm"},
}
"""Operators that libdeepspeech 0.9.3 was seen to run, and their attributes in TensorFlow 2.3."""

NAMES = {
    *("input_samples", "mfccs", "input_node", "input_lengths", "logits"),
    *("previous_state_c", "previous_state_h", "new_state_c", "new_state_h"),
    *("metadata_version", "metadata_sample_rate", "metadata_feature_win_len"),
    *("metadata_feature_win_step", "metadata_beam_width", "metadata_alphabet"),
}
"""What the library feeds and fetches: native_client/tfmodelstate.cc of mozilla/DeepSpeech."""


@pytest.fixture(scope="module")
def nodes():
    return read_graph(FOLDER / "model.pb").node


def test_the_library_has_every_operator_of_the_model(nodes):
    """The graph keeps to operators and attributes that the library's TensorFlow 2.3 knows."""
    for node in nodes:
        assert {attribute.key for attribute in node.attr} <= ATTRIBUTES[node.op], node.name


def test_the_model_has_the_names_that_the_library_asks_for(nodes):
    """Every input, output and setting stands under the name that the library asks for."""
    assert {node.name for node in nodes} >= NAMES


def test_the_model_names_its_alphabet(nodes):
    """The alphabet in the model is the script's, serialized."""
    constant = next(node for node in nodes if node.name == "metadata_alphabet")
    value = next(attribute.value for attribute in constant.attr if attribute.key == "value")
    assert list(value.tensor.string_val) == [serialize_alphabet(ALPHABET)]


@pytest.mark.parametrize("alphabet", [ALPHABET, "", "aé漢", "\U0001f600 b"])
def test_an_alphabet_can_be_read_back(alphabet):
    """Labels are numbered in order, each with its UTF-8 and the length of it."""
    data = serialize_alphabet(alphabet)
    (count,) = struct.unpack_from("<H", data)
    offset, characters = 2, []
    for expected in range(count):
        label, length = struct.unpack_from("<HH", data, offset)
        offset += 4 + length
        assert label == expected
        characters.append(data[offset - length : offset].decode())
    assert "".join(characters) == alphabet
    assert offset == len(data)


@pytest.mark.parametrize("domain", DOMAINS)
def test_sentences_can_be_written_with_the_alphabet(domain):
    """Sentences of a domain are different and made of the alphabet's letters."""
    found = sentences(domain, 500, seed=3)
    assert len(set(found)) == 500
    assert set("".join(found)) <= set(ALPHABET)


def test_sentences_of_fewer_are_the_first_of_more():
    """A seed gives the same sentences, however many are asked for."""
    assert sentences("calendar", 300, seed=1)[:100] == sentences("calendar", 100, seed=1)


class Model:
    """An n-gram model as an ARPA file describes it."""

    def __init__(self, text: str) -> None:
        self.chances: dict[tuple[str, ...], tuple[float, float]] = {}
        for line in text.splitlines():
            parts = line.split("\t")
            if len(parts) > 1:
                left = float(parts[2]) if len(parts) > 2 else 0.0
                self.chances[tuple(parts[1].split())] = (float(parts[0]), left)

    def chance(self, word: str, history: tuple[str, ...]) -> float:
        """Return the logarithm, to base 10, of a word's probability after a history."""
        gram = (*history, word)
        if gram in self.chances:
            return self.chances[gram][0]
        return self.chances.get(history, (0.0, 0.0))[1] + self.chance(word, history[1:])


def test_probabilities_of_the_language_model_sum_to_one():
    """After every history, seen or not, some word or the end must follow."""
    model = Model(arpa(sentences("calendar", 60, seed=4)))
    words = [gram[0] for gram in model.chances if len(gram) == 1]
    some = ["<s>", "zero", "march", "the", "to", "at"]
    for history in ((), *((word,) for word in words), *itertools.product(some, some)):
        total = sum(10 ** model.chance(word, history) for word in words if word != "<s>")
        assert math.isclose(total, 1, abs_tol=1e-3), history


def test_the_language_model_prefers_what_it_read():
    """A sentence that was read is likelier than the same words the other way round."""
    model = Model(arpa(["set a timer", "set a timer", "stop the timer"]))

    def likelihood(text: str) -> float:
        words = ("<s>", *text.split(), "</s>")
        return sum(
            model.chance(words[at], words[max(0, at - 2) : at]) for at in range(1, len(words))
        )

    assert likelihood("set a timer") > likelihood("timer a set") + 2
