"""A recognizer that decodes when a test lets it."""

from __future__ import annotations

import threading
from dataclasses import replace

from service.core.capabilities import Capabilities
from service.core.hypothesis import DecodeOptions, Hypothesis, Window
from service.recognizers.scripted import ScriptedRecognizer, ScriptedStream


class GatedRecognizer:
    """A scripted recognizer that decodes only while its gate is open, and counts its streams."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.closed = threading.Event()
        self.error: Exception | None = None
        """What decodes raise."""
        self.open = 0
        self.opened = 0

    @property
    def capabilities(self) -> Capabilities:
        return replace(ScriptedRecognizer().capabilities, phrases=True)

    def open_stream(self, options: DecodeOptions) -> GatedStream:
        self.open += 1
        self.opened += 1
        return GatedStream(self, options)

    def close(self) -> None:
        assert self.open == 0


class GatedStream:
    def __init__(self, recognizer: GatedRecognizer, options: DecodeOptions) -> None:
        self.recognizer = recognizer
        self.scripted = ScriptedStream(options, 0.0)
        self.is_open = True

    def interim(self, window: Window) -> Hypothesis:
        return self.final(window)

    def final(self, window: Window) -> Hypothesis:
        self.recognizer.begun.set()
        self.recognizer.gate.wait()
        assert self.is_open, "decoded after close"
        if self.recognizer.error is not None:
            raise self.recognizer.error
        return self.scripted.final(window)

    def close(self) -> None:
        if self.is_open:
            self.recognizer.open -= 1
        self.is_open = False
        self.recognizer.closed.set()
