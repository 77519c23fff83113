"""Voice activity by Silero."""

from __future__ import annotations

import numpy as np
import pytest

from service.core.vad import FRAME_SAMPLES
from service.detectors import silero
from tests.samples import SAMPLES, read_sample


@pytest.fixture(scope="module")
def new_detector():
    return silero.load()


def _probabilities(new_detector, samples: np.ndarray) -> list[float]:
    detector = new_detector()
    whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
    return [detector.probability(frame) for frame in samples[:whole].reshape(-1, FRAME_SAMPLES)]


@pytest.mark.parametrize("name", [sample.name for sample in SAMPLES])
def test_speech_is_speech(new_detector, name):
    """Most frames of a recording are speech."""
    probabilities = np.array(_probabilities(new_detector, read_sample(name)))
    assert np.mean(probabilities > 0.5) > 0.4


@pytest.mark.parametrize("level", [0.0, 0.0005, 0.01, 0.1])
def test_silence_and_noise_are_not(new_detector, level):
    """Neither silence nor steady noise at any level is speech."""
    noise = np.random.default_rng(1).normal(0, level, 16_000 * 5).astype(np.float32)
    assert np.mean(np.array(_probabilities(new_detector, noise)) > 0.5) < 0.02


def test_detectors_do_not_share_state(new_detector):
    """Two detectors that take turns hear what each hears alone."""
    speech = read_sample(SAMPLES[0].name)[: FRAME_SAMPLES * 60]
    noise = np.random.default_rng(2).normal(0, 0.05, len(speech)).astype(np.float32)
    alone = [_probabilities(new_detector, samples) for samples in (speech, noise)]
    detectors = new_detector(), new_detector()
    turns: tuple[list[float], list[float]] = ([], [])
    for begin in range(0, len(speech), FRAME_SAMPLES):
        for detector, samples, heard in zip(detectors, (speech, noise), turns, strict=True):
            heard.append(detector.probability(samples[begin : begin + FRAME_SAMPLES]))
    assert list(turns) == alone


def test_damaged_weights_are_refused(monkeypatch):
    """Weights that are not the expected ones stop start-up and say what to install."""
    monkeypatch.setattr(silero, "SHA256", "0" * 64)
    with pytest.raises(silero.SileroUnavailableError, match="pip install --force-reinstall"):
        silero.load()
