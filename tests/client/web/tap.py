"""A second ear in the page, to compare what was sent with what the microphone gave.

Chromium's fake microphone stutters on a busy machine, so that what it plays is no measure of what
our code must pass on. The tap hears the same source in the same rendering graph as the page does.
"""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

QUANTUM = 128
"""Samples that a graph renders at once."""

DEVICE_BLOCK_S = 0.01
"""Chromium's fake microphone plays blocks; when it is late it leaves some out or repeats the last,
and at the end of a recording it repeats that for good."""

_SCRIPT = Path(__file__).with_name("tap.js").read_text(encoding="utf-8")


async def put_tap(page) -> None:
    """Let the page be heard with; before it is opened."""
    await page.add_init_script(f"(() => {{ {_SCRIPT} }})()")


async def tapped(page) -> np.ndarray:
    """What the tap has heard of the session that has ended, as 16-bit samples."""
    await page.wait_for_function("window.tapped")
    floats = np.frombuffer(base64.b64decode(await page.evaluate("tappedBase64()")), "<f8")
    return np.clip(np.floor(floats * 32768 + 0.5), -32768, 32767).astype("<i2")


def quanta_played(heard: np.ndarray, played: np.ndarray) -> tuple[np.ndarray, int]:
    """Look up each quantum of what was heard in noise that was played, within one step of 16 bits.

    Returns:
        Where in the recording those begin that are in it as a whole, in the order in which they
        were heard; and how many were heard that are not silent.
    """
    pieces = heard[: len(heard) // QUANTUM * QUANTUM].reshape(-1, QUANTUM).astype(int)
    sounding = pieces[np.any(pieces, axis=1)]
    windows = np.lib.stride_tricks.sliding_window_view(played.astype(int), QUANTUM)
    by_first = np.argsort(windows[:, 0])
    firsts = windows[by_first, 0]
    found = []
    for piece in sounding:
        begin, end = np.searchsorted(firsts, (piece[0] - 1, piece[0] + 2))
        near = by_first[begin:end]
        found.extend(near[np.all(np.abs(windows[near] - piece) <= 1, axis=1)])
    return np.array(found), len(sounding)
