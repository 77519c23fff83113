"""Linear layers, and convolutions over time, as products of small whole numbers.

Each output of a layer has one scale for its weights. Each row that they are multiplied with (a
frame, or as many as a convolution hears at once) has its own, and its own lowest value, found anew
each time: values lie at all heights, most of them above nothing behind an activation, and a loud
frame beside a quiet one would leave this one a few steps. So nothing depends on what stands beside
it in a batch either.

Values have 8 bits, weights 7: processors without VNNI add two products in 16 bits, where those of
8 and 8 bits may overflow, and it is the values that are coarse. Of Whisper tiny.en, rounding
values to 7 bits and weights to 8 moved the probabilities of tokens 8 times as far (Kullback-Leibler
divergence), as did one range for all rows 3.5 times.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import torch

from service.recognizers.transformers_layers import is_plain, replace_layers

MOST_WEIGHT: Final = 63
MOST_VALUE: Final = 255
LEAST_SCALE: Final = 1e-12
"""Of weights that are all 0 or values that are all the same."""
LEAST_CHANNELS: Final = 32
"""Of a convolution that is computed so: a waveform is one channel, and 8 bits would spoil it."""
ROWS: Final = 256
"""Of one product, so that what it computes with stays in the processor's cache."""


class Int8Linear(torch.nn.Module):  # type: ignore[misc]  # torch has few types
    """A linear layer that gives about the same, from a fourth of the memory.

    Computed by the operators for int8 that torch's own compiler uses: those of
    ``torch.ao.quantization`` are to be removed with the dtypes that they are for
    (pytorch/pytorch#184982), and torchao, the successor, needs a compiler where it runs.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Round the weight of a layer, shape (outputs, inputs), in float32, on the CPU."""
        super().__init__()
        weight = weight.detach()
        self._outputs = len(weight)
        self._scales = (weight.abs().amax(dim=1) / MOST_WEIGHT).clamp_min(LEAST_SCALE)
        whole = torch.round(weight / self._scales[:, None]).to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(whole, None)
        self._sums = whole.sum(dim=1) * self._scales
        """Of the weights as they are rounded: what a row of ones gives."""
        self._zeros = torch.zeros(self._outputs, dtype=torch.int32)
        self._bias = torch.zeros(self._outputs) if bias is None else bias.detach().clone()

    @property
    def weight(self) -> NoReturn:
        """Refused: models that compute with a layer's weights themselves cannot have this one."""
        raise NotImplementedError("it reads the weights of linear layers itself")

    bias = weight

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map shape (..., inputs) to (..., outputs), in the dtype of the values."""
        rows = values.reshape(-1, values.shape[-1])
        found = rows.new_empty(len(rows), self._outputs)
        for part, into in zip(rows.split(ROWS), found.split(ROWS), strict=True):
            self._multiply(part.float(), into)
        return found.reshape(*values.shape[:-1], self._outputs)

    def _multiply(self, rows: torch.Tensor, found: torch.Tensor) -> None:
        low = rows.amin(dim=1, keepdim=True)
        scales = (rows.amax(dim=1, keepdim=True) - low).div_(MOST_VALUE).clamp_min_(LEAST_SCALE)
        # Half a step lower, for what follows cuts off. By way of int16 torch is thrice as fast.
        steps = (rows - (low - scales / 2)).mul_(scales.reciprocal())
        product = torch.ops.onednn.qlinear_pointwise(
            *(steps.to(torch.int16).to(torch.uint8), 1.0, 0),
            *(self._packed, self._scales, self._zeros),
            None,
            *(1.0, 0, torch.float32),
            *("none", [], ""),
        )
        product.mul_(scales).addcmul_(low, self._sums)
        torch.add(product, self._bias, out=found)


class Int8Convolution(torch.nn.Module):  # type: ignore[misc]
    """A convolution over time: a linear layer over the frames that each output hears."""

    def __init__(self, convolution: torch.nn.Conv1d) -> None:
        """Take over one that ``is_wide``, in float32, on the CPU."""
        super().__init__()
        # Models ask for these, to tell how many frames will come out.
        self.kernel_size, self.stride = convolution.kernel_size, convolution.stride
        self.padding = convolution.padding
        weight = convolution.weight.transpose(1, 2).flatten(1)
        self._linear = Int8Linear(weight, convolution.bias)

    weight = bias = Int8Linear.weight

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map shape (windows, inputs, frames) to (windows, outputs, frames), in the same dtype."""
        padded = torch.nn.functional.pad(values, 2 * self.padding)
        # One frame behind the other, so that what an output hears is one piece of memory. What
        # comes out lies so too: of several convolutions only the first has to copy.
        frames = padded.transpose(1, 2).contiguous()
        heard = frames.unfold(1, *self.kernel_size, *self.stride).transpose(2, 3).flatten(2)
        return self._linear(heard).transpose(1, 2)


def is_wide(convolution: torch.nn.Conv1d) -> bool:
    """Tell whether each output hears many channels: not one, as of a waveform, nor a group."""
    return (
        convolution.in_channels >= LEAST_CHANNELS
        and convolution.groups == 1
        and is_plain(convolution)
    )


def to_int8(model: Any) -> None:  # noqa: ANN401  (a module of torch)
    """Replace the linear layers and the wide convolutions of a model in fp32, on the CPU.

    What was loaded is not held any longer, by no layer: it may be a mapped file.

    Raises:
        RuntimeError: torch has no such operators for this processor.
    """
    if not torch.backends.mkldnn.is_available():
        raise RuntimeError("this torch is built without oneDNN")
    replace_layers(model, torch.nn.Linear, lambda layer: Int8Linear(layer.weight, layer.bias))
    replace_layers(
        model, torch.nn.Conv1d, lambda layer: Int8Convolution(layer) if is_wide(layer) else layer
    )
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
