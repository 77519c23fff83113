"""Long convolutions by way of Fourier transforms: the same as they are."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'transformers' is not installed")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from service.recognizers.transformers_fourier import (  # noqa: E402
    LEAST_WIDTH,
    FourierConvolution,
    to_fourier,
)


@settings(max_examples=60, deadline=None)
@given(
    *(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    *(st.integers(LEAST_WIDTH, 200), st.integers(0, 130)),
    *(st.integers(1, 3), st.integers(1, 600), st.booleans()),
)
@torch.inference_mode()
def test_it_is_the_convolution(groups, inputs, outputs, width, padding, windows, frames, bias):
    """Whatever its shape, and however many blocks the audio takes."""
    torch.manual_seed(0)
    layer = torch.nn.Conv1d(
        groups * inputs, groups * outputs, width, padding=padding, groups=groups, bias=bias
    )
    values = torch.randn(windows, groups * inputs, frames)
    fast = FourierConvolution(layer)
    if frames + 2 * padding < width:
        with pytest.raises(RuntimeError, match="too few"):
            fast(values)
        return
    assert torch.allclose(fast(values), layer(values), atol=2e-6)


@torch.inference_mode()
def test_a_loud_block_leaves_its_neighbours_quiet():
    """Rounding is relative to what is in one block, and blocks meet in no other."""
    torch.manual_seed(0)
    layer = torch.nn.Conv1d(4, 4, 128, padding=64, groups=2)
    values = torch.cat([1e-3 * torch.randn(1, 4, 400), 1e3 * torch.randn(1, 4, 100)], dim=2)
    quiet = slice(0, 200)
    assert torch.allclose(
        FourierConvolution(layer)(values)[..., quiet], layer(values)[..., quiet], atol=1e-8
    )


@torch.inference_mode()
def test_the_dtype_is_that_of_the_values():
    """Its own numbers are not those that a model is converted to: it rounds once, in the end."""
    torch.manual_seed(0)
    layer = torch.nn.Conv1d(4, 4, 128, padding=64, groups=2)
    values = torch.randn(1, 4, 50, dtype=torch.bfloat16)
    found = FourierConvolution(layer).to(torch.bfloat16)(values)
    assert found.dtype == torch.bfloat16
    # Half a step of bfloat16's 8 bits. Not equality: what lies between two steps may go either way.
    assert torch.allclose(found.float(), layer(values.float()), rtol=2**-8, atol=2e-6)


def test_nothing_of_what_was_loaded_is_held():
    """A mapped file that one tensor is part of stays in memory as a whole."""
    layer = torch.nn.Conv1d(4, 4, 128)
    held = {layer.weight.untyped_storage().data_ptr(), layer.bias.untyped_storage().data_ptr()}
    tensors = [part for part in vars(FourierConvolution(layer)).values() if torch.is_tensor(part)]
    assert len(tensors) == 2
    assert not held & {tensor.untyped_storage().data_ptr() for tensor in tensors}


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": LEAST_WIDTH - 1},
        {"stride": 2},
        {"dilation": 2},
        {"padding": "same"},
        {"padding_mode": "reflect", "padding": 1},
    ],
)
def test_other_convolutions_stay_as_they_are(settings):
    """Short ones, and those that do not answer at each frame of what they hear."""
    usual = {"in_channels": 2, "out_channels": 2, "kernel_size": 128}
    model = torch.nn.Sequential(torch.nn.Conv1d(**usual | settings), torch.nn.Conv1d(**usual))
    to_fourier(model)
    assert [type(layer) for layer in model] == [torch.nn.Conv1d, FourierConvolution]
