"""`python -m client.file`: servers that fail, Ctrl-C, and readers that leave."""

import asyncio
import signal
import sys

import grpc

from client.file import ExitCode
from protos.asr.v1.asr_pb2 import Model
from tests.client.fake_server import STARTED, abort, fake_server, final, interim
from tests.client.programs import ROOT, outcome, run, start, transcribe, write_tone


async def test_server_away(tmp_path):
    """Without a server there is one sentence that says how to start one, within seconds."""
    path = write_tone(tmp_path / "tone.wav")
    code, output, complaints = await run("client.file", "--server", "127.0.0.1:1", path)
    assert (code, output) == (ExitCode.SERVER_AWAY, "")
    assert complaints == (
        "client.file: no server answers at 127.0.0.1:1; "
        "start one with: python -m service --listen 127.0.0.1:1\n"
    )


async def test_server_lost(tmp_path):
    """A server that goes away keeps what it said on the screen, and is told in a sentence."""
    path = write_tone(tmp_path / "tone.wav")

    async def say_and_wait(_, __, ___):
        yield STARTED
        yield final("Before the end.")
        await asyncio.Event().wait()

    async with fake_server(say_and_wait) as server:
        process = await start("client.file", "--server", server.address, path, path)
        assert await process.stdout.readline()
        await server.stop()
        code, _, complaints = await outcome(process)
    assert code == ExitCode.SERVER_AWAY
    assert complaints.startswith(f"client.file: {path}: the connection to {server.address} was")
    assert complaints.count("\n") == 1


async def test_unknown_model(tmp_path):
    """An unknown model is a refusal that names the models that there are."""
    path = write_tone(tmp_path / "tone.wav")

    async def refuse(_, __, context):
        await abort(context, grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL", "no model is called x")
        yield STARTED

    async with fake_server(refuse, [Model(name="small"), Model(name="large")]) as server:
        code, output, complaints = await transcribe(server, "--model", "x", path)
    assert (code, output) == (ExitCode.REJECTED, "")
    assert complaints == (
        f"client.file: {path}: no model is called x (NOT_FOUND, UNKNOWN_MODEL); "
        "this server has: small, large\n"
    )


async def test_server_failure(tmp_path):
    """A failure inside the server has an exit code of its own."""
    path = write_tone(tmp_path / "tone.wav")

    async def fail(_, __, ___):
        yield STARTED
        raise ValueError("oops")

    async with fake_server(fail) as server:
        code, _, complaints = await transcribe(server, path)
    assert code == ExitCode.FAILED
    assert "the server failed; its log says more" in complaints


async def test_interrupted_once(tmp_path):
    """Ctrl-C half-closes: the finals of what was sent are printed, and the exit code is 130."""
    path = write_tone(tmp_path / "tone.wav", 60.0)
    async with fake_server() as server:
        process = await start(
            "client.file", "--server", server.address, "--realtime", "--interim", path, path
        )
        assert b"bytes" in await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        code, output, complaints = await outcome(process)
    assert (code, output) == (130, f"{path}: {server.audio_bytes} bytes\n")
    assert 0 < server.audio_bytes < 60 * 32_000
    assert "Traceback" not in complaints
    assert server.streams == 1


async def test_interrupted_while_standard_input_is_silent():
    """Ctrl-C works though a read of standard input never returns."""
    async with fake_server() as server:
        process = await start(
            "client.file",
            "--server",
            server.address,
            "--interim",
            "-",
            stdin=asyncio.subprocess.PIPE,
        )
        process.stdin.write(bytes(3200))
        assert b"3200 bytes" in await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        await process.stdout.readline()
        code, _, complaints = await outcome(process)
    assert (code, complaints) == (130, "")


async def test_interrupted_twice(tmp_path):
    """A second Ctrl-C leaves at once, though the server has not answered the first."""
    path = write_tone(tmp_path / "tone.wav", 60.0)

    async def never_ends(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
            yield interim("still thinking")
        server.half_closed.set()
        await asyncio.Event().wait()

    async with fake_server(never_ends) as server:
        process = await start(
            "client.file", "--server", server.address, "--realtime", "--interim", path
        )
        assert await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        # Two signals of a kind that come at once are one.
        await server.half_closed.wait()
        assert process.returncode is None
        process.send_signal(signal.SIGINT)
        code, output, complaints = await outcome(process)
    assert (code, output, complaints) == (130, "", "")


async def test_a_reader_that_had_enough(tmp_path):
    """A pipe that is closed at the other end is no traceback."""
    path = write_tone(tmp_path / "tone.wav")

    async def many(_, __, ___):
        yield STARTED
        for number in range(50_000):
            yield final(f"line {number}")

    async with fake_server(many) as server:
        process = await asyncio.create_subprocess_shell(
            f"{sys.executable} -m client.file --server {server.address} {path} | head -n 1",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        output, complaints = await process.communicate()
    assert (output, complaints) == (b"line 0\n", b"")
