"""What a terminal shows, drawn on a pseudo-terminal."""

import asyncio
import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios

import numpy as np
import pytest
import soundfile

from client.messages import to_duration
from client.screen import PlainScreen
from client.terminal import meter
from protos.asr.v1.asr_pb2 import SpeechBoundary, Transcript
from tests.client.fake_server import STARTED, ending, fake_server, final, interim
from tests.client.programs import ROOT, write_tone


async def on_terminal(*arguments, folder=ROOT):
    """Run a program on a terminal of 80 columns; returns its exit code and all that was drawn."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        cwd=folder,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)

    def read_all():
        drawn = b""
        # Reading the terminal of a program that has ended fails.
        try:
            while data := os.read(ours, 65_536):
                drawn += data
        except OSError:
            pass
        os.close(ours)
        return drawn.decode()

    drawn = await asyncio.to_thread(read_all)
    return await process.wait(), drawn


def plain(drawn):
    """Take the control sequences out of what was drawn."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)


async def growing(server, requests, _):
    yield STARTED
    number = 0
    async for request in requests:
        if request.HasField("audio"):
            number += 1
            if number < 10:
                yield interim(f"stable and {number}", "stable")
    yield final("Stable and ten.", 0.0, 1.0)


async def test_interims_are_rewritten_and_finals_kept(tmp_path):
    """In real time the growing text is rewritten in place, its unstable part dim; the final stays,
    with its times; and interims are asked for without being told to."""
    path = write_tone(tmp_path / "tone.wav", 1.0)
    async with fake_server(growing) as server:
        code, drawn = await on_terminal(
            "client.file", "--server", server.address, "--realtime", path
        )
    assert code == 0
    assert "stable\x1b[2m and 9\x1b[0m" in drawn
    assert plain(drawn).count("[0:00.0 - 0:01.0]  Stable and ten.") == 1
    # The cursor is visible again.
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


async def test_progress_of_a_long_recording(tmp_path):
    """A long recording has a bar that moves with what the server has listened to."""
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(16_000 * 60), 16_000)

    async def halves(_, requests, __):
        yield STARTED
        halfway = final("Half.", 0.0, 30.0)
        halfway.processed_offset.CopyFrom(to_duration(30))
        yield halfway
        async for _request in requests:
            pass
        yield final("All.", 30.0, 60.0, 1)

    async with fake_server(halves) as server:
        code, drawn = await on_terminal("client.file", "--server", server.address, str(path))
    assert code == 0
    assert "50%" in drawn
    assert plain(drawn).index("Half.") < plain(drawn).index("All.")


@pytest.mark.parametrize("name", ["talk [final].flac", "a [b].flac", "a [red].flac"])
async def test_brackets_in_the_name_of_a_recording(tmp_path, name):
    """The name beside the bar is the recording's, whatever it looks like."""
    path = tmp_path / name
    soundfile.write(path, np.zeros(16_000 * 20), 16_000)
    async with fake_server(growing) as server:
        options = ("--server", server.address, name)
        code, drawn = await on_terminal("client.file", *options, folder=tmp_path)
    assert code == 0
    assert name in plain(drawn)


async def test_a_segment_without_words_leaves_the_screen(tmp_path):
    """Text that came to nothing is gone when the next segment begins."""

    async def nothing_said(_, requests, __):
        yield STARTED
        yield interim("ghost")
        yield Transcript(speech_started=SpeechBoundary())
        yield ending("DRAINING", 5)
        async for _request in requests:
            pass
        yield final("Words.", 0.0, 1.0, 1)

    path = write_tone(tmp_path / "tone.wav")
    async with fake_server(nothing_said) as server:
        code, drawn = await on_terminal("client.file", "--server", server.address, path)
    assert code == 0
    assert "ghost" not in drawn[drawn.index("the server is stopping") :]


@pytest.mark.parametrize(("peak", "cells"), [(0.0, 0), (0.001, 0), (0.0316, 5), (1.0, 10), (2, 10)])
def test_meter(peak, cells):
    """The meter is empty at -60 dB and full at full scale, and even in between."""
    drawn = meter(peak)
    assert drawn.plain == "█" * cells + "░" * (10 - cells)


def test_plain_screen(capsys):
    """Without a terminal results are on the output, and interims only if wanted."""
    output = io.StringIO()
    with PlainScreen(output) as screen:
        screen.interim(interim("x").interim_result)
        screen.progress(1.0)
        screen.level(0.5)
        screen.settled()
        screen.results("line\n")
        screen.note("a sentence")
    assert output.getvalue() == "line\n"
    assert capsys.readouterr().err == "a sentence\n"
