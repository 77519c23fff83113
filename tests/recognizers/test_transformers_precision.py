"""Which number format is chosen, by the text that it gives and the time that it takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the extra 'transformers' is not installed")

from service.recognizers import transformers_precision  # noqa: E402
from service.recognizers.base import ModelUnavailableError  # noqa: E402
from service.recognizers.transformers_fourier import FourierConvolution  # noqa: E402
from service.recognizers.transformers_int8 import Int8Linear  # noqa: E402
from service.recognizers.transformers_precision import GLANCE_SAMPLES, prepare  # noqa: E402


class Model(torch.nn.Sequential):
    """A linear layer and another; it knows how attention was asked for."""

    attention = "sdpa"

    def __init__(self) -> None:
        super().__init__(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))

    def set_attn_implementation(self, name: str) -> None:
        self.attention = name


class Machine:
    """Models on it take the time and have the text that a test says, by name of precision."""

    def __init__(self, monkeypatch, paces: dict[str, float], texts: dict[str, str]) -> None:
        self.now_s = 0.0
        self.paces, self.texts = paces, texts
        self.heard: set[str] = set()
        """Precisions in which the whole clip was heard."""
        clock = SimpleNamespace(perf_counter=lambda: self.now_s)
        monkeypatch.setattr(transformers_precision, "time", clock)

    def transcribe(self, model, samples) -> str:
        types = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
        precision = types[model[1].weight.dtype]
        if isinstance(model[0], Int8Linear):
            precision = {"fp32": "int8", "bf16": "int8_bf16"}[precision]
        self.now_s += len(samples) * self.paces[precision]
        if len(samples) > GLANCE_SAMPLES:
            self.heard.add(precision)
        return self.texts.get(precision, "as in fp32")

    def choose(self) -> str:
        return prepare(Model(), "cpu", "auto", self.transcribe)[1]


@pytest.mark.parametrize(
    ("paces", "chosen"),
    [
        ({"fp32": 8, "bf16": 3, "int8": 5, "int8_bf16": 2}, "int8_bf16"),
        ({"fp32": 8, "bf16": 3, "int8": 5, "int8_bf16": 4}, "bf16"),
        ({"fp32": 8, "bf16": 56, "int8": 5, "int8_bf16": 4}, "int8"),
        ({"fp32": 8, "bf16": 9, "int8": 9, "int8_bf16": 9}, "fp32"),
    ],
)
def test_the_fastest_is_chosen(monkeypatch, paces, chosen):
    """Of all that leave the text; combinations with what is hopeless are not tried."""
    assert Machine(monkeypatch, paces, {}).choose() == chosen


def test_what_changes_a_text_is_not_chosen(monkeypatch):
    """However fast it is."""
    paces = {"fp32": 8.0, "bf16": 3.0, "int8": 5.0, "int8_bf16": 2.0}
    machine = Machine(monkeypatch, paces, {"bf16": "not", "int8_bf16": "as in fp32 not"})
    assert machine.choose() == "int8"


def test_what_is_hopeless_costs_half_a_second_of_speech(monkeypatch):
    """Processors without bf16 take nine times as long in it: nobody waits for a whole clip."""
    paces = {"fp32": 8.0, "bf16": 56.0, "int8": 5.0, "int8_bf16": 40.0}
    machine = Machine(monkeypatch, paces, {})
    machine.choose()
    assert machine.heard == {"fp32", "int8"}


def test_a_precision_that_a_model_cannot_compute_in():
    """It shows at the start, with a remedy that is not what has just failed."""

    def transcribe(model, samples):
        raise RuntimeError('"conv1d" not implemented for Half')

    with pytest.raises(ModelUnavailableError, match=r"in fp16 on cpu .*precision=auto"):
        prepare(torch.nn.Linear(1, 1), "cpu", "fp16", transcribe)
    for plain in ("fp32", "auto"):
        with pytest.raises(ModelUnavailableError, match=r"in fp32 on cpu .*another model"):
            prepare(torch.nn.Linear(1, 1), "cpu", plain, transcribe)


@pytest.mark.parametrize(
    ("precision", "attention"),
    [("fp32", "sdpa"), ("int8", "sdpa"), ("bf16", "eager"), ("int8_bf16", "eager")],
)
def test_attention_is_computed_in_the_way_that_is_faster(precision, attention):
    """In bf16 on CPUs step by step, in fp32 at once."""
    model, _ = prepare(Model(), "cpu", precision, lambda model, samples: "")
    assert model.attention == attention


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "int8"])
def test_long_convolutions_go_by_fourier_transforms(precision):
    """In every precision on CPUs: they are as exact."""
    model = Model()
    model.append(torch.nn.Conv1d(2, 2, 128))
    prepared, _ = prepare(model, "cpu", precision, lambda model, samples: "")
    assert isinstance(prepared[2], FourierConvolution)
