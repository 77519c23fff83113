"""Linear layers as products of small whole numbers.

Each output of a layer has one scale for its weights. Each row that they are multiplied with (a
frame) has its own, and its own lowest value, found anew each time: values lie at all heights, most
of them above nothing behind an activation, and a loud frame beside a quiet one would leave this
one a few steps. So nothing depends on what stands beside it in a batch either.

Values have 8 bits, weights 7: processors without VNNI add two products in 16 bits, where those of
8 and 8 bits may overflow, and it is the values that are coarse. Of Whisper tiny.en, rounding
values to 7 bits and weights to 8 moved the probabilities of tokens 8 times as far (Kullback-Leibler
divergence), as did one range for all rows 3.5 times.

Convolutions stay as they are: putting their rows together costs most of what the product saves.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import torch

MOST_WEIGHT: Final = 63
MOST_VALUE: Final = 255
LEAST_SCALE: Final = 1e-12
"""Of weights that are all 0 or values that are all the same."""
ROWS: Final = 256
"""Of one product, so that what it computes with stays in the processor's cache."""


class Int8Linear(torch.nn.Module):  # type: ignore[misc]  # torch has few types
    """A linear layer that gives about the same, from a fourth of the memory.

    Computed by the operators for int8 that torch's own compiler uses: those of
    ``torch.ao.quantization`` are to be removed with the dtypes that they are for
    (pytorch/pytorch#184982), and torchao, the successor, needs a compiler where it runs.
    """

    def __init__(self, linear: torch.nn.Linear) -> None:
        """Take over a layer in float32, on the CPU."""
        super().__init__()
        weight = linear.weight.detach()
        self._outputs = len(weight)
        self._scales = (weight.abs().amax(dim=1) / MOST_WEIGHT).clamp_min(LEAST_SCALE)
        whole = torch.round(weight / self._scales[:, None]).to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(whole, None)
        self._sums = whole.sum(dim=1) * self._scales
        """Of the weights as they are rounded: what a row of ones gives."""
        self._zeros = torch.zeros(self._outputs, dtype=torch.int32)
        self._bias = None if linear.bias is None else linear.bias.detach().clone()

    @property
    def weight(self) -> NoReturn:
        """Refused: models that compute with a layer's weights themselves cannot have this one."""
        raise NotImplementedError("it reads the weights of linear layers itself")

    bias = weight

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map shape (..., inputs) to (..., outputs), in the dtype of the values."""
        rows = values.float().reshape(-1, values.shape[-1])
        found = rows.new_empty(len(rows), self._outputs)
        for part, into in zip(rows.split(ROWS), found.split(ROWS), strict=True):
            self._multiply(part, into)
        return found.to(values.dtype).reshape(*values.shape[:-1], self._outputs)

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
        torch.mul(product, scales, out=found)
        found.addcmul_(low, self._sums)
        if self._bias is not None:
            found += self._bias


def to_int8(model: Any) -> None:  # noqa: ANN401  (a module of torch)
    """Replace the linear layers of a model in fp32, on the CPU.

    What was loaded is not held any longer, by no layer: it may be a mapped file.

    Raises:
        RuntimeError: torch has no such operators for this processor.
    """
    if not torch.backends.mkldnn.is_available():
        raise RuntimeError("this torch is built without oneDNN")
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            # Modules derived from it are read by what is around them.
            if type(layer) is torch.nn.Linear:
                setattr(module, name, Int8Linear(layer))
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
