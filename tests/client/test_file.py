"""`python -m client.file` as users run it."""

import asyncio
import json
import signal
import sys
import time

import grpc
import numpy as np
import pytest
import soundfile

from client.file import ExitCode, parse
from client.messages import to_duration
from protos.asr.v1.asr_pb2 import AudioEncoding, Model, Word
from tests.client.fake_server import STARTED, abort, count_bytes, fake_server, final, interim
from tests.client.programs import ROOT, outcome, run, start, write_tone


async def two_finals(server, requests, _):
    yield STARTED
    async for request in requests:
        server.note(request)
    yield interim("nearly")
    yield final("One.", 0.0, 1.0)
    yield final("Two.", 1.0, 2.0, 1)


async def transcribe(server, *arguments, stdin=None):
    return await run("client.file", "--server", server.address, *arguments, stdin=stdin)


async def test_text(tmp_path):
    """A recording is streamed whole, and its finals are lines on standard output, alone."""
    path = write_tone(tmp_path / "tone.flac", 2.5, 22_050)
    async with fake_server(two_finals) as server:
        assert await transcribe(server, path) == (0, "One.\nTwo.\n", "")
    assert server.audio_bytes == 2 * round(2.5 * 22_050)
    assert server.config.audio_format.sample_rate_hertz == 22_050
    assert not server.config.interim_results


async def test_config_from_options(tmp_path):
    """Model, language, interims and words are asked for as the options say."""
    path = write_tone(tmp_path / "tone.wav")
    options = ("--model", "big", "--language", "en-GB", "--interim", "--words", "--times")
    async with fake_server(two_finals) as server:
        code, output, complaints = await transcribe(server, *options, path)
    assert (code, output.splitlines()[0]) == (0, "[0:00.0 - 0:01.0]  One.")
    assert complaints == "  … [nearly]\n"
    config = server.config
    assert (config.model, config.language_code) == ("big", "en-GB")
    assert config.interim_results
    assert config.word_offsets


async def test_several_files_and_a_bad_one(tmp_path):
    """A file that is not audio is reported, the others are done, and the exit code tells."""
    good = write_tone(tmp_path / "good.wav")
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    async with fake_server(two_finals) as server:
        code, output, complaints = await transcribe(server, str(bad), good)
    assert code == ExitCode.NOT_AUDIO
    assert output == f"{good}: One.\n{good}: Two.\n"
    assert complaints.startswith(f"client.file: {bad} is not audio")
    assert complaints.count("\n") == 1


async def test_json(tmp_path):
    """JSON is a line for every transcript; of several files each line has its file's name."""
    first, second = (write_tone(tmp_path / name) for name in ("a.wav", "b.wav"))
    async with fake_server(two_finals) as server:
        code, output, _ = await transcribe(server, "--format", "json", first, second)
    lines = [json.loads(line) for line in output.splitlines()]
    assert code == 0
    assert [line["file"] for line in lines] == [first] * 4 + [second] * 4
    assert lines[2]["final_result"] == {
        "text": "One.",
        "start_offset": "0s",
        "end_offset": "1s",
    }


@pytest.mark.parametrize("words", [True, False])
async def test_srt_by_words(tmp_path, words):
    """SRT asks for the times of words where the model has them, and cuts long finals by them."""

    async def long_final(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
        transcript = final(" ".join(["word"] * 40), 0.0, 20.0)
        if server.config.word_offsets:
            transcript.final_result.words.extend(
                Word(
                    text="word",
                    start_offset=to_duration(n * 0.5),
                    end_offset=to_duration(n * 0.5 + 0.5),
                )
                for n in range(40)
            )
        yield transcript

    path = write_tone(tmp_path / "tone.wav")
    models = [Model(name="default", word_offsets=words), Model(name="other")]
    async with fake_server(long_final, models) as server:
        code, output, _ = await transcribe(server, "--format", "srt", path)
    assert code == 0
    assert output.count("word") == 40
    assert output.count("-->") == (3 if words else 1)
    assert output.startswith("1\n00:00:00,000 --> ")


async def test_output_dir(tmp_path):
    """With a folder for the output, each recording gets a file of its own."""
    paths = [write_tone(tmp_path / name) for name in ("a.wav", "b.flac")]
    folder = tmp_path / "new" / "subtitles"
    async with fake_server(two_finals) as server:
        code, output, _ = await transcribe(
            server, "--format", "vtt", "--output-dir", str(folder), *paths
        )
    assert (code, output) == (0, "")
    assert {file.name for file in folder.iterdir()} == {"a.vtt", "b.vtt"}
    assert (
        (folder / "a.vtt").read_text().startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nOne.")
    )


async def test_output_that_cannot_be_written(tmp_path):
    """An output that cannot be written is a sentence, before anything is streamed."""
    path = write_tone(tmp_path / "a.wav")
    async with fake_server(two_finals) as server:
        code, _, complaints = await transcribe(server, "--output-dir", path, path)
    assert code == ExitCode.FAILED
    assert complaints.startswith("client.file: ")
    assert "a.text cannot be written: " in complaints
    assert server.streams == 0


async def test_an_hour_of_raw_samples(tmp_path):
    """An hour on standard input goes through as fast as the server takes it, without deadlock,
    though the server answers every message at length."""
    hour_bytes = 3600 * 32_000
    path = tmp_path / "hour.raw"
    with path.open("wb") as file:
        file.truncate(hour_bytes)

    async def chatty(server, requests, context):
        async for transcript in count_bytes(server, requests, context):
            yield transcript
            yield final("what has been said so far " * 20)

    async with fake_server(chatty) as server:
        with path.open("rb") as file:
            code, output, complaints = await transcribe(server, "-", stdin=file)
    assert (code, complaints) == (0, "")
    assert server.audio_bytes == hour_bytes
    assert output.count("\n") > 3600 * 32_000 / 16_000


async def test_raw_options(tmp_path):
    """Raw samples are described to the server as the options say."""
    path = tmp_path / "raw"
    path.write_bytes(bytes(1000))
    options = ("--rate", "8000", "--channels", "2", "--encoding", "mulaw", "-")
    async with fake_server() as server:
        with path.open("rb") as file:
            code, output, _ = await transcribe(server, *options, stdin=file)
    assert (code, output) == (0, "1000 bytes\n")
    audio_format = server.config.audio_format
    assert audio_format.encoding == AudioEncoding.AUDIO_ENCODING_MULAW
    assert (audio_format.sample_rate_hertz, audio_format.channel_count) == (8000, 2)


async def test_a_slow_server_sets_the_pace(tmp_path):
    """Without --realtime a server that reads slowly gets everything all the same."""
    samples = np.zeros((192_000 * 20, 2), dtype=np.int16)
    soundfile.write(tmp_path / "large.wav", samples, 192_000)
    wake = asyncio.Event()

    async def slow(server, requests, _):
        yield STARTED
        await wake.wait()
        async for request in requests:
            server.note(request)
        yield final(f"{server.audio_bytes}")

    async with fake_server(slow) as server:
        process = await start(
            "client.file", "--server", server.address, str(tmp_path / "large.wav")
        )
        ending = asyncio.create_task(outcome(process))
        done, _ = await asyncio.wait([ending], timeout=1.0)
        assert not done
        wake.set()
        assert await ending == (0, f"{samples.nbytes}\n", "")


async def test_realtime(tmp_path):
    """With --realtime a second takes a second, in messages of 100 ms."""
    path = write_tone(tmp_path / "tone.wav", 1.0)
    arrivals_s = []

    async def watch(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
            if request.HasField("audio"):
                arrivals_s.append(time.monotonic())
        yield final("done")

    async with fake_server(watch) as server:
        code, output, _ = await transcribe(server, "--realtime", path)
    assert (code, output, len(arrivals_s)) == (0, "done\n", 10)
    # The last is due 0.9 s after the first; a busy machine may deliver the first one late.
    assert arrivals_s[-1] - arrivals_s[0] > 0.6


async def test_realtime_tells_lateness(tmp_path):
    """A server that cannot keep up with --realtime is named as the reason for the delay."""
    soundfile.write(tmp_path / "large.wav", np.zeros((192_000 * 4, 8), dtype=np.int16), 192_000)
    wake = asyncio.Event()

    async def slow(server, requests, _):
        yield STARTED
        await wake.wait()
        async for request in requests:
            server.note(request)

    async with fake_server(slow) as server:
        process = await start(
            "client.file", "--server", server.address, "--realtime", str(tmp_path / "large.wav")
        )
        ending = asyncio.create_task(outcome(process))
        # Buffers on the way hold some 5 MB, which are spoken in less than 2 s.
        await asyncio.wait([ending], timeout=4.5)
        wake.set()
        code, _, complaints = await ending
    assert code == 0
    assert "behind real time; the server took audio more slowly" in complaints


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
    path = write_tone(tmp_path / "tone.wav")

    async def never_ends(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
        server.half_closed.set()
        yield interim("still thinking")
        await asyncio.Event().wait()

    async with fake_server(never_ends) as server:
        process = await start("client.file", "--server", server.address, "--interim", path)
        assert await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        # Two signals of a kind that come at once are one.
        await asyncio.wait([asyncio.create_task(process.wait())], timeout=0.3)
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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "PATH"),
        (["--rate", "8000", "a.wav"], "describe raw audio"),
        (["-", "-"], "only once"),
        (["--format", "srt", "a.wav", "b.wav"], "needs --output-dir"),
        (["--output-dir", "x", "a.wav", "b/a.flac"], "same output file"),
        (["--server", "localhost", "a.wav"], "is not HOST:PORT"),
        (["--format", "pdf", "a.wav"], "invalid choice"),
        (["--channels", "9", "-"], "from 1 to 8"),
        (["--rate", "44", "-"], "from 8000 to 192000"),
    ],
)
def test_usage(arguments, sentence, capsys):
    """A command line that makes no sense is answered with the reason, and exit code 2."""
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == ExitCode.USAGE
    assert sentence in capsys.readouterr().err


async def test_help_teaches():
    """The help has examples and the exit codes."""
    code, output, _ = await run("client.file", "--help")
    assert code == 0
    assert "examples:" in output
    assert all(f"\n  {int(code)} " in output for code in ExitCode)
