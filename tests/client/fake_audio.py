"""A machine's sound that does what a test tells it to."""

import contextlib
import threading

from client.microphone import Device

BUILTIN = Device(0, "Built-in Audio", 2, 48_000, is_default=True)
HEADSET = Device(3, "USB Headset", 1, 44_100)
CAMERA = Device(12, "USB Camera", 2, 32_000)
DEVICES = [BUILTIN, HEADSET, CAMERA]


class FakeAudio:
    """A machine whose device plays blocks from a thread of its own, then stops or goes on."""

    def __init__(self, blocks=(), devices=DEVICES, supported=None, ends=False, lost_at=()):
        self._blocks = blocks
        self._devices = list(devices)
        self._supported = supported
        self._ends = ends
        self._lost_at = lost_at
        self.opened = None
        self.played = threading.Event()

    def devices(self):
        return self._devices

    def supports(self, device, settings):
        return self._supported is None or settings in self._supported

    @contextlib.contextmanager
    def open(self, device, settings, on_block, on_end):
        self.opened = (device, settings)

        def play():
            for index, block in enumerate(self._blocks):
                on_block(block, lost_before=index in self._lost_at)
            if self._ends:
                on_end()
            self.played.set()

        thread = threading.Thread(target=play)
        thread.start()
        try:
            yield
        finally:
            thread.join()
            # As PortAudio does when a stream is closed.
            on_end()
