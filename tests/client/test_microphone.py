"""Choosing a microphone and capturing from it, on scripted devices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.microphone import (
    MAX_WAITING_S,
    Capture,
    Converter,
    Device,
    MicrophoneError,
    Settings,
    choose_device,
    choose_settings,
)
from tests.client.fake_audio import BUILTIN, CAMERA, DEVICES, HEADSET, FakeAudio


@pytest.mark.parametrize(
    ("wanted", "device"),
    [(None, BUILTIN), ("3", HEADSET), ("camera", CAMERA), ("USB HEADSET", HEADSET)],
)
def test_choosing(wanted, device):
    """A device is found by number, by name, by a part of it, or as the default."""
    assert choose_device(DEVICES, wanted) == device


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("usb", '"usb" may mean several devices, name one: 3 "USB Headset", 12 "USB Camera"'),
        ("7", 'no microphone is called "7"; there are: 0 "Built-in Audio", 3 "USB Headset"'),
    ],
)
def test_choosing_in_vain(wanted, sentence):
    """A name that fits several devices, or none, is answered with those that there are."""
    with pytest.raises(MicrophoneError) as caught:
        choose_device(DEVICES, wanted)
    assert str(caught.value).startswith(sentence)


def test_a_whole_name_wins():
    """A name that is also a part of another one means the device that has it whole."""
    longer = Device(1, "Built-in Audio Pro", 2, 48_000)
    assert choose_device([longer, BUILTIN], "built-in audio") == BUILTIN


def test_no_devices():
    """A machine without microphones says so, and what may be missing."""
    with pytest.raises(MicrophoneError, match="no microphone was found; plug one in"):
        choose_device([], None)


def test_no_default():
    """Where the system names no default, the first device is taken."""
    assert choose_device([HEADSET, CAMERA], None) == HEADSET


@pytest.mark.parametrize(
    ("supported", "chosen"),
    [
        (None, Settings(16_000, 1)),
        ([Settings(16_000, 2), Settings(48_000, 1)], Settings(16_000, 2)),
        ([Settings(48_000, 1), Settings(48_000, 2)], Settings(48_000, 1)),
        ([Settings(48_000, 2)], Settings(48_000, 2)),
    ],
)
def test_settings(supported, chosen):
    """16 kHz and one channel are wanted; a device that refuses is asked for its own ways."""
    assert choose_settings(FakeAudio(supported=supported), BUILTIN) == chosen


def test_a_device_that_refuses_everything():
    """A device that cannot be opened at all is one sentence."""
    with pytest.raises(MicrophoneError, match="is another program using it"):
        choose_settings(FakeAudio(supported=[]), BUILTIN)


@given(st.lists(st.integers(0, 999), max_size=20), st.sampled_from([16_000, 44_100, 48_000]))
def test_conversion_keeps_time(sizes, rate_hz):
    """However samples are cut, as much time comes out as went in, and the same samples."""

    def convert(blocks):
        converter = Converter(Settings(rate_hz, 2))
        return b"".join([*map(converter.convert, blocks), converter.finish()])

    total = sum(sizes)
    samples = np.random.default_rng(1).integers(-9999, 9999, (total, 2), dtype=np.int16)
    cuts = np.cumsum(sizes)
    whole = convert([samples.tobytes()])
    cut = convert([block.tobytes() for block in np.split(samples, cuts)])
    assert len(whole) / 2 / 16_000 == pytest.approx(total / rate_hz, abs=0.001)
    left, right = np.frombuffer(whole, "<i2"), np.frombuffer(cut, "<i2")
    assert len(left) == len(right)
    assert np.abs(left.astype(int) - right).max(initial=0) <= 1


def test_conversion_keeps_the_tone():
    """A tone captured at 48 kHz in two channels arrives at 16 kHz as the same tone."""
    times_s = np.arange(48_000) / 48_000
    tone = (10_000 * np.sin(2 * np.pi * 440 * times_s)).astype(np.int16)
    converter = Converter(Settings(48_000, 2))
    sent = converter.convert(np.stack([tone, tone], axis=1).tobytes()) + converter.finish()
    spectrum = np.abs(np.fft.rfft(np.frombuffer(sent, "<i2")))
    assert int(np.argmax(spectrum)) == 440
    assert np.abs(np.frombuffer(sent, "<i2")).max() == pytest.approx(10_000, rel=0.02)


async def test_capture_until_stopped():
    """What came before the stop is handed out, all of it and in order, and nothing after."""
    blocks = [bytes([n]) * 3200 for n in range(20)]
    audio = FakeAudio(blocks)
    levels = []
    capture = Capture(audio, BUILTIN, Settings(16_000, 1), on_level=levels.append)
    received = []
    async for block in capture.blocks():
        received.append(block)
        if len(received) == 1:
            assert audio.played.wait(50)
            capture.stop()
    assert [block for block in received if block] == blocks
    assert audio.opened == (BUILTIN, Settings(16_000, 1))
    assert capture.lost_s == 0
    assert levels[1] == pytest.approx(0x0101 / 32768)


async def test_a_device_that_stops_by_itself():
    """A device that is unplugged ends the audio and is told from a stop."""
    capture = Capture(FakeAudio([bytes(3200)], ends=True), BUILTIN, Settings(16_000, 1))
    assert b"".join([block async for block in capture.blocks()]) == bytes(3200)
    assert capture.device_ended


async def test_losses_are_counted():
    """What a slow server makes us drop is counted in seconds, what the device lost in times."""
    too_much_s = 3.0
    count = round((MAX_WAITING_S + too_much_s) * 10)
    audio = FakeAudio([bytes(3200)] * count, lost_at=(2, 5))
    capture = Capture(audio, BUILTIN, Settings(16_000, 1))
    received_bytes = 0
    async for block in capture.blocks():
        received_bytes += len(block)
        # The device has played everything before the second block is asked for.
        assert audio.played.wait(50)
        capture.stop()
    assert capture.device_losses == 2
    assert capture.lost_s == pytest.approx(too_much_s, abs=0.11)
    assert received_bytes / 32_000 + capture.lost_s == pytest.approx(count / 10)
