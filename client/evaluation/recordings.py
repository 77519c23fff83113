"""Recordings as samples that conditions can be applied to: mono, 16 kHz, full scale 1."""

import io
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from client.sources import Source, SourceError, bytes_per_s, open_recording
from protos.asr.v1.asr_pb2 import AudioEncoding, AudioFormat

Samples: TypeAlias = NDArray[np.float32]

RATE_HZ = 16_000
"""What is streamed. Other rates are converted by soxr, channels are averaged."""

FORMAT = AudioFormat(
    encoding=AudioEncoding.AUDIO_ENCODING_PCM_S16LE, sample_rate_hertz=RATE_HZ, channel_count=1
)
BYTES_PER_S = bytes_per_s(FORMAT)

_READ_S = 10.0
_FULL_SCALE = 32_768
"""Of 16-bit samples; its own inverse is exact in floats, so that clean audio is not changed."""


def read_samples(path: Path) -> Samples:
    """Read a recording whole.

    Raises:
        SourceError: Where there is no such file, or it is not audio.
    """
    source = open_recording(str(path))
    audio_format = source.audio_format
    pcm = np.frombuffer(b"".join(source.blocks(_READ_S)), dtype="<i2")
    frames = pcm.reshape(-1, audio_format.channel_count).astype(np.float32) / _FULL_SCALE
    if not len(frames):
        raise SourceError(f"{path} holds no audio")
    mono = frames.mean(axis=1)
    return np.asarray(soxr.resample(mono, audio_format.sample_rate_hertz, RATE_HZ), np.float32)


def duration_s(path: Path) -> float:
    """Say how long a recording is; reads it whole only where its header does not tell.

    Raises:
        SourceError: Where there is no such file, or it is not audio.
    """
    source: Source = open_recording(str(path))
    if source.duration_s is None:
        return len(read_samples(path)) / RATE_HZ
    if source.duration_s == 0:
        raise SourceError(f"{path} holds no audio")
    return source.duration_s


def to_pcm(samples: Samples) -> bytes:
    """Convert samples to PCM_S16LE; what is beyond full scale is clipped."""
    scaled = np.rint(samples.astype(np.float64) * _FULL_SCALE)
    return np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2").tobytes()


def to_flac(pcm: bytes) -> bytes:
    """Pack what `to_pcm` made into a FLAC file, which every browser plays."""
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, "<i2"), RATE_HZ, format="FLAC")
    return file.getvalue()
