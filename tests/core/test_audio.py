"""From bytes to samples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.audio import (
    AudioConverter,
    AudioEncoding,
    AudioFormat,
    decode_frames,
    looks_like_a_file,
)
from service.core.errors import InvalidAudioError, InvalidFieldError


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


def _feed_bytewise(converter: AudioConverter, data: bytes) -> None:
    for index in range(len(data)):
        converter.feed(data[index : index + 1])


def _convert(audio_format: AudioFormat, pieces: list[bytes]) -> np.ndarray:
    converter = AudioConverter(audio_format)
    return np.concatenate([*map(converter.feed, pieces), converter.flush()])


formats = st.builds(
    AudioFormat,
    encoding=st.sampled_from(AudioEncoding),
    sample_rate_hz=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000]),
    channel_count=st.integers(1, 8),
)


@settings(max_examples=60, deadline=None)
@given(audio_format=formats, seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 10**6)))
def test_any_cut_of_the_bytes_gives_the_same_samples(audio_format, seed, cuts):
    """Samples do not depend on how the bytes were cut, in any format, to the bit."""
    data = np.random.default_rng(seed).integers(0, 256, 20_011, np.uint8).tobytes()
    whole = _convert(audio_format, [data])
    assert np.array_equal(whole, _convert(audio_format, _cut(data, cuts)))
    assert np.isfinite(whole).all()


def test_one_byte_at_a_time_gives_the_same_samples():
    """The smallest possible messages, which cut through every sample, change nothing."""
    audio_format = AudioFormat(AudioEncoding.PCM_F32LE, 44_100, 3)
    data = np.random.default_rng(1).uniform(-1, 1, 3 * 2_000).astype("<f4").tobytes()
    bytewise = [data[index : index + 1] for index in range(len(data))]
    assert np.array_equal(_convert(audio_format, [data]), _convert(audio_format, bytewise))


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000, 192_000])
def test_streaming_resampling_is_what_soxr_gives_for_the_whole(rate_hz):
    """The stream's samples are those of the recording resampled at once, to the bit."""
    frames = np.random.default_rng(2).uniform(-0.5, 0.5, rate_hz).astype(np.float32)
    streamed = _convert(
        AudioFormat(AudioEncoding.PCM_F32LE, rate_hz, 1), _cut(frames.tobytes(), [999, 4_001])
    )
    assert np.array_equal(soxr.resample(frames, rate_hz, 16_000), streamed)


@settings(max_examples=40, deadline=None)
@given(
    rate_hz=st.sampled_from([8_000, 11_025, 16_000, 44_100, 96_000]),
    blocks=st.lists(st.integers(0, 5_000), min_size=1, max_size=30),
)
def test_flushes_never_let_the_clock_drift(rate_hz, blocks):
    """After every flush there are as many samples as the audio is long."""
    converter = AudioConverter(AudioFormat(AudioEncoding.MULAW, rate_hz, 1))
    frames = samples = 0
    for block in blocks:
        samples += len(converter.feed(bytes(block))) + len(converter.flush())
        frames += block
        assert frames * 16_000 // rate_hz == samples
    assert frames == converter.received_frames


def test_silence_counts_as_zero_samples():
    """A silence is what the same number of zero samples is."""
    audio_format = AudioFormat(AudioEncoding.PCM_S16LE, 48_000, 2)
    tone = np.random.default_rng(3).integers(-9_999, 9_999, 9_600).astype("<i2").tobytes()
    one, other = AudioConverter(audio_format), AudioConverter(audio_format)
    sent = [one.feed(tone), one.feed(bytes(4 * 7_001)), one.feed(tone), one.flush()]
    said = [other.feed(tone), other.silence(7_001), other.feed(tone), other.flush()]
    assert np.array_equal(np.concatenate(sent), np.concatenate(said))
    assert one.received_frames == other.received_frames


def test_channels_are_averaged():
    """Mixing down takes the mean of the channels."""
    frames = np.array([[0.5, -0.5, 0.3], [1.0, 1.0, 1.0]], dtype="<f4")
    mixed = decode_frames(frames.tobytes(), AudioFormat(AudioEncoding.PCM_F32LE, 16_000, 3))
    assert mixed == pytest.approx([0.1, 1.0])


def test_mulaw_and_alaw_follow_g711():
    """Codes decode to the levels of the standard's tables (ITU-T G.711)."""
    mulaw = decode_frames(bytes([0x00, 0x7F, 0x80, 0xFF, 0x8F]), AudioFormat(AudioEncoding.MULAW))
    alaw = decode_frames(bytes([0xD5, 0x55, 0xAA, 0x2A]), AudioFormat(AudioEncoding.ALAW))
    assert (mulaw * 32_768).tolist() == [-32_124, 0, 32_124, 0, 16_764]
    assert (alaw * 32_768).tolist() == [8, -8, 32_256, -32_256]


def test_floats_beyond_full_scale_do_no_harm():
    """NaN is silence, infinities and values beyond 1 are clipped."""
    frames = np.array([np.nan, np.inf, -np.inf, 7.0, -0.25], dtype="<f4").tobytes()
    samples = decode_frames(frames, AudioFormat(AudioEncoding.PCM_F32LE))
    assert samples.tolist() == [0.0, 1.0, -1.0, 1.0, -0.25]


@pytest.mark.parametrize(
    ("rate_hz", "channels", "field"),
    [
        (0, 1, "audio_format.sample_rate_hertz"),
        (7_999, 1, "audio_format.sample_rate_hertz"),
        (1_000_000, 1, "audio_format.sample_rate_hertz"),
        (16_000, 0, "audio_format.channel_count"),
        (16_000, 9, "audio_format.channel_count"),
    ],
)
def test_formats_out_of_range_are_refused(rate_hz, channels, field):
    """A rate or a number of channels out of range is refused by its name."""
    with pytest.raises(InvalidFieldError) as refusal:
        AudioFormat(AudioEncoding.PCM_S16LE, rate_hz, channels)
    assert field == refusal.value.field


@pytest.mark.parametrize("head", [b"RIFF1234WAVE", b"fLaC....", b"OggS", b"ID3.", b"....ftyp"])
def test_a_file_in_a_stream_is_refused(head):
    """A file's header in raw audio is refused, however it was cut, and says what to do."""
    assert looks_like_a_file(head)
    converter = AudioConverter(AudioFormat())
    with pytest.raises(InvalidAudioError, match="without the header"):
        _feed_bytewise(converter, head)
