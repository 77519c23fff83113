"""Recordings and raw samples, as blocks of bytes that a stream can take."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from protos.asr.v1.asr_pb2 import AudioEncoding, AudioFormat

if TYPE_CHECKING:
    import numpy as np
    import soundfile

MAX_CHANNELS = 8
MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 192_000
"""What the contract takes as raw audio."""

BYTES_PER_SAMPLE = {
    AudioEncoding.AUDIO_ENCODING_PCM_S16LE: 2,
    AudioEncoding.AUDIO_ENCODING_PCM_F32LE: 4,
    AudioEncoding.AUDIO_ENCODING_MULAW: 1,
    AudioEncoding.AUDIO_ENCODING_ALAW: 1,
}

_FFMPEG_RATE_HZ = 16_000
_FRAMES_UNKNOWN = 2**63 - 1
"""What libsndfile counts where a header does not say how much follows it."""

_CHAINED = ("FLAC", "MP3", "OGG")
"""Formats of which several files may follow one another in one. libsndfile reads the first."""

_LENGTH_GUESSED = ("MP3", "OGG")
"""Formats whose length libsndfile takes from the first frames or the first file of a chain."""

_LENGTH_COUNTED = ("aac", "mp3", "ogg")
"""The same for ffprobe, with its names of formats."""

_TAGS_BYTES = 4096
"""What may follow the audio of a file without being any."""

_CONTAINER_MARKS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "OGG", b"ID3": "MP3"}


class SourceError(Exception):
    """The audio cannot be read. `str()` of it is a sentence for people."""


@dataclass(frozen=True)
class Source:
    """Audio that can be streamed once."""

    name: str
    """What the user called it."""

    audio_format: AudioFormat
    """How its bytes are to be understood."""

    duration_s: float | None
    """How long it is; None where nobody knows before the end."""

    blocks: Callable[[float], Iterator[bytes]]
    """Makes the blocks, each at most so many seconds long. They block, and raise `SourceError`."""

    @property
    def bytes_per_s(self) -> int:
        """Bytes in a second of its audio."""
        return bytes_per_s(self.audio_format)


def bytes_per_s(audio_format: AudioFormat) -> int:
    """Count the bytes of a second of raw audio."""
    sample_bytes = BYTES_PER_SAMPLE[audio_format.encoding]
    return sample_bytes * audio_format.channel_count * audio_format.sample_rate_hertz


def open_recording(path: str) -> Source:
    """Open a file of any kind that libsndfile reads whole, or else ffmpeg.

    Raises:
        SourceError: Where there is no such file, it is not audio, or not all of it can be read.
    """
    file = Path(path)
    if file.is_dir():
        raise SourceError(f"{path} is a directory; name the files in it")
    if file.suffix.lower() == ".raw":
        raise SourceError(
            f"{path} holds raw samples, which do not say what they are; give them on standard "
            "input, with --rate, --channels and --encoding: "
            f"python -m client.file - < {shlex.quote(path)}"
        )
    try:
        file.open("rb").close()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {_reason(error)}") from None
    has_ffmpeg = shutil.which("ffmpeg") is not None
    try:
        source = _open_with_libsndfile(path)
    except SourceError as error:
        if not has_ffmpeg:
            raise SourceError(f"{error}; install ffmpeg, which may read it") from None
    else:
        # Where libsndfile does not know how long it is, it may not read all of it.
        if source.duration_s is not None or not has_ffmpeg:
            return source
    return _open_with_ffmpeg(path)


def open_raw(file_descriptor: int, name: str, audio_format: AudioFormat) -> Source:
    """Open raw samples that come through a file descriptor, such as standard input."""

    def read(block_bytes: int) -> bytes:
        # One read returns what a live pipe has so far, so that nothing waits for a full block.
        try:
            return os.read(file_descriptor, block_bytes)
        except OSError as error:
            raise SourceError(f"{name} cannot be read: {_reason(error)}") from None

    def blocks(block_s: float) -> Iterator[bytes]:
        block_bytes = _whole_frames_bytes(audio_format, block_s)
        block = read(block_bytes)
        for mark, container in _CONTAINER_MARKS.items():
            if block.startswith(mark):
                raise SourceError(
                    f"{name} holds a {container} file, not raw samples; give its path instead"
                )
        while block:
            yield block
            block = read(block_bytes)

    return Source(name, audio_format, None, blocks)


def _read_header(path: str) -> "tuple[soundfile.SoundFile, int]":
    """Return what libsndfile read of a file's begin, closed, and how many bytes lie behind."""
    # Imported here so that raw samples can be streamed without it.
    import soundfile

    try:
        with Path(path).open("rb") as stored:
            if not stored.seekable():
                raise SourceError(f"{path} is a pipe, in which libsndfile cannot look about")
            with soundfile.SoundFile(stored) as header:
                return header, _unread_bytes(stored)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {_reason(error)}") from None
    except soundfile.LibsndfileError as error:
        why = error.error_string
        raise SourceError(f"{path} is not audio that libsndfile can read ({why})") from None


def _open_with_libsndfile(path: str) -> Source:
    import soundfile

    header, unread_bytes = _read_header(path)
    rate_hz, file_channels = header.samplerate, header.channels
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise SourceError(
            f"{path} has {rate_hz} samples a second; {MIN_RATE_HZ} to {MAX_RATE_HZ} can be streamed"
        )
    if header.frames == _FRAMES_UNKNOWN:
        raise SourceError(f"{path} does not say how long it is, so libsndfile cannot read its end")
    if header.frames == 0 and unread_bytes > _TAGS_BYTES:
        raise SourceError(f"{path} says that it holds no audio; its header was never completed")
    channels = file_channels if file_channels <= MAX_CHANNELS else 1

    def blocks(block_s: float) -> Iterator[bytes]:
        block_frames = max(1, int(block_s * rate_hz))
        try:
            with Path(path).open("rb") as stored, soundfile.SoundFile(stored) as file:
                # Floats, since libsndfile does not scale those of a file when asked for integers.
                while len(samples := file.read(block_frames, dtype="float32", always_2d=True)):
                    yield _s16le(samples, mix_down=channels != file_channels)
                unread_bytes = _unread_bytes(stored)
        except (soundfile.SoundFileError, OSError) as error:
            raise SourceError(f"{path} cannot be read to its end ({error})") from None
        if header.format in _CHAINED and unread_bytes > _TAGS_BYTES:
            raise SourceError(
                f"{path} goes on after what libsndfile reads of it: {unread_bytes} bytes were not "
                "heard; make a file of it that is read whole: "
                f"ffmpeg -i {shlex.quote(path)} whole.wav"
            )

    audio_format = AudioFormat(
        encoding=AudioEncoding.AUDIO_ENCODING_PCM_S16LE,
        sample_rate_hertz=rate_hz,
        channel_count=channels,
    )
    duration_s = None if header.format in _LENGTH_GUESSED else header.frames / rate_hz
    return Source(path, audio_format, duration_s, blocks)


def _unread_bytes(stored: BinaryIO) -> int:
    return os.fstat(stored.fileno()).st_size - stored.tell()


def _s16le(
    samples: "np.ndarray[tuple[int, int], np.dtype[np.float32]]", *, mix_down: bool
) -> bytes:
    """Convert frames of floats to interleaved 16-bit integers; exact for 16-bit files."""
    import numpy as np

    if mix_down:
        samples = samples.mean(axis=1, keepdims=True)
    scaled = np.nan_to_num(samples.astype(np.float64) * 32768.0)
    return np.clip(np.rint(scaled), -32768, 32767).astype("<i2").tobytes()


def _open_with_ffmpeg(path: str) -> Source:
    """Let ffmpeg convert the file to what most models hear."""
    reading = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}"]
    # A second is tried first, so that no stream is opened for what is not audio.
    trial = subprocess.run(
        [*reading, "-vn", "-t", "1", "-f", "null", "-"], capture_output=True, check=False
    )
    if trial.returncode != 0:
        raise _unreadable(path, trial.stderr)
    command = [*reading, "-f", "s16le", "-ac", "1", "-ar", str(_FFMPEG_RATE_HZ), "-"]
    audio_format = AudioFormat(
        encoding=AudioEncoding.AUDIO_ENCODING_PCM_S16LE,
        sample_rate_hertz=_FFMPEG_RATE_HZ,
        channel_count=1,
    )
    duration_s = _duration_by_ffprobe(path, reading)

    def blocks(block_s: float) -> Iterator[bytes]:
        block_bytes = _whole_frames_bytes(audio_format, block_s)
        # A file and not a pipe for its complaints: a full pipe that nobody reads would stop it.
        with (
            tempfile.TemporaryFile() as complaints,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints) as process,
        ):
            try:
                while process.stdout and (block := process.stdout.read(block_bytes)):
                    yield block
            except GeneratorExit:
                process.kill()
                raise
            if process.wait() != 0:
                complaints.seek(0)
                raise _unreadable(path, complaints.read())

    return Source(path, audio_format, duration_s, blocks)


def _duration_by_ffprobe(path: str, reading: list[str]) -> float | None:
    """Read the length that a file claims to have, or count it where a claim would be a guess.

    None where the file says nothing of it.
    """
    if shutil.which("ffprobe") is None:
        return None
    asking = ["ffprobe", "-v", "error", "-show_entries", "format=format_name,duration"]
    asked = subprocess.run(
        [*asking, "-of", "default=nw=1:nk=1", f"file:{path}"],
        capture_output=True,
        check=False,
        text=True,
    )
    format_name, _, claimed_s = asked.stdout.strip().partition("\n")
    if format_name in _LENGTH_COUNTED:
        return _counted_by_ffmpeg(reading)
    try:
        return float(claimed_s)
    except ValueError:
        return None


def _counted_by_ffmpeg(reading: list[str]) -> float | None:
    """Add up the lengths of the packets, without decoding them: an hour takes half a second."""
    counting = [*reading, "-vn", "-c", "copy", "-f", "null", "-progress", "pipe:1", "-"]
    counted = subprocess.run(counting, capture_output=True, check=False, text=True)
    lengths_us = re.findall(r"^out_time_us=(\d+)$", counted.stdout, re.MULTILINE)
    return int(lengths_us[-1]) / 1e6 if lengths_us else None


def _unreadable(path: str, complaints: bytes) -> SourceError:
    said = complaints.decode(errors="replace").strip().splitlines() or ["nothing"]
    return SourceError(f"{path} is not audio that can be read; ffmpeg says: {said[-1]}")


def _reason(error: OSError) -> str:
    return (error.strerror or "error").lower()


def _whole_frames_bytes(audio_format: AudioFormat, duration_s: float) -> int:
    """Count the bytes of the whole frames in so much audio; at least one frame."""
    frame_bytes = BYTES_PER_SAMPLE[audio_format.encoding] * audio_format.channel_count
    return frame_bytes * max(1, int(duration_s * audio_format.sample_rate_hertz))
