"""Ways to recognize the same recording, side by side."""

import asyncio
import threading

import pytest
import soundfile

from client.evaluation.accuracy import Normalizer
from client.sources import Source, open_recording
from client.stream import Client
from client.web.comparison import Column, Way, recognize, side_by_side
from client.web.hearing import Hearing
from protos.asr.v1.asr_pb2 import Model
from tests.client.fake_server import fake_server
from tests.client.programs import write_tone
from tests.tones import quiet, tones


async def column(server, path, way):
    async with Client(server.address) as client:
        (model,) = await client.models()
        source = open_recording(str(path))
        steps = [step async for step in recognize(client, source, model, way)]
    assert all(isinstance(step, Hearing) for step in steps[:-1])
    return steps[-1]


@pytest.mark.parametrize("way", Way)
async def test_every_way_hears_what_it_can(server, tmp_path, way):
    """Every way recognizes the whole recording. Only the naive ones cut through a word: of a
    word that lies across a cut by the clock they hear two halves."""
    path = tmp_path / "a.wav"
    before = tones("alfa bravo charlie delta echo foxtrot")
    # "golf" begins 100 ms before the first cut at 2 s.
    soundfile.write(path, [*before, *quiet(100), *tones("golf hotel"), *quiet(100)], 16_000)
    heard = await column(server, path, way)
    assert heard.way is way
    words = "alfa bravo charlie delta echo foxtrot golf hotel"
    if way is Way.SMALL_PIECES:
        assert heard.text != words
        assert heard.text.startswith("alfa bravo charlie delta echo foxtrot")
    else:
        assert heard.text == words


def test_differences_are_marked_against_the_first_or_the_reference():
    """Without a reference the first column is the measure; it carries no marks itself."""
    columns = [
        Column("m", Way.STREAMING, "One two three.", 1.0),
        Column("m", Way.SMALL_PIECES, "one too", 2.0),
    ]
    page = side_by_side(columns, "", Normalizer.BASIC)
    assert "<p>One two three.</p>" in page
    assert "<del>two</del>" in page
    assert "2 differences in 3 words · 66.7 %" in page
    assert "Naive: independent pieces of 2 s" in page
    page = side_by_side(columns, "One two.", Normalizer.BASIC)
    assert "1 difference in 2 words" in page
    assert "<ins>three</ins>" in page


def test_texts_cannot_break_the_page():
    """Nothing is shown where nothing was done, silence is nothing, and markup is text."""
    assert side_by_side([], "x", Normalizer.BASIC) == ""
    silent = [Column("<m>", Way.STREAMING, "", 1.0), Column("m", Way.HASTY, "<b>", 1.0)]
    page = side_by_side(silent, "", Normalizer.NONE)
    assert "<m>" not in page
    assert "<b>" not in page
    assert "nothing" in page


@pytest.mark.timeout(60)
async def test_reading_pieces_holds_nobody_up(tmp_path):
    """While a recording is slow to read, other visitors are served."""
    source = open_recording(write_tone(tmp_path / "a.wav", 3))
    loop = asyncio.get_running_loop()
    served = []

    def slow_blocks(block_s):
        for block in source.blocks(block_s):
            other = threading.Event()
            loop.call_soon_threadsafe(other.set)
            served.append(other.wait(5))
            yield block

    slow = Source(source.name, source.audio_format, source.duration_s, slow_blocks)
    async with fake_server() as server, Client(server.address) as client:
        model = Model()
        steps = [step async for step in recognize(client, slow, model, Way.SMALL_PIECES)]
    assert [step.processed_s for step in steps[:-1]] == [2.0, 4.0]
    assert steps[-1].text == "64000 bytes 32000 bytes"
    assert served == [True, True]
