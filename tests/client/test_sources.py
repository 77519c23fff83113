"""Recordings and raw samples as blocks."""

import os
import shutil
import stat
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from client.sources import SourceError, bytes_per_s, open_raw, open_recording
from protos.asr.v1.asr_pb2 import AudioEncoding, AudioFormat

MONO = AudioFormat(
    encoding=AudioEncoding.AUDIO_ENCODING_PCM_S16LE, sample_rate_hertz=16_000, channel_count=1
)


def content(source, block_s=0.1):
    return b"".join(source.blocks(block_s))


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_sixteen_bit_files_are_sent_bit_for_bit(tmp_path, suffix, channels):
    """Files of 16-bit samples arrive exactly as they are, at their own rate and channels."""
    samples = np.random.default_rng(1).integers(-32768, 32768, (5000, channels), dtype=np.int16)
    samples[:2] = [[-32768], [32767]]
    path = tmp_path / f"noise{suffix}"
    soundfile.write(path, samples, 44_100, subtype="PCM_16")
    source = open_recording(str(path))
    assert content(source) == samples.tobytes()
    assert source.audio_format.sample_rate_hertz == 44_100
    assert source.audio_format.channel_count == channels
    assert source.duration_s == pytest.approx(5000 / 44_100)


def test_floats_are_scaled_and_clipped(tmp_path):
    """Full scale of a file of floats is full scale on the wire; what is beyond is clipped."""
    path = tmp_path / "floats.wav"
    values = np.array([0.0, 0.5, -1.0, 1.0, 7.0, -7.0, np.nan], dtype=np.float32)
    soundfile.write(path, values, 16_000, subtype="FLOAT")
    sent = np.frombuffer(content(open_recording(str(path))), "<i2")
    assert sent.tolist() == [0, 16384, -32768, 32767, 32767, -32768, 0]


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_lossy_files(tmp_path, suffix):
    """OGG and MP3 are read, with their length and loudness."""
    path = tmp_path / f"tone{suffix}"
    tone = 0.5 * np.sin(np.arange(32_000) * 0.1)
    soundfile.write(path, tone, 16_000)
    source = open_recording(str(path))
    sent = np.frombuffer(content(source), "<i2")
    assert len(sent) / 16_000 == pytest.approx(2.0, abs=0.15)
    assert np.abs(sent).max() == pytest.approx(16_384, rel=0.1)


def test_a_name_that_is_not_text(tmp_path):
    """A file whose name is not UTF-8 is read like any other."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    soundfile.write(os.fsencode(path), np.zeros(160, dtype=np.int16), 16_000)
    assert content(open_recording(path)) == bytes(320)


def test_raw_samples_in_a_file(tmp_path):
    """A file of raw samples says nothing of their format; the way to give it is told."""
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(320))
    with pytest.raises(SourceError, match=rf"on standard input, .*client\.file - < {path}"):
        open_recording(str(path))


def test_raw_samples_that_cannot_be_read(tmp_path):
    """A folder in the place of samples is a sentence."""
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(SourceError, match="standard input cannot be read: is a directory"):
        content(open_raw(folder, "standard input", MONO))
    os.close(folder)


def test_more_channels_than_the_contract_takes(tmp_path):
    """More than eight channels are mixed down on this side."""
    path = tmp_path / "many.wav"
    soundfile.write(path, np.tile(np.linspace(-0.5, 0.5, 12), (100, 1)), 16_000)
    source = open_recording(str(path))
    assert source.audio_format.channel_count == 1
    assert np.abs(np.frombuffer(content(source), "<i2")).max() <= 1


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(0, 3000), block_s=st.floats(1e-5, 0.3), channels=st.integers(1, 3))
def test_blocks_lose_no_sample(tmp_path_factory, frames, block_s, channels):
    """Whatever the size of blocks, together they are the file; none is longer than asked for."""
    path = tmp_path_factory.mktemp("blocks") / "noise.wav"
    samples = np.arange(frames * channels, dtype=np.int16).reshape(frames, channels)
    soundfile.write(path, samples, 16_000)
    blocks = list(open_recording(str(path)).blocks(block_s))
    assert b"".join(blocks) == samples.tobytes()
    longest = max(1, int(block_s * 16_000)) * 2 * channels
    assert all(0 < len(block) <= longest for block in blocks)


def test_raw_samples(tmp_path):
    """Raw samples pass as they are, odd bytes included, in blocks of whole frames."""
    path = tmp_path / "raw"
    path.write_bytes(bytes(range(256)) * 13 + b"x")
    with path.open("rb") as file:
        blocks = list(open_raw(file.fileno(), "raw", MONO).blocks(0.01))
    assert b"".join(blocks) == path.read_bytes()
    assert {len(block) for block in blocks[:-1]} == {320}


def test_a_live_pipe_is_passed_on_at_once():
    """Samples from a pipe do not wait until a block is full."""
    reading, writing = os.pipe()
    blocks = open_raw(reading, "pipe", MONO).blocks(0.1)
    os.write(writing, b"ab")
    assert next(blocks) == b"ab"
    os.close(writing)
    assert list(blocks) == []
    os.close(reading)


@pytest.mark.parametrize(("mark", "name"), [(b"RIFF....WAVE", "WAV"), (b"fLaC....", "FLAC")])
def test_a_container_is_not_raw(tmp_path, mark, name):
    """A WAV or FLAC file on standard input is told from noise, before any of it is sent."""
    path = tmp_path / "raw"
    path.write_bytes(mark)
    with path.open("rb") as file:
        blocks = open_raw(file.fileno(), "standard input", MONO).blocks(0.1)
        with pytest.raises(SourceError, match=f"holds a {name} file"):
            next(blocks)


def test_bytes_per_s():
    """A second of eight channels of floats is counted right."""
    audio_format = AudioFormat(
        encoding=AudioEncoding.AUDIO_ENCODING_PCM_F32LE, sample_rate_hertz=8000, channel_count=8
    )
    assert bytes_per_s(audio_format) == 8000 * 8 * 4


def test_missing_file(tmp_path):
    """A file that is not there is named."""
    with pytest.raises(SourceError, match=r"nope\.wav cannot be read: no such file"):
        open_recording(str(tmp_path / "nope.wav"))


def test_directory(tmp_path):
    """A directory is called one."""
    with pytest.raises(SourceError, match="is a directory"):
        open_recording(str(tmp_path))


@pytest.mark.parametrize("data", [b"", b"hello", b"RIFF\xff\xff\xff\xffWAVEfmt "])
def test_not_audio(tmp_path, monkeypatch, data):
    """What is not audio is named, with the way to read more formats."""
    path = tmp_path / "letter.txt"
    path.write_bytes(data)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"letter\.txt is not audio .*install ffmpeg"):
        open_recording(str(path))


def test_a_rate_that_cannot_be_streamed(tmp_path, monkeypatch):
    """A rate that the contract does not take is named, with those that it takes."""
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(100), 4000)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="4000 samples a second; 8000 to 192000"):
        open_recording(str(path))


def test_a_torn_file(tmp_path):
    """A file that breaks off gives what there is, or says that it cannot be read to its end."""
    path = tmp_path / "torn.flac"
    noise = np.random.default_rng(1).normal(0, 0.1, 64_000)
    soundfile.write(path, noise, 16_000)
    path.write_bytes(path.read_bytes()[:40_000])
    read = []
    try:
        read.extend(open_recording(str(path)).blocks(0.1))
    except SourceError as error:
        assert "cannot be read to its end" in str(error)  # noqa: PT017 - either is right
    assert 0 < len(b"".join(read)) < 128_000


TRIAL_PASSES = 'case "$*" in *null*) exit 0;; esac;'
"""For a fake ffmpeg: the second that is read on trial is fine."""


@pytest.fixture
def fake_ffmpeg(tmp_path, monkeypatch):
    """Put a program called ffmpeg in the path that does what a test says."""

    def make(script):
        program = tmp_path / "bin" / "ffmpeg"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return make


def test_other_formats_go_through_ffmpeg(tmp_path, fake_ffmpeg):
    """What libsndfile cannot read is converted by ffmpeg to 16 kHz and one channel."""
    fake_ffmpeg(f'echo "$@" > {tmp_path}/arguments; printf 123456')
    path = tmp_path / "talk.m4a"
    path.write_bytes(b"not for libsndfile")
    source = open_recording(str(path))
    assert source.audio_format == MONO
    assert source.duration_s is None
    assert content(source) == b"123456"
    arguments = (tmp_path / "arguments").read_text()
    assert f"-i file:{path} -f s16le -ac 1 -ar 16000 -" in arguments


def test_what_ffmpeg_cannot_read(tmp_path, fake_ffmpeg):
    """Where ffmpeg fails too, its last word is passed on."""
    fake_ffmpeg("echo first >&2; echo Invalid data found >&2; exit 1")
    path = tmp_path / "letter.txt"
    path.write_bytes(b"hello")
    with pytest.raises(SourceError, match="ffmpeg says: Invalid data found"):
        open_recording(str(path))


def test_what_ffmpeg_cannot_read_to_its_end(tmp_path, fake_ffmpeg):
    """Where ffmpeg fails behind the first second, what it read is there, then the complaint."""
    fake_ffmpeg(f"{TRIAL_PASSES} printf 1234; echo Truncated >&2; exit 1")
    path = tmp_path / "talk.m4a"
    path.write_bytes(b"not for libsndfile")
    blocks = open_recording(str(path)).blocks(0.1)
    assert next(blocks) == b"1234"
    with pytest.raises(SourceError, match="ffmpeg says: Truncated"):
        next(blocks)


def test_leaving_ffmpeg_early(tmp_path, fake_ffmpeg):
    """Whoever stops reading stops ffmpeg too."""
    fake_ffmpeg(f"{TRIAL_PASSES} exec cat /dev/zero")
    path = tmp_path / "talk.m4a"
    path.write_bytes(b"not for libsndfile")
    blocks = open_recording(str(path)).blocks(0.1)
    assert len(next(blocks)) == 3200
    blocks.close()


def test_a_format_of_ffmpeg_says_how_long_it_is(tmp_path):
    """What only ffmpeg reads has a length too, where the file tells it."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("ffmpeg is not installed: apt-get install ffmpeg")
    wav, path = tmp_path / "talk.wav", tmp_path / "talk.m4a"
    soundfile.write(wav, np.zeros(32_000), 16_000)
    subprocess.run([ffmpeg, "-v", "error", "-i", wav, path], check=True)
    source = open_recording(str(path))
    assert source.duration_s == pytest.approx(2, abs=0.2)
    assert len(content(source)) / source.bytes_per_s == pytest.approx(2, abs=0.2)
