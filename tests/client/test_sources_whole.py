"""Recordings that do not say, or not rightly, where they end: nothing of them is lost silently."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from client.sources import SourceError, open_recording

FFMPEG = shutil.which("ffmpeg") or ""

needs_ffmpeg = pytest.mark.skipif(
    not FFMPEG, reason="ffmpeg is not installed: apt-get install ffmpeg"
)


def content(source):
    return b"".join(source.blocks(0.1))


def write_chain(path):
    """Write two recordings of two seconds one after the other, as `cat` does."""
    soundfile.write(path, 0.5 * np.sin(np.arange(32_000) * 0.1), 16_000)
    path.write_bytes(path.read_bytes() * 2)
    return str(path)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_a_chain_of_files_is_heard_whole(tmp_path, suffix):
    """Files joined to one are read to the end of the last, and the length is that of all."""
    source = open_recording(write_chain(tmp_path / f"chain{suffix}"))
    assert len(content(source)) / source.bytes_per_s == pytest.approx(4.0, abs=0.3)
    assert source.duration_s == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize("suffix", [".ogg", ".flac"])
def test_what_follows_the_first_file_of_a_chain_is_not_lost_silently(tmp_path, monkeypatch, suffix):
    """Where only the first of several joined files can be read, it is, and then the rest is told
    of, with what to do."""
    path = write_chain(tmp_path / f"chain{suffix}")
    monkeypatch.setenv("PATH", str(tmp_path))
    read = []
    with pytest.raises(SourceError, match=r"goes on after .* bytes were not heard; .*ffmpeg -i"):
        read.extend(open_recording(path).blocks(0.1))
    assert len(b"".join(read)) / 32_000 == pytest.approx(2.0, abs=0.15)


@needs_ffmpeg
def test_an_mp3_without_a_table_of_its_length(tmp_path):
    """An MP3 of varying bit rate is read to its end though no header tells where that is."""
    path = tmp_path / "piped.mp3"
    options = ["-v", "error", "-i", "samples/demo.flac", "-q:a", "4", "-write_xing", "0"]
    subprocess.run([FFMPEG, *options, path], check=True)
    source = open_recording(str(path))
    assert len(content(source)) / source.bytes_per_s == pytest.approx(22.35, abs=0.1)
    assert source.duration_s == pytest.approx(22.35, abs=0.1)


def write_unfinished_wav(path):
    """Write a second as a recorder leaves it that is killed: the header says 0 bytes."""
    soundfile.write(path, np.ones(16_000, dtype=np.int16), 16_000)
    data = path.read_bytes()
    size_at = data.index(b"data") + 4
    path.write_bytes(data[:size_at] + bytes(4) + data[size_at + 4 :])
    return str(path)


def write_endless_flac(path):
    """Write a second as an encoder does whose output is a pipe: the header has no length."""
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 16_000), 16_000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    return str(path)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("write", "name"), [(write_unfinished_wav, "a.wav"), (write_endless_flac, "a.flac")]
)
def test_a_header_that_was_never_completed(tmp_path, write, name):
    """What a header does not tell of is read all the same."""
    source = open_recording(write(tmp_path / name))
    assert len(content(source)) == 32_000
    assert source.duration_s in (None, 1.0)


@pytest.mark.parametrize(
    ("write", "name", "sentence"),
    [
        (write_unfinished_wav, "a.wav", "holds no audio; its header was never completed"),
        (write_endless_flac, "a.flac", "does not say how long it is"),
    ],
)
def test_an_incomplete_header_without_ffmpeg(tmp_path, monkeypatch, write, name, sentence):
    """Where a header keeps audio from being read, that is said, with the remedy."""
    path = write(tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=f"{name} .*{sentence}.*; install ffmpeg"):
        open_recording(path)
