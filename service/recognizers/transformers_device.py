"""The way of batches to the device that computes them and back; on a CPU it is no way at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

Inputs = Mapping[str, torch.Tensor]
"""What a model is called with: one tensor of shape (rows, ...) for each name."""

MOST_GRAPHS: Final = 96
"""Shapes that are recorded; each holds the memory of its inputs and of its output."""
WARM_UPS: Final = 2
"""Passes before a recording, in which libraries choose their kernels and take their memory."""


class Staging:
    """Buffers in which batches are put together. For one thread: a batch overwrites the last.

    On CUDA they are pinned, so that a batch crosses in one transfer that needs no copy of the
    driver's, and its results in another.
    """

    def __init__(self, device: str) -> None:
        """Stage for this device, cpu or cuda."""
        self._device = device
        self._buffers: dict[str, torch.Tensor] = {}

    def to_device(self, name: str, rows: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return rows of shape (1, ...) as one tensor of shape (rows, ...) on the device."""
        shape = (len(rows), *rows[0].shape[1:])
        staged = self._buffer(f"to {name}", shape, rows[0].dtype)
        torch.cat(list(rows), out=staged)
        # The buffer is not written again before the batch's results are here.
        return staged.to(self._device, non_blocking=True)

    def to_host(self, results: torch.Tensor) -> NDArray[np.float32]:
        """Wait for results, and return them as they lie in the buffer."""
        staged = self._buffer("from", tuple(results.shape), results.dtype)
        staged.copy_(results, non_blocking=True)
        if self._device != "cpu":
            torch.cuda.current_stream().synchronize()
        return np.asarray(staged.numpy())

    def _buffer(self, name: str, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        size = int(np.prod(shape))
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size or buffer.dtype != dtype:
            buffer = torch.empty(size, dtype=dtype, pin_memory=self._device != "cpu")
            self._buffers[name] = buffer
        return buffer[:size].view(*shape)


class Graphs:
    """A forward pass that is recorded once for each shape and then replayed (CUDA graphs).

    A replay is one launch in place of hundreds, which is what small batches spend their time
    with. For one thread, and CUDA alone.
    """

    def __init__(self, forward: Callable[[Inputs], torch.Tensor]) -> None:
        """Record this pass; it must not read a value back from the device."""
        self._forward = forward
        self._recorded: dict[tuple[object, ...], tuple[Any, Inputs, torch.Tensor]] = {}
        self._pool: Any = None
        self._is_full = False

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Return what the pass gives; valid until it is called for this shape again.

        Raises:
            RuntimeError: the pass cannot be recorded, not even for the first shape.
        """
        shape = tuple((name, tuple(value.shape)) for name, value in inputs.items())
        if shape not in self._recorded and not self._record(shape, inputs):
            return self._forward(inputs)
        graph, static_inputs, output = self._recorded[shape]
        for name, value in inputs.items():
            static_inputs[name].copy_(value, non_blocking=True)
        graph.replay()
        return output

    def _record(self, shape: tuple[object, ...], inputs: Inputs) -> bool:
        """Record a shape; whether it is recorded."""
        if self._is_full:
            return False
        static_inputs = {name: value.clone() for name, value in inputs.items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._forward(static_inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                output = self._forward(static_inputs)
        except RuntimeError:
            if not self._recorded:
                raise
            # A pass that has been recorded lacks nothing but the memory for one more.
            self._is_full = True
            return False
        self._pool = self._pool or graph.pool()
        self._recorded[shape] = (graph, static_inputs, output)
        self._is_full = len(self._recorded) >= MOST_GRAPHS
        return True
