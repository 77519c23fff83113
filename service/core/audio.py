"""From bytes in the client's format to samples on the session's clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import soxr
from numpy.typing import NDArray

from service.core.errors import InvalidAudioError, InvalidFieldError
from service.core.hypothesis import SAMPLE_RATE_HZ, Samples

MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 192_000
MAX_CHANNELS = 8

BLOCKS_PER_SECOND = 50
"""Audio is converted in blocks of 20 ms counted from the stream's begin, so that
the resampler sees the same calls however the bytes were cut into messages."""

CONTAINER_MAGIC = ((0, b"RIFF"), (0, b"fLaC"), (0, b"OggS"), (0, b"ID3"), (4, b"ftyp"))
"""Offset and bytes that mark a file; raw audio begins so by a chance of 2**-24 at most."""
HEAD_BYTES = 8
"""As many bytes as tell a file from raw audio."""


class AudioEncoding(Enum):
    """How a sample is written."""

    PCM_S16LE = "PCM_S16LE"
    PCM_F32LE = "PCM_F32LE"
    MULAW = "MULAW"
    ALAW = "ALAW"


SAMPLE_BYTES = {
    AudioEncoding.PCM_S16LE: 2,
    AudioEncoding.PCM_F32LE: 4,
    AudioEncoding.MULAW: 1,
    AudioEncoding.ALAW: 1,
}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Format of raw audio; interleaved if it has several channels.

    Raises:
        InvalidFieldError: the rate or the number of channels is out of range.
    """

    encoding: AudioEncoding = AudioEncoding.PCM_S16LE
    sample_rate_hz: int = SAMPLE_RATE_HZ
    channel_count: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not MIN_RATE_HZ <= self.sample_rate_hz <= MAX_RATE_HZ:
            raise InvalidFieldError(
                f"sample_rate_hertz is {self.sample_rate_hz}; "
                f"send audio of {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz",
                "audio_format.sample_rate_hertz",
            )
        if not 1 <= self.channel_count <= MAX_CHANNELS:
            raise InvalidFieldError(
                f"channel_count is {self.channel_count}; send 1 to {MAX_CHANNELS} channels",
                "audio_format.channel_count",
            )

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return SAMPLE_BYTES[self.encoding] * self.channel_count


def looks_like_a_file(data: bytes) -> bool:
    """Whether the audio begins as a WAV, FLAC, OGG, MP3 or MP4 file does."""
    return any(data[offset:].startswith(magic) for offset, magic in CONTAINER_MAGIC)


class AudioConverter:
    """Turns bytes, cut anywhere, into mono samples at SAMPLE_RATE_HZ.

    The samples that come out depend on the bytes alone, not on how they were cut.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        """Begin a stream of audio in this format."""
        self.format = audio_format
        self._block_frames = audio_format.sample_rate_hz // BLOCKS_PER_SECOND
        self._carry = bytearray()
        self._pending: list[Samples] = []
        self._pending_frames = 0
        self._head = b""
        self._head_is_checked = False
        self._resampler = self._new_resampler()
        self._converted_frames = 0
        self._samples_out = 0

    @property
    def received_frames(self) -> int:
        """Whole frames received so far at the format's rate, silence included."""
        return self._converted_frames + self._pending_frames

    def feed(self, data: bytes) -> Samples:
        """Take bytes; return the samples that are ready.

        Raises:
            InvalidAudioError: the stream begins with the header of a file.
        """
        self._refuse_files(data)
        self._carry += data
        whole_bytes = len(self._carry) - len(self._carry) % self.format.frame_bytes
        frames = decode_frames(bytes(self._carry[:whole_bytes]), self.format)
        del self._carry[:whole_bytes]
        return self._append(frames)

    def silence(self, frames: int) -> Samples:
        """Take that many frames of silence; return the samples that are ready.

        Half a frame that was received before completes after the silence.
        """
        return self._append(np.zeros(frames, dtype=np.float32))

    def flush(self) -> Samples:
        """Return all samples of the frames received so far; audio may go on after it.

        The resampler looks ahead, so it ends here and begins anew. Its count is made
        exact, so that the clock does not drift however often it is flushed.
        """
        samples = self._convert(self._take_pending(self._pending_frames), last=True)
        self._resampler = self._new_resampler()
        return samples

    def _append(self, frames: Samples) -> Samples:
        self._pending.append(frames)
        self._pending_frames += len(frames)
        ready_frames = self._pending_frames // self._block_frames * self._block_frames
        if not ready_frames:
            return np.zeros(0, dtype=np.float32)
        return self._convert(self._take_pending(ready_frames), last=False)

    def _take_pending(self, count: int) -> Samples:
        if len(self._pending) == 1:
            frames = self._pending[0]
        else:
            frames = np.concatenate([np.zeros(0, dtype=np.float32), *self._pending])
        self._pending = [frames[count:]] if len(frames) > count else []
        self._pending_frames -= count
        return frames[:count]

    def _convert(self, frames: Samples, *, last: bool) -> Samples:
        self._converted_frames += len(frames)
        if self._resampler is None:
            self._samples_out += len(frames)
            return frames
        blocks = [
            self._resampler.resample_chunk(frames[begin : begin + self._block_frames])
            for begin in range(0, len(frames), self._block_frames)
        ]
        if last:
            blocks.append(self._resampler.resample_chunk(frames[:0], last=True))
        samples = np.concatenate([np.zeros(0, dtype=np.float32), *blocks])
        if last:
            due = self._converted_frames * SAMPLE_RATE_HZ // self.format.sample_rate_hz
            missing = max(0, due - self._samples_out - len(samples))
            samples = np.pad(samples, (0, missing))[: due - self._samples_out]
        self._samples_out += len(samples)
        return samples

    def _new_resampler(self) -> soxr.ResampleStream | None:
        if self.format.sample_rate_hz == SAMPLE_RATE_HZ:
            return None
        return soxr.ResampleStream(self.format.sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def _refuse_files(self, data: bytes) -> None:
        if self._head_is_checked:
            return
        self._head += data[: HEAD_BYTES - len(self._head)]
        self._head_is_checked = len(self._head) >= HEAD_BYTES
        if looks_like_a_file(self._head):
            raise InvalidAudioError(
                "the audio begins like a file (WAV, FLAC, OGG, MP3 or MP4), and a stream takes raw "
                "samples; send the samples without the header, or the whole file to Recognize",
                "audio",
            )


def decode_frames(data: bytes, audio_format: AudioFormat) -> Samples:
    """Decode whole frames and mix their channels down.

    Returns:
        Mono samples at the format's own rate, shape (frames,).
    """
    samples = _DECODERS[audio_format.encoding](data)
    if audio_format.channel_count == 1:
        return samples
    channels = samples.reshape(-1, audio_format.channel_count)
    # Summed channel by channel: a library's reduction may round differently with
    # the number of frames, and with it the result would depend on the cuts.
    mixed = channels[:, 0].copy()
    for channel in range(1, audio_format.channel_count):
        mixed += channels[:, channel]
    return mixed / np.float32(audio_format.channel_count)


def _decode_s16le(data: bytes) -> Samples:
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(32768)


def _decode_f32le(data: bytes) -> Samples:
    samples = np.frombuffer(data, dtype="<f4").astype(np.float32)
    return np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)


def _mulaw_table() -> NDArray[np.float32]:
    """All 256 codes of G.711 mu-law as samples; ITU-T G.711, table 2."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768).astype(np.float32)


def _alaw_table() -> NDArray[np.float32]:
    """All 256 codes of G.711 A-law as samples; ITU-T G.711, table 1."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent = (code & 0x70) >> 4
    mantissa = (code & 0x0F) << 4
    magnitude = np.where(
        exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0)
    )
    return (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)


_MULAW = _mulaw_table()
_ALAW = _alaw_table()

_DECODERS: Mapping[AudioEncoding, Callable[[bytes], Samples]] = {
    AudioEncoding.PCM_S16LE: _decode_s16le,
    AudioEncoding.PCM_F32LE: _decode_f32le,
    AudioEncoding.MULAW: lambda data: _MULAW[np.frombuffer(data, dtype=np.uint8)],
    AudioEncoding.ALAW: lambda data: _ALAW[np.frombuffer(data, dtype=np.uint8)],
}
