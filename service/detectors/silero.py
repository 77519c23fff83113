"""Voice activity by Silero VAD v6, with the weights that faster-whisper ships.

One ONNX session serves all streams: the recurrent state (1 kB) is passed in and
out, so a stream costs its state and nothing else. A frame of 32 ms takes 63 us of CPU alone,
52 us among three (a message of 100 ms), 40 us among sixteen.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.core.vad import FRAME_SAMPLES, MOST_FRAMES

if TYPE_CHECKING:
    import onnxruntime

    from service.core.hypothesis import Samples
    from service.core.vad import DetectorFactory

WEIGHTS = Path("assets") / "silero_vad_v6.onnx"
SHA256 = "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2"

STATE_SHAPE = (1, 1, 128)
CONTEXT_SAMPLES = 64
"""The model hears the end of the frame before, too."""


class SileroUnavailableError(Exception):
    """The model is missing or damaged. The message says what to install."""


def load() -> DetectorFactory:
    """Load the model once; the result makes a detector for a stretch of audio.

    Raises:
        SileroUnavailableError: the weights are missing or not the expected ones.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Without this every thread that runs the model keeps an arena of megabytes.
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(
        _verified_weights(), options, providers=["CPUExecutionProvider"]
    )
    at_once = MOST_FRAMES if _is_exact(session) else 1
    return lambda: SileroDetector(session, at_once)


class SileroDetector:
    """One stretch of audio being listened to; implements SpeechDetector."""

    def __init__(self, session: onnxruntime.InferenceSession, at_once: int) -> None:
        """Begin with the model's zero state, and give the model so many frames at once."""
        self._session = session
        self._at_once = at_once
        self._hidden = np.zeros(STATE_SHAPE, dtype=np.float32)
        self._cell = np.zeros(STATE_SHAPE, dtype=np.float32)
        self._context = np.zeros(CONTEXT_SAMPLES, dtype=np.float32)

    def probabilities(self, samples: Samples) -> list[float]:
        """Return how likely each of the next frames is speech, 0 to 1."""
        frames = samples.reshape(-1, FRAME_SAMPLES)
        heard: list[float] = []
        for begin in range(0, len(frames), self._at_once):
            heard += self._hear(frames[begin : begin + self._at_once])
        return heard

    def _hear(self, frames: Samples) -> list[float]:
        """Hear frames that follow each other, shape (n, FRAME_SAMPLES)."""
        heard = np.empty((len(frames), CONTEXT_SAMPLES + FRAME_SAMPLES), dtype=np.float32)
        heard[:, CONTEXT_SAMPLES:] = frames
        heard[0, :CONTEXT_SAMPLES] = self._context
        heard[1:, :CONTEXT_SAMPLES] = frames[:-1, -CONTEXT_SAMPLES:]
        self._context = heard[-1, -CONTEXT_SAMPLES:]
        output, self._hidden, self._cell = self._session.run(
            None, {"input": heard, "h": self._hidden, "c": self._cell}
        )
        probabilities: list[float] = output.reshape(-1).tolist()
        return probabilities


def _is_exact(session: onnxruntime.InferenceSession) -> bool:
    """Whether this machine's kernels give the same bits however frames are put together.

    They do on x86-64, but nothing promises that a product of matrices sums in the same order
    whatever their height. Heard once, in some milliseconds.
    """
    noise = np.random.default_rng(0).normal(0, 0.1, MOST_FRAMES * FRAME_SAMPLES)
    samples = noise.astype(np.float32)
    alone = SileroDetector(session, 1).probabilities(samples)
    return all(
        SileroDetector(session, at_once).probabilities(samples) == alone
        for at_once in range(2, MOST_FRAMES + 1)
    )


def _verified_weights() -> bytes:
    package = find_spec("faster_whisper")
    if package is None or package.origin is None:
        raise SileroUnavailableError(
            "the voice activity model is missing: pip install faster-whisper"
        )
    path = Path(package.origin).parent / WEIGHTS
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise SileroUnavailableError(
            f"the voice activity model cannot be read ({error}): "
            "pip install --force-reinstall faster-whisper==1.2.1"
        ) from error
    if hashlib.sha256(weights).hexdigest() != SHA256:
        raise SileroUnavailableError(
            f"{path} is not the expected Silero VAD v6 (its sha256 differs): "
            "pip install --force-reinstall faster-whisper==1.2.1"
        )
    return weights
