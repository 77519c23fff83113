"""Recordings on the page: how long they may be, and what is told under way."""

import asyncio
import os
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from client.sources import SourceError
from client.stream import Client, StreamingConfig
from client.web import hearing
from client.web.hearing import hear, open_short
from tests.tones import quiet, tones


async def steps_of(server, source):
    async with Client(server.address) as client:
        return [step async for step in hear(client, source, StreamingConfig())]


async def test_a_recording_may_be_too_long(tmp_path, monkeypatch):
    """A recording that is longer than the page takes is refused with what to do instead."""
    path = tmp_path / "long.wav"
    soundfile.write(path, quiet(10_000), 16_000)
    assert (await open_short(str(path))).duration_s == 10
    monkeypatch.setattr(hearing, "LONGEST_S", 9.0)
    with pytest.raises(SourceError, match=r"this page takes .* python -m client\.file"):
        await open_short(str(path))


async def test_a_recording_may_not_say_how_long_it_is(server, tmp_path, monkeypatch):
    """Such a recording is heard as far as the page takes it, and then refused."""
    path = tmp_path / "long.wav"
    soundfile.write(path, np.concatenate([tones("alfa bravo"), quiet(10_000)]), 16_000)
    unknown = replace(hearing.open_recording(str(path)), duration_s=None)
    monkeypatch.setattr(hearing, "open_recording", lambda _: unknown)
    (*_, last) = await steps_of(server, await open_short(str(path)))
    assert last.text == "alfa bravo"
    monkeypatch.setattr(hearing, "LONGEST_S", 9.0)
    with pytest.raises(SourceError, match=r"lasts longer; this page takes"):
        await steps_of(server, await open_short(str(path)))


async def test_steps_do_not_come_too_often(server, tmp_path, monkeypatch):
    """A page is told now and then of a recording that is recognized quickly, and always of its
    end; what it knows then is the same."""
    path = tmp_path / "words.wav"
    soundfile.write(path, np.tile(np.concatenate([tones("alfa"), quiet(1400)]), 5), 16_000)
    monkeypatch.setattr(hearing, "STEP_S", 0.0)
    each = await steps_of(server, await open_short(str(path)))
    assert len(each) == len(each[-1].transcripts) + 1
    assert [len(step.results) for step in each] == sorted(len(step.results) for step in each)
    monkeypatch.setattr(hearing, "STEP_S", float("inf"))
    (only,) = await steps_of(server, await open_short(str(path)))
    assert only.text == each[-1].text == "alfa alfa alfa alfa alfa"
    assert only.duration_s == each[-1].duration_s


@pytest.mark.timeout(60)
async def test_opening_a_recording_holds_nobody_up(tmp_path):
    """While a file is slow to open, other visitors are served."""
    path = tmp_path / "slow.wav"
    # It opens once somebody writes to it.
    os.mkfifo(path)
    opening = asyncio.create_task(open_short(str(path)))
    await asyncio.create_task(write_nothing(path))
    with pytest.raises(SourceError):
        await opening


async def write_nothing(path):
    pipe = os.open(path, os.O_RDWR)
    path.unlink()
    os.close(pipe)
