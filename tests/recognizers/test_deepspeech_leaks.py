"""What the library hands out is given back, on every path."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest

from service.core.hypothesis import DecodeOptions, Phrase, Samples, Window
from service.recognizers.deepspeech import DeepSpeechRecognizer
from service.recognizers.deepspeech_library import Functions
from service.recognizers.deepspeech_model import NativeModel
from service.recognizers.deepspeech_options import DeepSpeechOptions
from tests.recognizers.small_deepspeech_model import MODEL, SCORER, clips, functions

SPEECH = clips()[0][1]


class Counting:
    """The library's functions, and how often each was called with a handle or gave one."""

    def __init__(self, real: Functions) -> None:
        self.calls: Counter[str] = Counter()
        self.functions = {name: self._counted(name, call) for name, call in real.items()}

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: object) -> object:
            self.calls[name] += 1
            return call(*arguments)

        return counted

    def assert_all_is_freed(self) -> None:
        calls = self.calls
        finished = calls["FinishStreamWithMetadata"]
        assert calls["CreateStream"] == finished + calls["FreeStream"]
        assert calls["FreeMetadata"] == finished
        texts = calls["IntermediateDecode"] + calls["Version"] + calls["ErrorCodeToErrorMessage"]
        assert calls["FreeString"] == texts
        assert calls["CreateModel"] == calls["FreeModel"]


@pytest.fixture
def counting() -> Counting:
    return Counting(functions())


def _recognizer(counting: Counting, **options: Any) -> DeepSpeechRecognizer:
    chosen = DeepSpeechOptions(**{"beam_width": 100} | options)
    return DeepSpeechRecognizer(NativeModel(counting.functions, MODEL, chosen), chosen, None)


def _finished(recognizer: DeepSpeechRecognizer, samples: Samples) -> None:
    stream = recognizer.open_stream(DecodeOptions())
    for end in range(4_000, len(samples), 8_000):
        stream.interim(Window(samples[:end]))
    assert stream.final(Window(samples)).words
    stream.close()


def _cut(recognizer: DeepSpeechRecognizer, samples: Samples) -> None:
    stream = recognizer.open_stream(DecodeOptions())
    stream.interim(Window(samples))
    stream.interim(Window(samples[:8_000]))
    stream.final(Window(samples[:4_000]))
    stream.close()


def _left(recognizer: DeepSpeechRecognizer, samples: Samples) -> None:
    stream = recognizer.open_stream(DecodeOptions())
    stream.interim(Window(samples))
    stream.close()
    stream.close()


def _unused(recognizer: DeepSpeechRecognizer, _samples: Samples) -> None:
    recognizer.open_stream(DecodeOptions()).close()


def _silent(recognizer: DeepSpeechRecognizer, samples: Samples) -> None:
    stream = recognizer.open_stream(DecodeOptions())
    stream.interim(Window(np.zeros_like(samples)))
    stream.final(Window(np.zeros_like(samples)))
    stream.close()


@pytest.mark.parametrize("path", [_finished, _cut, _left, _unused, _silent])
def test_every_path_frees_what_it_was_given(counting, path):
    """Finished, cut, cancelled, unused or silent: no stream, text or metadata is left."""
    recognizer = _recognizer(counting)
    path(recognizer, SPEECH)
    recognizer.close()
    recognizer.close()
    counting.assert_all_is_freed()


@pytest.mark.parametrize("failing", ["FinishStreamWithMetadata", "IntermediateDecode"])
def test_a_failing_decode_frees_its_stream(counting, failing):
    """An error on the way to the words leaves nothing behind."""
    recognizer = _recognizer(counting)
    real = counting.functions[failing]

    def no_result(*arguments: object) -> None:
        pointer = real(*arguments)
        free = {"IntermediateDecode": "FreeString"}.get(failing, "FreeMetadata")
        counting.functions[free](pointer)

    counting.functions[failing] = no_result
    stream = recognizer.open_stream(DecodeOptions())
    if failing == "FinishStreamWithMetadata":
        with pytest.raises(RuntimeError, match="no result"):
            stream.final(Window(SPEECH))
    else:
        assert stream.interim(Window(SPEECH)).words == ()
    stream.close()
    recognizer.close()
    counting.assert_all_is_freed()


def test_hot_words_are_taken_back_where_creating_a_stream_fails(counting):
    """A stream that cannot be created leaves its phrases to no other stream."""
    recognizer = _recognizer(counting, scorer=str(SCORER))
    create = counting.functions["CreateStream"]
    counting.functions["CreateStream"] = lambda *_: 0x3004
    stream = recognizer.open_stream(DecodeOptions(phrases=(Phrase("the", 20.0),)))
    with pytest.raises(RuntimeError, match="CreateStream failed: Error creating the stream"):
        stream.interim(Window(SPEECH))
    counting.functions["CreateStream"] = create
    assert counting.calls["AddHotWord"] == counting.calls["ClearHotWords"] == 1
    recognizer.close()
    counting.assert_all_is_freed()


def test_a_scorer_that_is_refused_frees_the_model(counting, tmp_path):
    """A model whose scorer fails is not left in memory."""
    path = tmp_path / "no.scorer"
    path.write_bytes(b"no scorer")
    with pytest.raises(Exception, match="Invalid scorer file"):
        _recognizer(counting, scorer=str(path))
    counting.assert_all_is_freed()


STREAMS = 400
MOST_GROWTH_BYTES = 4_000_000


def test_many_streams_leave_no_memory(counting):
    """Hundreds of short streams, finished and cancelled, add no memory (benchmarks: 10 000)."""
    recognizer = _recognizer(counting, beam_width=32)
    samples = SPEECH[8_000:13_000]
    process = psutil.Process()

    def run(count: int) -> None:
        for index in range(count):
            stream = recognizer.open_stream(DecodeOptions(max_alternatives=5))
            stream.interim(Window(samples[:3_000]))
            if index % 2:
                stream.final(Window(samples))
            stream.close()

    run(100)
    gc.collect()
    before = process.memory_info().rss
    run(STREAMS)
    gc.collect()
    assert process.memory_info().rss - before < MOST_GROWTH_BYTES
    recognizer.close()
    counting.assert_all_is_freed()
