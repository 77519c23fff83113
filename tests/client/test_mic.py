"""`python -m client.mic` with scripted devices."""

import asyncio
import os
import signal
import subprocess
import sys

import grpc
import pytest

from client.mic import ExitCode, listen, main, make_parser
from tests.client.fake_audio import BUILTIN, DEVICES, FakeAudio
from tests.client.fake_server import STARTED, abort, ending, fake_server, final
from tests.client.programs import ROOT, run


async def mic(server, audio, *arguments):
    options = make_parser().parse_args(["--server", server.address, *arguments])
    return await listen(options, audio, BUILTIN)


async def interrupt_after_audio(server, requests, _):
    """Press Ctrl-C on the first audio, and say at the end how much came."""
    yield STARTED
    async for request in requests:
        if request.HasField("audio") and not server.audio_bytes:
            os.kill(os.getpid(), signal.SIGINT)
        server.note(request)
    yield final(f"{server.audio_bytes} bytes")


async def test_one_interrupt_finishes_the_utterance(capsys):
    """Ctrl-C stops the capture; what was captured before is sent, its final printed, all well."""
    audio = FakeAudio([bytes(3200)] * 5)
    async with fake_server(interrupt_after_audio) as server:
        assert await mic(server, audio) == ExitCode.OK
    output, complaints = capsys.readouterr()
    assert output == f"{server.audio_bytes} bytes\n"
    assert complaints == 'listening to "Built-in Audio"; Ctrl-C ends\n'
    audio_format = server.config.audio_format
    assert (audio_format.sample_rate_hertz, audio_format.channel_count) == (16_000, 1)


async def test_two_interrupts_leave_at_once():
    """A second Ctrl-C does not wait for the server's last word."""

    async def interrupt_twice(server, requests, context):
        async for transcript in interrupt_after_audio(server, requests, context):
            if transcript.HasField("final_result"):
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.Event().wait()
            yield transcript

    async with fake_server(interrupt_twice) as server:
        listening = asyncio.create_task(mic(server, FakeAudio([bytes(3200)])))
        await asyncio.wait([listening])
    assert listening.cancelled()


async def test_unplugged(capsys):
    """A microphone that goes away is told, its last words are kept, and the exit code says so."""
    async with fake_server() as server:
        code = await mic(server, FakeAudio([bytes(3200)], ends=True))
    output, complaints = capsys.readouterr()
    assert (code, output) == (ExitCode.NOT_AUDIO, "3200 bytes\n")
    assert "the microphone stopped by itself; was it unplugged?" in complaints


async def test_losses_are_told(capsys):
    """Audio that was lost is told at the end, with whose fault it was."""
    audio = FakeAudio([bytes(3200)] * 150, ends=True, lost_at=(1, 2))
    async with fake_server() as server:
        await mic(server, audio)
    complaints = capsys.readouterr().err
    assert "the microphone lost samples 2 times; this machine is too busy" in complaints
    lost_s = 15 - server.audio_bytes / 32_000
    assert (f"{lost_s:.1f} s of audio were lost" in complaints) == (lost_s > 0)


async def test_server_away(capsys):
    """Without a server there is one sentence."""
    options = make_parser().parse_args(["--server", "127.0.0.1:1"])
    assert await listen(options, FakeAudio(), BUILTIN) == ExitCode.SERVER_AWAY
    assert capsys.readouterr().err.startswith("client.mic: no server answers at 127.0.0.1:1; start")


async def test_server_that_ends_the_stream(capsys):
    """A server that ends the stream ends the program, and the microphone is not blamed."""

    async def one_utterance(_, requests, __):
        yield STARTED
        await anext(requests)
        await anext(requests)
        yield final("Stop.")

    async with fake_server(one_utterance) as server:
        assert await mic(server, FakeAudio([bytes(3200)] * 50)) == ExitCode.OK
    output, complaints = capsys.readouterr()
    assert output == "Stop.\n"
    assert "unplugged" not in complaints


async def test_server_that_is_about_to_end_the_stream(capsys):
    """The notice is a sentence beside the results."""

    async def drain(_, requests, __):
        yield STARTED
        await anext(requests)
        yield ending("DRAINING", 9.6)
        yield final("Stop.")

    async with fake_server(drain) as server:
        await mic(server, FakeAudio([bytes(3200)] * 5))
    output, complaints = capsys.readouterr()
    assert output == "Stop.\n"
    assert "client.mic: the server is stopping; it ends this stream in 10 s\n" in complaints


async def test_refusal(capsys):
    """A refusal is one sentence, and its exit code."""

    async def refuse(_, __, context):
        await abort(context, grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL", "no model is called x")
        yield STARTED

    async with fake_server(refuse) as server:
        assert await mic(server, FakeAudio(), "--model", "x") == ExitCode.REJECTED
    assert "no model is called x" in capsys.readouterr().err


def test_list_devices(capsys):
    """Devices are listed with what --device takes; a star marks the default."""
    assert main(["--list-devices"], FakeAudio(devices=DEVICES)) == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        "*   0  Built-in Audio  (2 channels, 48000 Hz)",
        "    3  USB Headset  (1 channel, 44100 Hz)",
        "   12  USB Camera  (2 channels, 32000 Hz)",
    ]


def test_list_devices_in_any_case(capsys):
    """The list helps just where a name fits several devices, so it is shown all the same."""
    assert main(["--list-devices", "--device", "usb"], FakeAudio()) == ExitCode.OK
    assert capsys.readouterr().out.count("USB") == 2


@pytest.mark.parametrize(
    ("audio", "arguments", "sentence"),
    [
        (FakeAudio(devices=[]), ["--list-devices"], "no microphone was found"),
        (FakeAudio(), ["--device", "usb"], "may mean several devices"),
        (FakeAudio(supported=[]), ["--server", "127.0.0.1:1"], "can be opened neither at 16000"),
    ],
)
def test_no_microphone(audio, arguments, sentence, capsys):
    """What keeps a microphone from being used is one sentence, before any server is asked."""
    assert main(arguments, audio) == ExitCode.NOT_AUDIO
    complaints = capsys.readouterr().err
    assert sentence in complaints
    assert complaints.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("ModuleNotFoundError('sounddevice')", "pip install -c constraints.txt -e '.[mic]'"),
        ("OSError('PortAudio library not found')", "apt-get install libportaudio2"),
    ],
)
def test_missing_library(tmp_path, error, remedy):
    """A missing package or library is one sentence with its remedy."""
    (tmp_path / "sounddevice.py").write_text(f"raise {error}")
    result = subprocess.run(
        [sys.executable, "-m", "client.mic", "--list-devices"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == ExitCode.NOT_AUDIO
    assert remedy in result.stderr
    assert result.stderr.count("\n") == 1


async def test_help_teaches():
    """The help has examples and the exit codes."""
    code, output, _ = await run("client.mic", "--help")
    assert code == 0
    assert "examples:" in output
    assert all(f"\n  {int(code)} " in output for code in ExitCode)
