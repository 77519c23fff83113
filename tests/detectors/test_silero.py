"""Voice activity by Silero."""

from __future__ import annotations

import numpy as np
import pytest

from service.core.vad import FRAME_SAMPLES, MOST_FRAMES
from service.detectors import silero
from tests.samples import SAMPLES, read_sample


@pytest.fixture(scope="module")
def new_detector():
    return silero.load()


def _probabilities(new_detector, samples: np.ndarray) -> list[float]:
    detector = new_detector()
    whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
    frames = samples[:whole].reshape(-1, FRAME_SAMPLES)
    return [probability for frame in frames for probability in detector.probabilities(frame)]


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
            heard.extend(detector.probabilities(samples[begin : begin + FRAME_SAMPLES]))
    assert list(turns) == alone


@pytest.mark.parametrize("is_exact", [True, False])
def test_frames_are_heard_alike_however_many_come_at_once(monkeypatch, is_exact):
    """Bit for bit, or finals would depend on the sizes of messages; also where the check at
    load finds that the machine sums otherwise, and frames are heard one by one."""
    if not is_exact:
        monkeypatch.setattr(silero, "_is_exact", lambda _: False)
    new_detector = silero.load()
    speech = read_sample(SAMPLES[0].name)
    alone = _probabilities(new_detector, speech)
    chance = np.random.default_rng(3)
    for _ in range(5):
        detector = new_detector()
        together: list[float] = []
        while len(together) < len(alone):
            frames = min(int(chance.integers(1, MOST_FRAMES + 1)), len(alone) - len(together))
            begin = len(together) * FRAME_SAMPLES
            together += detector.probabilities(speech[begin : begin + frames * FRAME_SAMPLES])
        assert together == alone


def test_damaged_weights_are_refused(monkeypatch):
    """Weights that are not the expected ones stop start-up and say what to install."""
    monkeypatch.setattr(silero, "SHA256", "0" * 64)
    with pytest.raises(silero.SileroUnavailableError, match="pip install --force-reinstall"):
        silero.load()
