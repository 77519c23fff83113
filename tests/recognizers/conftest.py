"""The default recognizer for every test that wants real speech heard."""

from collections.abc import Iterator

import pytest

from service.recognizers import whisper


@pytest.fixture(scope="module")
def recognizer() -> Iterator[whisper.WhisperRecognizer]:
    """Load the bundled model; modules about other recognizers have a fixture of their own."""
    recognizer = whisper.load("", {}, threads=1, decodes=1)
    yield recognizer
    recognizer.close()
