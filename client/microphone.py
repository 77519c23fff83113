"""Microphones: which one, at which rate, and its samples as blocks for a stream.

Devices are reached through the `AudioSystem` protocol; `client.portaudio` is the real one.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

TARGET_RATE_HZ = 16_000
"""What is streamed: one channel of 16-bit samples at this rate."""

BLOCK_S = 0.1
"""Seconds of audio in a block, as the contract recommends."""

MAX_WAITING_S = 10.0
"""Audio that waits for a slow server before the newest is dropped, and counted."""


class MicrophoneError(Exception):
    """There is no microphone to listen to. `str()` of it says why and what to do."""


@dataclass(frozen=True)
class Device:
    """A device that can capture sound."""

    number: int
    name: str
    channels: int
    """The most it captures at once."""

    rate_hz: int
    """Its own rate."""

    is_default: bool = False
    """Whether the system would choose it."""


@dataclass(frozen=True)
class Settings:
    """How a device captures."""

    rate_hz: int
    channels: int


class OnBlock(Protocol):
    """Takes what a device captured. Called on its thread, which waits for nobody."""

    def __call__(self, block: bytes, *, lost_before: bool) -> None:
        """Take 16-bit little-endian samples, channels interleaved.

        Args:
            block: The samples.
            lost_before: Whether the device lost samples just before these.
        """
        ...


class AudioSystem(Protocol):
    """What is needed of a machine's sound."""

    def devices(self) -> list[Device]:
        """List what can capture sound."""
        ...

    def supports(self, device: Device, settings: Settings) -> bool:
        """Whether the device can capture so."""
        ...

    def open(
        self, device: Device, settings: Settings, on_block: OnBlock, on_end: Callable[[], None]
    ) -> AbstractContextManager[object]:
        """Capture within a block; `on_end` tells that the device captures no more."""
        ...


def choose_device(devices: Sequence[Device], wanted: str | None) -> Device:
    """Choose a device by its number, its name or a part of it; None means the default.

    Raises:
        MicrophoneError: Where there is none, or more than one.
    """
    if not devices:
        raise MicrophoneError(
            "no microphone was found; plug one in, and check that you may use it "
            "(on Linux the group audio, in a container --device /dev/snd)"
        )
    if wanted is None:
        return next((device for device in devices if device.is_default), devices[0])
    by_number = [device for device in devices if str(device.number) == wanted]
    by_name = [device for device in devices if device.name.lower() == wanted.lower()]
    by_part = [device for device in devices if wanted.lower() in device.name.lower()]
    matching = by_number or by_name or by_part
    if len(matching) == 1:
        return matching[0]
    listed = ", ".join(f'{device.number} "{device.name}"' for device in matching or devices)
    if matching:
        raise MicrophoneError(f'"{wanted}" may mean several devices, name one: {listed}')
    raise MicrophoneError(f'no microphone is called "{wanted}"; there are: {listed}')


def choose_settings(system: AudioSystem, device: Device) -> Settings:
    """Choose how a device is to capture: 16 kHz and one channel where it can.

    Raises:
        MicrophoneError: Where nothing works.
    """
    for rate_hz in (TARGET_RATE_HZ, device.rate_hz):
        for channels in (1, device.channels):
            settings = Settings(rate_hz, channels)
            if system.supports(device, settings):
                return settings
    raise MicrophoneError(
        f'the microphone "{device.name}" can be opened neither at {TARGET_RATE_HZ} Hz nor at '
        f"{device.rate_hz} Hz; is another program using it, and may you use it?"
    )


class Converter:
    """Turns what a device captures into one channel at `TARGET_RATE_HZ`."""

    def __init__(self, settings: Settings) -> None:
        """Convert from these settings."""
        self._channels = settings.channels
        self._resampler = None
        if settings.rate_hz != TARGET_RATE_HZ:
            # Imported here, since most devices capture at 16 kHz.
            import soxr

            self._resampler = soxr.ResampleStream(
                settings.rate_hz, TARGET_RATE_HZ, 1, dtype="float32"
            )

    def convert(self, block: bytes) -> bytes:
        """Convert the next block."""
        samples = np.frombuffer(block, "<i2").reshape(-1, self._channels)
        if self._resampler is None and self._channels == 1:
            return block
        return self._resampled(samples.mean(axis=1, dtype=np.float32), last=False)

    def finish(self) -> bytes:
        """Convert what is left in the resampler."""
        return b"" if self._resampler is None else self._resampled(np.zeros(0, "f4"), last=True)

    def _resampled(
        self, samples: "np.ndarray[tuple[int], np.dtype[np.float32]]", *, last: bool
    ) -> bytes:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


class Capture:
    """One recording of a microphone, from its first block until `stop`.

    The device's thread waits for nobody. What it brings while `MAX_WAITING_S` of audio wait
    already is dropped and counted in `lost_s`.
    """

    def __init__(
        self,
        system: AudioSystem,
        device: Device,
        settings: Settings,
        on_level: Callable[[float], None] = lambda _peak: None,
    ) -> None:
        """Prepare; nothing is captured yet.

        Args:
            system: Where the device is.
            device: What captures.
            settings: How it captures.
            on_level: Told the largest magnitude in each block; 1 is full scale.
        """
        self._on_level = on_level
        self._system = system
        self._device = device
        self._settings = settings
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._changed = asyncio.Event()
        self._stopped = False
        self.lost_s = 0.0
        """Seconds of audio that were dropped because the server was too slow."""
        self.device_losses = 0
        """How often the device itself lost samples because the machine was too slow."""
        self.device_ended = False
        """Whether the device stopped by itself."""

    def stop(self) -> None:
        """Capture no more; what has been captured is still handed out."""
        self._stopped = True
        self._changed.set()

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Capture, and yield samples as `TARGET_RATE_HZ` says."""
        converter = Converter(self._settings)
        loop = asyncio.get_running_loop()

        def wake() -> None:
            # The loop may be closed already when the last block comes.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._changed.set)

        def on_block(block: bytes, *, lost_before: bool) -> None:
            self._accept(block, lost_before=lost_before)
            wake()

        def on_end() -> None:
            if not self._stopped:
                self.device_ended = True
                self._stopped = True
                wake()

        with self._system.open(self._device, self._settings, on_block, on_end):
            try:
                while True:
                    self._changed.clear()
                    if block := self._take():
                        yield self._measured(converter.convert(block))
                    elif self._stopped:
                        break
                    else:
                        await self._changed.wait()
            finally:
                # So that the end of the device below is not taken for its own doing.
                self._stopped = True
        yield converter.finish()

    def _accept(self, block: bytes, *, lost_before: bool) -> None:
        """Keep a block, on the device's thread."""
        bytes_per_s = 2 * self._settings.channels * self._settings.rate_hz
        with self._lock:
            if self._stopped:
                return
            self.device_losses += lost_before
            if self._waiting_bytes + len(block) > MAX_WAITING_S * bytes_per_s:
                self.lost_s += len(block) / bytes_per_s
                return
            self._waiting.append(block)
            self._waiting_bytes += len(block)

    def _take(self) -> bytes:
        """Take the oldest block; empty where none waits."""
        with self._lock:
            if not self._waiting:
                return b""
            block = self._waiting.popleft()
            self._waiting_bytes -= len(block)
            return block

    def _measured(self, block: bytes) -> bytes:
        samples = np.frombuffer(block, "<i2")
        self._on_level(float(np.abs(samples.astype(np.int32)).max(initial=0)) / 32768)
        return block
