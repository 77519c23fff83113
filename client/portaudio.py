"""The machine's microphones, through PortAudio and the package sounddevice."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from client.microphone import BLOCK_S, Device, MicrophoneError, OnBlock, Settings


class _Status(Protocol):
    input_overflow: bool


class PortAudio:
    """The real `AudioSystem`."""

    def __init__(self) -> None:
        """Load PortAudio.

        Raises:
            MicrophoneError: Where the package or the library is missing.
        """
        try:
            import sounddevice
        except ModuleNotFoundError:
            raise MicrophoneError(
                "the microphone needs the package sounddevice: "
                "python -m pip install -c constraints.txt -e '.[mic]'"
            ) from None
        except OSError as error:
            raise MicrophoneError(
                f"the microphone needs the library PortAudio ({error}): "
                "apt-get install libportaudio2, or brew install portaudio"
            ) from None
        self._sounddevice = sounddevice

    def devices(self) -> list[Device]:
        """List what can capture sound."""
        try:
            default_number = self._sounddevice.default.device[0]
            if default_number < 0:
                default_number = self._sounddevice.query_hostapis(0)["default_input_device"]
            listed = self._sounddevice.query_devices()
        except self._sounddevice.PortAudioError:
            return []
        return [
            Device(
                number=entry["index"],
                name=entry["name"],
                channels=entry["max_input_channels"],
                rate_hz=round(entry["default_samplerate"]),
                is_default=entry["index"] == default_number,
            )
            for entry in listed
            if entry["max_input_channels"] > 0
        ]

    def supports(self, device: Device, settings: Settings) -> bool:
        """Whether the device can capture so."""
        try:
            self._sounddevice.check_input_settings(
                device=device.number,
                channels=settings.channels,
                dtype="int16",
                samplerate=settings.rate_hz,
            )
        except (self._sounddevice.PortAudioError, ValueError):
            return False
        return True

    @contextlib.contextmanager
    def open(
        self, device: Device, settings: Settings, on_block: OnBlock, on_end: Callable[[], None]
    ) -> Iterator[None]:
        """Capture within a block.

        Raises:
            MicrophoneError: Where the device cannot be opened after all.
        """

        def callback(samples: bytes, _frames: int, _time: object, status: _Status) -> None:
            # PortAudio takes the buffer back once this returns, so its bytes are copied.
            on_block(bytes(samples), lost_before=status.input_overflow)

        with contextlib.ExitStack() as closing:
            try:
                stream = self._sounddevice.RawInputStream(
                    device=device.number,
                    channels=settings.channels,
                    dtype="int16",
                    samplerate=settings.rate_hz,
                    blocksize=round(settings.rate_hz * BLOCK_S),
                    callback=callback,
                    finished_callback=on_end,
                )
                closing.callback(stream.close)
                stream.start()
            except self._sounddevice.PortAudioError as error:
                raise MicrophoneError(
                    f'the microphone "{device.name}" cannot be opened ({error}); '
                    "is another program using it, and may you use it?"
                ) from None
            yield
