"""Long convolutions by way of Fourier transforms, which are products there.

wav2vec 2.0 and its kin tell where a frame stands by hearing 128 frames around it, each time with as
many weights. Of 4 s of audio, in wav2vec2-base's size, torch took 18 ms for that in bf16 and 29 in
fp32, where all takes 230 in int8_bf16; in blocks that are transformed (overlap-save, Oppenheim and
Schafer, Discrete-Time Signal Processing, section 8.7) it takes 7, and is as exact.
"""

from __future__ import annotations

from typing import Any, Final

import torch

from service.recognizers.transformers_layers import is_plain, replace_layers

LEAST_WIDTH: Final = 64
"""In frames, of what is computed so. 19, as data2vec has them, are nearer the other way."""
BLOCK_FRAMES: Final = 256
"""Of one transform, or twice the width. For 128 frames 384 and 512 were slower below 4 s, and no
faster at 10 s."""


class FourierConvolution(torch.nn.Module):  # type: ignore[misc]  # torch has few types
    """A convolution over time in groups of channels, at each frame, padded with zeros."""

    def __init__(self, convolution: torch.nn.Conv1d) -> None:
        """Take over one that ``is_long``, in float32."""
        super().__init__()
        _, inputs, width = convolution.weight.shape
        self._groups: int = convolution.groups
        (self._padding,) = convolution.padding
        self._overlap = width - 1
        self._block = max(BLOCK_FRAMES, 2 * width)
        weights = convolution.weight.detach().reshape(self._groups, -1, inputs, width)
        # Of what is heard, not of what is answered: a correlation, hence the conjugate.
        spectrum = torch.fft.rfft(weights, n=self._block).conj()
        self._spectrum = spectrum.permute(3, 0, 2, 1).flatten(0, 1).contiguous()
        """Shape (frequencies times groups, inputs, outputs)."""
        # A part of a mapped file, if it were not copied, would hold all of it.
        bias = convolution.bias
        self._bias = None if bias is None else bias.detach()[:, None].clone()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map shape (windows, inputs, frames) to (windows, outputs, frames), in the same dtype.

        Raises:
            RuntimeError: there are fewer frames than are heard at once.
        """
        frames = values.shape[2] + 2 * self._padding - self._overlap
        if frames < 1:
            raise RuntimeError(f"{values.shape[2]} frames are too few")
        hop = self._block - self._overlap
        blocks = -(-frames // hop)
        behind = blocks * hop + self._overlap - self._padding - values.shape[2]
        padded = torch.nn.functional.pad(values.float(), (self._padding, behind))
        heard = torch.fft.rfft(padded.unfold(2, self._block, hop))
        windows, *_, frequencies = heard.shape
        grouped = heard.reshape(windows, self._groups, -1, blocks, frequencies)
        rows = grouped.permute(4, 1, 0, 3, 2).reshape(len(self._spectrum), windows * blocks, -1)
        products = torch.bmm(rows, self._spectrum)
        parts = products.reshape(frequencies, self._groups, windows, blocks, -1)
        answers = torch.fft.irfft(parts.permute(2, 1, 4, 3, 0), n=self._block)
        # The last answers of a block hear its begin behind its end, and belong to no frame.
        found = answers[..., :hop].reshape(windows, -1, blocks * hop)[..., :frames]
        if self._bias is not None:
            found = found + self._bias
        return found.to(values.dtype)


def is_long(convolution: torch.nn.Conv1d) -> bool:
    """Tell whether many frames are heard at once, at each frame."""
    return (
        convolution.kernel_size[0] >= LEAST_WIDTH
        and convolution.stride == (1,)
        and is_plain(convolution)
    )


def to_fourier(model: Any) -> None:  # noqa: ANN401  (a module of torch)
    """Replace the long convolutions of a model in fp32, on the CPU."""
    replace_layers(
        model, torch.nn.Conv1d, lambda layer: FourierConvolution(layer) if is_long(layer) else layer
    )
