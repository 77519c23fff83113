"""Layers in 8 bits: how near they come, and what they do not depend on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'transformers' is not installed")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from service.recognizers.transformers_int8 import (  # noqa: E402
    MOST_VALUE,
    MOST_WEIGHT,
    ROWS,
    Int8Convolution,
    Int8Linear,
    is_wide,
    to_int8,
)


def _layer(inputs: int, outputs: int, bias: bool = True) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(inputs, outputs, bias=bias)


def _rounded(layer: torch.nn.Linear) -> Int8Linear:
    return Int8Linear(layer.weight, layer.bias)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=2),
    st.integers(1, 300),
    st.integers(1, 300),
    st.booleans(),
    st.floats(1e-6, 1e6),
)
@torch.inference_mode()
def test_no_output_is_further_off_than_rounding_can_take_it(shape, inputs, outputs, bias, size):
    """Each product is off by half a step of the weight and of the value at most, whatever they
    are; also all of them at their largest, where 8 bits would overflow on some processors."""
    layer = _layer(inputs, outputs, bias)
    layer.weight[0] = layer.weight[0].abs().max()
    values = size * torch.randn(*shape, inputs)
    values[..., 0, :] = size
    values[..., 0, 0] = -size
    weight_step = layer.weight.abs().amax(dim=1) / MOST_WEIGHT
    low, high = values.amin(dim=-1, keepdim=True), values.amax(dim=-1, keepdim=True)
    value_step = (high - low) / MOST_VALUE
    bound = (
        value_step / 2 * layer.weight.abs().sum(dim=1)
        + values.abs().sum(dim=-1, keepdim=True) * weight_step / 2
        + inputs * value_step * weight_step / 4
    )
    error = (_rounded(layer)(values) - layer(values)).abs()
    assert (error <= bound * 1.001 + 1e-6 * (1 + size)).all()


@torch.inference_mode()
def test_a_row_is_what_it_is_alone():
    """Neighbours in the batch and in time, however loud, change no bit of it."""
    layer = _rounded(_layer(96, 64))
    values = torch.randn(3, ROWS + 7, 96) * torch.logspace(-3, 3, ROWS + 7)[:, None]
    together = layer(values)
    for window, row in ((0, 0), (1, ROWS - 1), (2, ROWS + 6)):
        assert torch.equal(layer(values[window, row : row + 1]), together[window, row : row + 1])


@torch.inference_mode()
def test_silence_is_the_bias():
    """Rows that are all 0, and no rows at all."""
    layer = _layer(32, 16)
    assert torch.allclose(_rounded(layer)(torch.zeros(1, 4, 32)), layer.bias.expand(1, 4, 16))
    assert _rounded(layer)(torch.zeros(1, 0, 32)).shape == (1, 0, 16)


@settings(max_examples=40, deadline=None)
@given(
    *(st.integers(32, 70), st.integers(1, 70)),
    *(st.integers(1, 7), st.integers(1, 4), st.integers(0, 4)),
    *(st.integers(1, 2), st.integers(7, 600), st.booleans()),
)
@torch.inference_mode()
def test_a_convolution_is_a_linear_layer_over_what_it_hears(
    inputs, outputs, width, hop, padding, windows, frames, bias
):
    """The frames that each output hears, one behind the other, and with zeros before and behind
    all: the same steps give the same sums, in the shape that a convolution has."""
    torch.manual_seed(0)
    layer = torch.nn.Conv1d(inputs, outputs, width, hop, padding, bias=bias)
    assert is_wide(layer)
    values = torch.randn(windows, inputs, frames)
    found = Int8Convolution(layer)(values)
    heard = torch.nn.functional.pad(values, (padding, padding)).unfold(2, width, hop)
    rows = heard.permute(0, 2, 1, 3).flatten(2)
    expected = Int8Linear(layer.weight.flatten(1), layer.bias)(rows).transpose(1, 2)
    assert found.shape == layer(values).shape
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"in_channels": 1},
        {"groups": 8},
        {"dilation": 2},
        {"padding": "same"},
        {"padding_mode": "reflect", "padding": 1},
    ],
)
def test_other_convolutions_stay_as_they_are(settings):
    """Of waveforms, which 8 bits would spoil, of few channels each, and what is not known here."""
    usual = {"in_channels": 64, "out_channels": 64, "kernel_size": 3}
    model = torch.nn.Sequential(torch.nn.Conv1d(**usual | settings), torch.nn.Conv1d(64, 64, 3))
    to_int8(model)
    assert [type(layer) for layer in model] == [torch.nn.Conv1d, Int8Convolution]


def test_without_the_engine_it_is_refused(monkeypatch):
    """As every precision is that cannot be computed in."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="without oneDNN"):
        to_int8(torch.nn.Linear(2, 2))


@torch.inference_mode()
def test_a_model_keeps_its_other_layers_and_its_dtype():
    """Layers wherever they are in it, and nothing that is derived from them or like them."""
    model = torch.nn.Sequential(
        torch.nn.ConvTranspose1d(4, 4, 3),
        torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.GELU()),
    )
    to_int8(model)
    assert type(model[0]) is torch.nn.ConvTranspose1d
    assert type(model[1][0]) is Int8Linear
    values = torch.randn(1, 4, 10, dtype=torch.bfloat16)
    assert model.to(torch.bfloat16)(values).dtype == torch.bfloat16
