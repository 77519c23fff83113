"""CTC models that hear several windows at once: promise 1 with weights that understand speech."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.hypothesis import (
    SAMPLE_RATE_HZ,
    ContextSegment,
    DecodeOptions,
    Hypothesis,
    Samples,
    Window,
)
from service.recognizers.base import Batching, ModelUnavailableError
from service.recognizers.registry import load, parse_spec
from tests.recognizers.tiny_ctc import write_checkpoint

torch = pytest.importorskip("torch", reason="the extra 'transformers' is not installed")

from service.recognizers.transformers_device import Staging  # noqa: E402
from service.recognizers.transformers_stitch import on_grid  # noqa: E402

FOLDER = Path(__file__).parent / "small_ctc"
THREADS = 8
SIZES = (2, 8, 32)


def _load(query: str):
    return load(parse_spec(f"transformers:{FOLDER}?precision=fp32&{query}"), 1, 1)


@pytest.fixture(scope="module")
def clips() -> list[Samples]:
    files = sorted((FOLDER / "held_out").glob("*.flac"))[:12]
    return [soundfile.read(file, dtype="float32")[0] for file in files]


@pytest.fixture(scope="module")
def windows(clips) -> list[Window]:
    """Segments alone and behind another; cut so that many are equally long."""
    alone = [Window(clip[: len(clip) // SAMPLE_RATE_HZ * SAMPLE_RATE_HZ]) for clip in clips]
    behind = [
        Window(clip, (ContextSegment(before, ""),)) for before, clip in itertools.pairwise(clips)
    ]
    return [*alone, *behind]


@pytest.fixture(scope="module", params=SIZES)
def recognizer(request) -> Iterator:
    recognizer = _load(f"batch={request.param}")
    yield recognizer
    recognizer.close()


@pytest.fixture(scope="module")
def finals(recognizer, windows) -> list[Hypothesis]:
    """What each is heard as with nobody beside it."""
    return [_final(recognizer, window) for window in windows]


def _final(recognizer, window: Window) -> Hypothesis:
    stream = recognizer.open_stream(DecodeOptions(word_offsets=True, max_alternatives=2))
    return stream.final(window)


def _text(recognizer, window: Window) -> str:
    return recognizer.open_stream(DecodeOptions()).final(window).text


def test_texts_are_those_of_a_recognizer_without_batches(recognizer, windows):
    """At batch sizes 2, 8 and 32, in threads: the texts that each window has one by one."""
    plain = _load("batch=1")
    expected = [_text(plain, window) for window in windows]
    plain.close()
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(lambda window: _text(recognizer, window), windows)) == expected
    assert len(set(expected)) > THREADS


def test_a_final_is_the_same_to_the_last_bit_whoever_is_beside_it(
    recognizer, clips, windows, finals
):
    """Words, offsets, confidence and alternatives, with any neighbours, interims among them."""

    def hear(kind: int, at: int) -> Hypothesis:
        if kind == 0:
            return recognizer.open_stream(DecodeOptions()).interim(Window(clips[at % len(clips)]))
        return _final(recognizer, windows[at])

    neighbours = st.tuples(st.integers(0, 2), st.integers(0, len(windows) - 1))

    @settings(
        deadline=None,
        max_examples=8,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.lists(neighbours, min_size=1, max_size=2 * THREADS))
    def holds(wanted):
        with ThreadPoolExecutor(THREADS) as pool:
            heard = list(pool.map(lambda one: hear(*one), wanted))
        for (kind, at), hypothesis in zip(wanted, heard, strict=True):
            if kind:
                assert hypothesis == finals[at]

    holds()


def test_threads_that_ask_for_the_same_length_share_batches(recognizer, windows, finals):
    """And are told the same as alone: asked until it has happened."""
    assert isinstance(recognizer, Batching)
    at = 0
    with ThreadPoolExecutor(THREADS) as pool:
        while max(recognizer.batch_sizes) == 1:
            jobs = [pool.submit(_final, recognizer, windows[at]) for _ in range(THREADS)]
            assert [job.result() for job in jobs] == [finals[at]] * THREADS
    assert max(recognizer.batch_sizes) <= recognizer.capabilities.batch_size


@pytest.mark.parametrize("hop_s", [0.25, 0.5, 1.0])
def test_interims_say_what_finals_say(recognizer, clips, hop_s):
    """Windows on a grid, their begins mirrored where speech is short, cost few words."""
    hop = round(hop_s * SAMPLE_RATE_HZ)
    last = []
    for samples in clips:
        stream = recognizer.open_stream(DecodeOptions())
        for end in range(hop, len(samples), hop):
            stream.interim(Window(samples[:end]))
        last.append(stream.interim(Window(samples)).text)
    assert jiwer.wer([_text(recognizer, Window(samples)) for samples in clips], last) < 0.15


@given(
    length=st.integers(2, 200),
    begin=st.integers(0, 199),
    grid=st.integers(1, 60),
)
def test_a_window_on_the_grid(length, begin, grid):
    """It ends with the window that was asked for, and is longer by less than one grid."""
    begin = min(begin, length - 2)
    samples = np.arange(1, length + 1, dtype=np.float32)
    window, more = on_grid(samples, begin, grid)
    assert len(window) % grid == 0
    assert 0 <= more < grid
    assert np.array_equal(window[more:], samples[begin:])
    # What is before it is the signal as far as it goes; its own samples else.
    again = min(more, begin)
    assert np.array_equal(window[more - again :], samples[begin - again :])
    assert set(window) <= set(samples)


def test_lengths_are_few(clips):
    """However a segment grows, its interims have no more lengths than the grid has steps."""
    recognizer = _load("batch=2")
    grid = recognizer.model.grid_frames * recognizer.model.frame_samples
    chance = np.random.default_rng(3)
    speech = np.concatenate(clips)
    heard = recognizer.model.hear
    lengths: list[int] = []

    def noting(samples: Samples, *, is_final: bool):
        lengths.append(len(samples))
        return heard(samples, is_final=is_final)

    recognizer.model.hear = noting
    stream = recognizer.open_stream(DecodeOptions())
    end = 0
    while (end := end + int(chance.integers(8_000, 11_000))) < len(speech):
        stream.interim(Window(speech[:end]))
    recognizer.close()
    assert len(lengths) > 20
    assert {length % grid for length in lengths} == {0}
    assert len(set(lengths)) <= 13


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 40)), min_size=1, max_size=8))
def test_staging_passes_every_batch_unchanged(shapes):
    """Whatever its shape, and whatever went through the buffers before."""
    staging = Staging("cpu")
    for rows, length in shapes:
        whole = torch.arange(rows * length, dtype=torch.float32).view(rows, length) + rows
        there = staging.to_device("input_values", list(whole.split(1)))
        assert torch.equal(there, whole)
        assert np.array_equal(staging.to_host(there * 2), whole.numpy() * 2)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_random_weights_in_both_ways_of_normalizing(tmp_path, norm):
    """Extractors that normalize over time, and those that want a mask: bit for bit as alone."""
    folder = write_checkpoint(tmp_path, feat_extract_norm=norm)
    recognizer = load(parse_spec(f"transformers:{folder}?precision=fp32&batch=4"), 1, 1)
    chance = np.random.default_rng(1)
    noises = chance.normal(0, 0.1, (2 * THREADS, SAMPLE_RATE_HZ)).astype(np.float32)
    alone = [recognizer.model.hear(noise, is_final=True) for noise in noises]
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(lambda one: recognizer.model.hear(one, is_final=True), noises))
    recognizer.close()
    assert all(map(np.array_equal, alone, together))


class Tilted(torch.nn.Module):
    """The model that it is given, but each row of a batch is heard a little differently."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self.dtype = model.dtype

    def forward(self, **inputs: torch.Tensor):
        output = self.model(**inputs)
        tilt = torch.arange(len(output.logits)).view(-1, 1, 1) / 1_000_000
        output.logits = output.logits * (1 + tilt)
        return output


def test_finals_share_no_batch_where_rows_are_not_alike():
    """Where a final would depend on its place in the batch it is computed by itself; here, and with
    as few rows as there are, places make no difference."""
    recognizer = _load("batch=4")
    model = recognizer.model
    assert model.final_rows == 4
    assert model.rows_of_finals(Tilted(model._model)) == 1
    recognizer.close()


class TooLarge(Tilted):
    """The model on a device that has no room for two windows at once."""

    def forward(self, **inputs: torch.Tensor):
        if len(next(iter(inputs.values()))) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.model(**inputs)


def test_batches_of_finals_that_do_not_fit_are_known_at_the_start():
    """And not when the first of them have come together; the sentence says what to do."""
    recognizer = _load("batch=2")
    with pytest.raises(ModelUnavailableError, match="2 segments of 1 s at once do not fit"):
        recognizer.model.rows_of_finals(TooLarge(recognizer.model._model))
    recognizer.close()


def test_closing_ends_the_thread():
    """A recognizer that is closed leaves none behind; closing again does nothing."""
    before = set(threading.enumerate())
    recognizer = _load("batch=2")
    assert len(set(threading.enumerate()) - before) == 1
    recognizer.close()
    recognizer.close()
    assert not set(threading.enumerate()) - before


def test_a_cpu_computes_one_by_one_unless_told_otherwise():
    """There a batch costs more time than it saves, and each core has its own thread."""
    recognizer = _load("threads=1")
    assert recognizer.capabilities.batch_size == 1
    assert recognizer.batch_sizes == {}
    recognizer.close()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("batch=0", "batch='0' is not a number from 1 to 256"),
        ("batch_wait_ms=-1", "batch_wait_ms='-1' is not a number from 0 to 1000"),
        ("graphs=yes", "graphs='yes' is not a number from 0 to 1"),
        ("graphs=1", "they need device=cuda"),
    ],
)
def test_wrong_options_are_named(query, said):
    """An option that cannot be is named, with what it may be."""
    with pytest.raises(ModelUnavailableError) as caught:
        _load(query)
    assert said in str(caught.value)
