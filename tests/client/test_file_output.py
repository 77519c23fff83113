"""`python -m client.file`: outputs that cannot be written, and inputs that are not there."""

import asyncio
import json
import shlex
import sys

import grpc
import pytest

from client.file import ExitCode
from tests.client.fake_server import STARTED, abort, fake_server, final
from tests.client.programs import ROOT, outcome, start, transcribe, write_tone


async def apostrophe(_, requests, __):
    yield STARTED
    async for _request in requests:
        pass
    yield final("It\u2019s.")


async def in_shell(server, rest):
    """Run client.file with what a shell does for it; returns its exit code and complaints."""
    process = await asyncio.create_subprocess_shell(
        f"{shlex.quote(sys.executable)} -m client.file --server {server.address} {rest}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    code, _, complaints = await outcome(process)
    return code, complaints


@pytest.mark.parametrize(
    ("redirection", "sentence"),
    [
        ("> /dev/full", "standard output cannot be written: no space left on device"),
        (">&-", "standard output is closed, so nothing can be written to it"),
    ],
)
async def test_standard_output_that_takes_nothing(tmp_path, redirection, sentence):
    """A full disk behind standard output is one sentence, however many recordings there are."""
    path = write_tone(tmp_path / "a.wav")
    async with fake_server(apostrophe) as server:
        ended = await in_shell(server, f"{path} {path} {redirection}")
    assert ended == (ExitCode.FAILED, f"client.file: {sentence}\n")
    assert server.streams == 1


async def test_an_output_file_that_takes_nothing(tmp_path):
    """A file that cannot be written to is told, and the other recordings are done."""
    paths = [write_tone(tmp_path / name) for name in ("a.wav", "b.wav")]
    (tmp_path / "a.text").symlink_to("/dev/full")
    async with fake_server(apostrophe) as server:
        ended = await transcribe(server, "--output-dir", str(tmp_path), *paths)
    complaint = f"client.file: {tmp_path}/a.text cannot be written: no space left on device\n"
    assert ended == (ExitCode.FAILED, "", complaint)
    assert (tmp_path / "b.text").read_text(encoding="utf-8") == "It\u2019s.\n"


async def test_text_that_the_output_lacks_characters_for(tmp_path):
    """No final is lost to the encoding of the output: what it lacks is escaped."""
    path = write_tone(tmp_path / "a.wav")
    async with fake_server(apostrophe) as server:
        process = await start(
            "client.file", "--server", server.address, path, PYTHONIOENCODING="latin-1"
        )
        assert await outcome(process) == (0, "It\\u2019s.\n", "")


@pytest.mark.parametrize("form", ["json", "srt", "vtt"])
async def test_formats_for_programs_are_utf8(tmp_path, form):
    """JSON and subtitles are UTF-8 whatever the environment says."""
    path = write_tone(tmp_path / "a.wav")
    async with fake_server(apostrophe) as server:
        options = ("--server", server.address, "--format", form, path)
        process = await start("client.file", *options, PYTHONIOENCODING="latin-1")
        code, output, _ = await outcome(process)
    assert code == 0
    assert "It\u2019s." in output
    if form == "json":
        assert json.loads(output.splitlines()[-1])["final_result"]["text"] == "It\u2019s."


async def test_a_refusal_leaves_the_older_transcript(tmp_path):
    """A transcript that is there stays until the server has granted the stream for another."""

    async def refuse(_, __, context):
        await abort(context, grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL", "no model is called x")
        yield STARTED

    path = write_tone(tmp_path / "a.wav")
    older = tmp_path / "a.text"
    older.write_text("Good.\n")
    async with fake_server(refuse) as server:
        code, _, _ = await transcribe(server, "--output-dir", str(tmp_path), path)
    assert code == ExitCode.REJECTED
    assert older.read_text() == "Good.\n"


async def test_standard_input_that_is_closed():
    """Standard input that is closed is one sentence."""
    async with fake_server() as server:
        ended = await in_shell(server, "- <&-")
    sentence = "standard input is closed, so there is nothing to read from it"
    assert ended == (ExitCode.NOT_AUDIO, f"client.file: {sentence}\n")
