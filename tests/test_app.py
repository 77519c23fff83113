"""The server as a process."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from tests.conftest import stub_for
from tests.rpc.streams import audio, config, recognize, text
from tests.tones import pcm, tones

FOLDER = Path(__file__).parent.parent
SCRIPTED = (
    *("--model", "scripted", "--voice-activity", "energy"),
    *("--listen", "127.0.0.1:0", "--lame-duck-s", "0"),
)


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "service", *arguments],
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on 127.0.0.1:")
    return line.split()[2].rstrip(",")


async def test_the_ready_line_means_that_streams_are_taken():
    """Once the line with the address is out, a stream is recognized at once."""
    with _process(*SCRIPTED) as process:
        async with stub_for(_address(process)) as stub:
            transcripts = await recognize(stub, [config(), *audio(pcm(tones("alfa golf")))])
        assert text(transcripts) == "alfa golf"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_in_good_order(number):
    """SIGTERM and SIGINT end an idle server with status 0."""
    with _process(*SCRIPTED) as process:
        _address(process)
        process.send_signal(number)
        assert process.wait() == 0


async def test_an_open_stream_ends_within_the_grace():
    """A stream that is open at SIGTERM is recognized to its end; the status is 0."""
    with _process(*SCRIPTED, "--grace-s", "30") as process:
        async with stub_for(_address(process)) as stub:
            call = stub.StreamingRecognize()
            await call.write(config())
            await call.read()
            await call.write(audio(pcm(tones("alfa")), 100_000)[0])
            process.send_signal(signal.SIGTERM)
            with pytest.raises(grpc.aio.AioRpcError):
                await _until_refused(stub)
            await call.write(audio(pcm(tones("golf")), 100_000)[0])
            await call.done_writing()
            texts = []
            while transcript := await call.read():
                texts.append(transcript.final_result.text)
            assert "alfa golf" in texts
            assert await call.code() is grpc.StatusCode.OK
        assert await asyncio.to_thread(process.wait, 50) == 0


async def _until_refused(stub) -> None:
    while True:
        await recognize(stub, [config()])


async def test_a_second_signal_ends_it_now():
    """A second SIGTERM does not wait for open streams, and the status says so."""
    with _process(*SCRIPTED, "--grace-s", "600") as process:
        async with stub_for(_address(process)) as stub:
            call = stub.StreamingRecognize()
            await call.write(config())
            await call.read()
            process.send_signal(signal.SIGTERM)
            with pytest.raises(grpc.aio.AioRpcError):
                await _until_refused(stub)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 50) == 128 + signal.SIGTERM


def _fail(*arguments: str) -> tuple[int, str]:
    completed = subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in completed.stderr
    return completed.returncode, completed.stderr


def test_wrong_settings_end_with_2():
    """Every wrong setting is named, and the status is 2."""
    status, message = _fail("--max-streams", "0", "--log-level", "loud")
    assert status == 2
    assert "max_streams" in message
    assert "log_level" in message


def test_models_that_cannot_be_loaded_end_with_3():
    """Every model that cannot be loaded is named with a remedy, and the status is 3."""
    status, message = _fail(
        "--model", "telepathy", "--model", "scripted?speed=1", "--listen", "127.0.0.1:0"
    )
    assert status == 3
    assert "choose one of: whisper" in message
    assert "delay_ms" in message


def test_an_address_that_is_taken_ends_with_4():
    """A port that another server has is one sentence, and the status is 4."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, message = _fail("--model", "scripted", "--listen", address)
    assert status == 4
    assert f"cannot listen on {address}" in message
