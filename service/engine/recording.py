"""Complete recordings: files that libsndfile reads, or raw audio."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.core.audio import AudioEncoding, AudioFormat, looks_like_a_file
from service.core.errors import InvalidAudioError

if TYPE_CHECKING:
    import soundfile

BLOCK_S = 1.0
"""Audio that is decoded at a time, so that a compressed file is never whole in memory."""

MP3_SYNC = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
"""First bytes of an MP3 file without tags. Raw audio may begin so too, so they count
only where libsndfile agrees."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Audio of a known format, to be read once from its begin."""

    audio_format: AudioFormat
    blocks: Iterator[bytes]


def open_recording(data: bytes, audio_format: AudioFormat | None) -> Recording:
    """Find out what the bytes are: a file if no format is given and they begin like one.

    Raises:
        InvalidAudioError: the file cannot be read, or there is no audio at all.
        InvalidFieldError: its rate or its number of channels is out of range.
    """
    if not data:
        raise InvalidAudioError("the recording is empty; send its bytes in `audio`", "audio")
    if audio_format is None and looks_like_a_file(data):
        return _open_file(data)
    if audio_format is None and data.startswith(MP3_SYNC):
        try:
            return _open_file(data)
        except InvalidAudioError:
            pass
    known = audio_format or AudioFormat()
    block_bytes = round(known.sample_rate_hz * BLOCK_S) * known.frame_bytes
    blocks = (data[begin : begin + block_bytes] for begin in range(0, len(data), block_bytes))
    return Recording(known, blocks)


def _open_file(data: bytes) -> Recording:
    import soundfile

    try:
        file = soundfile.SoundFile(io.BytesIO(data))
    except soundfile.LibsndfileError as error:
        raise _unreadable(error) from error
    audio_format = AudioFormat(AudioEncoding.PCM_F32LE, file.samplerate, file.channels)
    return Recording(audio_format, _blocks(file))


def _blocks(file: soundfile.SoundFile) -> Iterator[bytes]:
    import soundfile

    try:
        with file:
            for block in file.blocks(round(file.samplerate * BLOCK_S), dtype="float32"):
                yield block.astype("<f4").tobytes()
    except soundfile.LibsndfileError as error:
        raise _unreadable(error) from error


def _unreadable(error: soundfile.LibsndfileError) -> InvalidAudioError:
    # Only what libsndfile says: the exception's own text names objects of this process.
    return InvalidAudioError(
        f"the file cannot be read as audio ({error.error_string.rstrip('.')}); "
        "send WAV, FLAC, OGG or MP3, or raw samples with audio_format",
        "audio",
    )
