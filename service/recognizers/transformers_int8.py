"""Linear layers as products of small whole numbers.

Each output of a layer has one scale for its weights, of 8 bits, and each row that they are
multiplied with (a frame) has its own, found anew each time. So nothing depends on what stands
beside it in a batch, and what is quiet is not rounded to the few steps that the scale of something
loud would leave it.

Convolutions stay as they are: putting their rows together costs most of what the product saves.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import torch

MOST_WEIGHT: Final = 127
MOST_VALUE: Final = 63
"""Values have 7 bits: processors without VNNI add two products in 16 bits, where those of 8 bits
may overflow. So that all processors hear the same, none is given more."""
ZERO: Final = 64
"""The engine wants values without a sign; this one means 0."""
LEAST_SCALE: Final = 1e-12
"""Of weights or values that are all 0."""
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
        self._zeros = torch.zeros(self._outputs, dtype=torch.int32)
        self._bias = None if linear.bias is None else linear.bias.detach()

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
        most = torch.maximum(rows.amax(dim=1, keepdim=True), -rows.amin(dim=1, keepdim=True))
        scales = (most / MOST_VALUE).clamp_min_(LEAST_SCALE)
        # A half more, for what follows cuts off. No value needs the bit that would be the sign,
        # and to int8 torch converts six times as fast.
        whole = (rows * scales.reciprocal()).add_(ZERO + 0.5).to(torch.int8).view(torch.uint8)
        product = torch.ops.onednn.qlinear_pointwise(
            *(whole, 1.0, ZERO),
            *(self._packed, self._scales, self._zeros),
            None,
            *(1.0, 0, torch.float32),
            *("none", [], ""),
        )
        torch.mul(product, scales, out=found)
        if self._bias is not None:
            found += self._bias


def to_int8(model: Any) -> None:  # noqa: ANN401  (a module of torch)
    """Replace the linear layers of a model in fp32, on the CPU.

    Raises:
        RuntimeError: torch has no such operators for this processor.
    """
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            # Modules derived from it are read by what is around them.
            if type(layer) is torch.nn.Linear:
                setattr(module, name, Int8Linear(layer))
