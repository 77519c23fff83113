"""What rooms, lines and microphones do to speech. Pure; chance comes in as a generator."""

import io
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from client.evaluation.recordings import RATE_HZ, Samples

TELEPHONE_RATE_HZ = 8_000
_TELEPHONE_BAND_HZ = (300.0, 3_400.0)
"""ITU-T G.712."""

_BAND_EDGE_HZ = 50.0
"""Width over which the band fades."""

_DIRECT_SAMPLES = RATE_HZ * 25 // 10_000
"""Up to 2.5 ms after the first sound counts as direct, ISO 3382-1."""

_OPUS_LEAST_KBPS = 6.0
_OPUS_MOST_KBPS = 256.0
"""Between which libsndfile's compression level chooses the bit rate of one channel."""


def rms(samples: NDArray[np.floating[Any]]) -> float:
    """Measure the loudness of a whole recording, full scale 1."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0


def fitted(samples: Samples) -> Samples:
    """Turn down what would be clipped; nothing is ever turned up."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return samples if peak <= 1 else samples / np.float32(peak)


def mixed(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """Add noise of the same length at a ratio of loudness (RMS over the whole clip), in dB."""
    if rms(noise) == 0 or rms(speech) == 0:
        return speech
    scale = rms(speech) / rms(noise) * 10 ** (-snr_db / 20)
    return fitted((speech + scale * noise).astype(np.float32))


def excerpt(noise: Samples, length: int, random: np.random.Generator) -> Samples:
    """Cut a piece anywhere out of a noise; one that is too short goes round."""
    begin = int(random.integers(0, max(1, len(noise))))
    if begin + length <= len(noise):
        return noise[begin : begin + length]
    return np.resize(np.roll(noise, -begin), length)


def crowd(voices: list[Samples], length: int, random: np.random.Generator) -> Samples:
    """Let people talk at once, all as loud as each other."""
    talk = np.zeros(length, np.float32)
    for voice in voices:
        piece = excerpt(voice, length, random)
        talk += piece / max(rms(piece), 1e-6)
    return talk


def gained(samples: Samples, gain_db: float) -> Samples:
    """Make louder or softer; what is beyond full scale is clipped when it is sent."""
    return (samples * 10 ** (gain_db / 20)).astype(np.float32)


def clipped(samples: Samples, excess_db: float) -> Samples:
    """Cut off what a microphone that is so much too loud would, at the loudness of before."""
    limit = float(np.max(np.abs(samples), initial=0.0)) * 10 ** (-excess_db / 20)
    return np.clip(samples, -limit, limit)


def telephone(samples: Samples) -> Samples:
    """Keep the band of a telephone line, 300 to 3400 Hz, sampled at 8 kHz."""
    narrow = _to_telephone(samples)
    spectrum = np.fft.rfft(narrow)
    frequencies_hz = np.fft.rfftfreq(len(narrow), 1 / TELEPHONE_RATE_HZ)
    low_hz, high_hz = _TELEPHONE_BAND_HZ
    inside_hz = np.minimum(frequencies_hz - low_hz, high_hz - frequencies_hz)
    fade = np.clip(0.5 + inside_hz / (2 * _BAND_EDGE_HZ), 0, 1)
    return _from_telephone(
        np.fft.irfft(spectrum * fade, len(narrow)).astype(np.float32), len(samples)
    )


def reverberated(
    samples: Samples, rt60_s: float, direct_db: float, random: np.random.Generator
) -> Samples:
    """Put a voice into a room: a random impulse response that fades by 60 dB in `rt60_s`.

    Args:
        samples: The voice.
        rt60_s: Reverberation time.
        direct_db: Loudness of the direct sound against the rest.
        random: Makes the room.
    """
    times_s = np.arange(max(_DIRECT_SAMPLES + 1, round(rt60_s * RATE_HZ))) / RATE_HZ
    room = random.standard_normal(len(times_s)) * 10 ** (-3 * times_s / rt60_s)
    room[:_DIRECT_SAMPLES] = 0
    room *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(room**2))
    room[0] = 1
    size = len(samples) + len(room) - 1
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(room, size), size)[: len(samples)]
    return fitted(np.asarray(wet * (rms(samples) / max(rms(wet), 1e-9)), np.float32))


def through_g711(samples: Samples, law: str) -> Samples:
    """Code and decode by G.711, mu-law ("ULAW") or A-law ("ALAW"), at 8 kHz."""
    narrow = _through_file(_to_telephone(samples), TELEPHONE_RATE_HZ, "WAV", law)
    return _from_telephone(narrow, len(samples))


def through_opus(samples: Samples, bitrate_kbps: float) -> Samples:
    """Code and decode by Opus in libsndfile, at about so many kilobits a second."""
    span = _OPUS_MOST_KBPS - _OPUS_LEAST_KBPS
    level = 1 - (bitrate_kbps - _OPUS_LEAST_KBPS) / span
    decoded = _through_file(samples, RATE_HZ, "OGG", "OPUS", compression_level=level)
    return _of_length(decoded, len(samples))


def opus_available() -> bool:
    """Say whether the installed libsndfile knows Opus."""
    return "OPUS" in soundfile.available_subtypes("OGG")


def with_silence(samples: Samples, before_s: float, after_s: float) -> Samples:
    """Put digital silence around a recording."""
    return np.pad(samples, (round(before_s * RATE_HZ), round(after_s * RATE_HZ)))


def _through_file(
    samples: Samples, rate_hz: int, container: str, coding: str, **options: float
) -> Samples:
    file = io.BytesIO()
    soundfile.write(file, fitted(samples), rate_hz, format=container, subtype=coding, **options)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return np.asarray(decoded, np.float32)


def _to_telephone(samples: Samples) -> Samples:
    return np.asarray(soxr.resample(samples, RATE_HZ, TELEPHONE_RATE_HZ), np.float32)


def _from_telephone(samples: Samples, length: int) -> Samples:
    wide = soxr.resample(samples.astype(np.float32), TELEPHONE_RATE_HZ, RATE_HZ)
    return _of_length(wide, length)


def _of_length(samples: Samples, length: int) -> Samples:
    return np.pad(samples, (0, max(0, length - len(samples))))[:length].astype(np.float32)
