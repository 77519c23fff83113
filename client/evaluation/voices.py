"""Changes of tempo and pitch for speech."""

import numpy as np
import soxr

from client.evaluation.recordings import RATE_HZ, Samples

_HOP = RATE_HZ * 20 // 1000
_FRAME = 2 * _HOP
"""Frames of 40 ms hold two periods of the lowest voice."""

_SEARCH = RATE_HZ * 10 // 1000
"""A period of a voice of 100 Hz: so far a frame may move to fit the one before."""


def at_speed(samples: Samples, speed: float) -> Samples:
    """Play a recording faster or slower, pitch and all, like a tape."""
    return np.asarray(soxr.resample(samples, RATE_HZ * speed, RATE_HZ), np.float32)


def at_tempo(samples: Samples, tempo: float) -> Samples:
    """Speak faster or slower at the same pitch.

    WSOLA (Verhelst and Roelands, "An overlap-add technique based on waveform similarity", ICASSP
    1993): frames are laid down at a fixed hop, each taken from where it continues the one before
    it best, near to where the tempo wants it.
    """
    length = round(len(samples) / tempo)
    padded = np.pad(samples.astype(np.float64), (_SEARCH + _HOP, _SEARCH + 2 * _FRAME))
    last_begin = len(padded) - _FRAME - _HOP
    window = np.hanning(_FRAME + 1)[:-1]
    output = np.zeros(length + 2 * _FRAME)
    begin = _SEARCH
    for place in range(0, length + _HOP, _HOP):
        if place:
            natural = padded[begin + _HOP : begin + _HOP + _FRAME]
            wanted = _SEARCH + round(place * tempo)
            first = min(max(0, wanted - _SEARCH), last_begin - 2 * _SEARCH)
            begin = first + _best_fit(padded[first : first + 2 * _SEARCH + _FRAME], natural)
        output[place : place + _FRAME] += window * padded[begin : begin + _FRAME]
    # The first frame begins half a frame before the audio, where its window is still rising.
    return output[_HOP : _HOP + length].astype(np.float32)


def at_pitch(samples: Samples, semitones: float) -> Samples:
    """Raise or lower the pitch, formants along with it, at the same duration."""
    ratio = 2 ** (semitones / 12)
    moved = at_speed(at_tempo(samples, 1 / ratio), ratio)
    return np.pad(moved, (0, max(0, len(samples) - len(moved))))[: len(samples)]


def _best_fit(candidates: np.ndarray, wanted: np.ndarray) -> int:
    """Find where a frame is most like another, whatever their loudness."""
    likeness = np.correlate(candidates, wanted, "valid")
    energy = np.concatenate([[0.0], np.cumsum(candidates**2)])
    frame_energy = energy[len(wanted) :] - energy[: -len(wanted)]
    return int(np.argmax(likeness / np.sqrt(frame_energy + 1e-9)))
