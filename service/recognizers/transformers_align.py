"""Where tokens were heard, from attention: dynamic time warping. Pure functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def path_starts(weights: NDArray[np.float32], median_frames: int) -> list[int]:
    """Return the frame at which each token begins, and one past the last token's end.

    The method of openai/whisper, ``timing.py``: attention is normalized over the tokens,
    smoothed over time, averaged over heads, and the best monotonic path goes through it.

    Args:
        weights: Attention, shape (heads, tokens + 1, frames); the last row is the end.
        median_frames: Width of the smoothing filter, odd.

    Returns:
        tokens + 1 frames, never falling.
    """
    deviation = weights.std(axis=1, keepdims=True) + 1e-8
    normal = (weights - weights.mean(axis=1, keepdims=True)) / deviation
    matrix = _smooth(normal, median_frames).mean(axis=0)
    return _warp(-matrix)


def _smooth(weights: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    half = width // 2
    if weights.shape[-1] <= half:
        return weights
    padded = np.pad(weights, ((0, 0), (0, 0), (half, half)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=-1)
    return np.asarray(np.median(windows, axis=-1), dtype=np.float32)


def _warp(costs: NDArray[np.float32]) -> list[int]:
    """Return the frame at which the cheapest monotonic path enters each row."""
    rows, frames = costs.shape
    total = np.full((rows + 1, frames + 1), np.inf)
    total[0, 0] = 0.0
    # Came from: 0 both before, 1 the row before, 2 the frame before.
    came = np.zeros((rows + 1, frames + 1), dtype=np.int8)
    came[0, :], came[:, 0] = 2, 1
    for row in range(1, rows + 1):
        above, cost = total[row - 1].tolist(), costs[row - 1].tolist()
        line, left = [np.inf], np.inf
        for frame in range(1, frames + 1):
            best, step = above[frame - 1], 0
            if above[frame] < best:
                best, step = above[frame], 1
            if left < best:
                best, step = left, 2
            left = best + cost[frame - 1]
            line.append(left)
            came[row, frame] = step
        total[row] = line
    starts = [0] * rows
    row, frame = rows, frames
    while row > 0 and frame > 0:
        starts[row - 1] = frame - 1
        step = int(came[row, frame])
        row -= int(step != 2)
        frame -= int(step != 1)
    return starts
