"""Putting other layers in place of those that a model was loaded with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def replace_layers(model: Any, kind: type, other: Callable[[Any], Any]) -> None:  # noqa: ANN401
    """Replace the layers of one kind, wherever they are in a model.

    Args:
        model: A module of torch.
        kind: Of the layers. Those of derived kinds stay: they are read by what is around them.
        other: Returns what takes a layer's place, which may be the layer itself.
    """
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) is kind:
                setattr(module, name, other(layer))


def is_plain(convolution: torch.nn.Conv1d) -> bool:
    """Tell whether it hears frames that follow each other, and zeros before and behind all."""
    return (
        convolution.dilation == (1,)
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
    )
