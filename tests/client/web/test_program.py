"""`python -m client.web` as users start it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import urllib.request
from asyncio.subprocess import Process
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from client.cli import ExitCode
from client.serving import STOP_S
from tests.client.fake_server import fake_server
from tests.client.programs import ROOT, outcome, start, write_tone
from tests.client.web import browser
from tests.ports import free_address
from tests.rpc.streams import until

pytest.importorskip("gradio", reason="the extra web is not installed")
httpx = pytest.importorskip("httpx", reason="it comes with the extra web")

pytestmark = pytest.mark.timeout(400)
"""Gradio takes a busy machine half a minute to start."""


@asynccontextmanager
async def running(*arguments, **environment):
    """Run the program until the block ends; gives it with the page's and the server's address."""
    process = await start("client.web", "--port", "0", *arguments, **environment)
    try:
        line = (await process.stdout.readline()).decode()
        found = re.match(r"open (\S+) \(server: (\S+)\)", line)
        assert found, (line, await process.stderr.read())
        yield process, found[1], found[2]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ended(process: Process, number: int) -> tuple[int, str, str]:
    process.send_signal(number)
    return await outcome(process)


async def test_a_certificate_that_cannot_be_used(tmp_path):
    """It is known before the page is, and said in a sentence."""
    process = await start("client.web", "--port", "0", "--ca", str(tmp_path / "none.pem"))
    code, output, complaints = await outcome(process)
    assert (code, output) == (ExitCode.USAGE, "")
    assert complaints.startswith("client.web: ")
    assert "none.pem" in complaints
    assert "Traceback" not in complaints


async def test_embedded():
    """With --embedded there is a server beside the page, and with the page it goes."""
    async with running("--embedded", "--model", "scripted") as (process, url, server):
        (child,) = psutil.Process(process.pid).children()
        assert "service" in child.cmdline()
        _, writer = await asyncio.open_connection(*server.split(":"))
        writer.close()
        page = await asyncio.to_thread(fetch, url)
        assert "speech/assets/live.js" in page
        assert "WebSocket" in await asyncio.to_thread(fetch, f"{url}speech/assets/live.js")
        code, output, complaints = await ended(process, signal.SIGINT)
        assert (code, output) == (0, "")
        assert "Traceback" not in complaints
        assert not child.is_running()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupted_while_the_server_loads(tmp_path, number):
    """Whoever asks it to stop is not kept waiting for a model; the server goes too."""
    # In its place is found what says so and takes no notice of Ctrl-C.
    (tmp_path / "service.py").write_text(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('loading', os.getpid(), file=sys.stderr, flush=True)\n"
        "signal.pause()\n"
    )
    arguments = ("--port", "0", "--embedded")
    process = await start("client.web", *arguments, folder=tmp_path, PYTHONPATH=str(ROOT))
    while not (line := (await process.stderr.readline()).decode()).startswith("loading"):
        assert line
    async with asyncio.timeout(STOP_S):
        assert await ended(process, number) == (0, "", "")
    assert not psutil.pid_exists(int(line.split()[1]))


async def test_a_server_that_does_not_start():
    """A model that there is not is the embedded server's complaint, and an exit code."""
    process = await start("client.web", "--port", "0", "--embedded", "--model", "nonsense")
    code, output, complaints = await outcome(process)
    assert (code, output) == (ExitCode.SERVER_AWAY, "")
    assert "nonsense" in complaints
    assert "client.web: The server ended at start-up" in complaints


async def test_a_port_that_is_taken():
    """Two pages on one port: the second says so, and how to choose another."""
    address = free_address()
    host, port = address.split(":")
    taken = await asyncio.start_server(lambda *_: None, host, int(port))
    async with taken:
        code, _, complaints = await outcome(await start("client.web", "--port", port))
    assert code == ExitCode.NOT_AUDIO
    assert f"cannot be served on 127.0.0.1, port {port} (Address already in use)" in complaints
    assert "choose with --host and --port" in complaints


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        # An address for documentation, which no machine has.
        (("--host", "192.0.2.1", "--port", "7860"), "on 192.0.2.1, port 7860 ("),
        (("--host", "no such host", "--port", "0"), "on no such host, port 0 ("),
    ],
)
async def test_a_host_that_is_not_this_machine(arguments, said):
    """What is wrong is said of the host, not of the port."""
    code, output, complaints = await outcome(await start("client.web", *arguments))
    assert (code, output) == (ExitCode.NOT_AUDIO, "")
    assert said in complaints
    assert "Traceback" not in complaints


async def test_an_address_of_the_sixth_version():
    """The page is served on such an address, with and without brackets, and can be opened."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with running("--host", "::1", "--server", "127.0.0.1:1") as (process, url, _):
        assert url.startswith("http://[::1]:")
        assert "speech/assets/live.js" in await asyncio.to_thread(fetch, url)
        assert (await ended(process, signal.SIGTERM))[0] == 0


async def test_a_link_without_a_network(tmp_path):
    """Where Gradio's tunnel cannot be reached, --share says so, and the page is there all the
    same."""
    # Nobody listens there, whatever this machine can reach; and no program for it is kept here.
    offline = {"HTTPS_PROXY": "http://127.0.0.1:1", "HF_HOME": str(tmp_path), "NO_PROXY": ""}
    async with running("--server", "127.0.0.1:1", "--share", **offline) as (process, url, _):
        assert url.startswith("http://127.0.0.1:")
        assert "speech/assets/live.js" in await asyncio.to_thread(fetch, url)
        code, output, complaints = await ended(process, signal.SIGINT)
    assert (code, output) == (0, "")
    assert "client.web: Gradio's tunnel cannot be reached, so there is no link" in complaints
    assert "Traceback" not in complaints


async def test_what_is_uploaded_goes_with_the_page(tmp_path):
    """Recordings of visitors are not left on the machine."""
    kept = tmp_path / "kept"
    kept.mkdir()
    async with (
        running("--server", "127.0.0.1:1", TMPDIR=str(kept)) as (process, url, _),
        httpx.AsyncClient() as visitor,
    ):
        upload = {"files": ("tone.wav", bytes(1000))}
        answer = await visitor.post(f"{url}gradio_api/upload", files=upload)
        assert Path(answer.json()[0]).is_relative_to(kept)
        assert list(kept.rglob("tone.wav"))
        assert (await ended(process, signal.SIGTERM))[0] == 0
    assert not [path for path in kept.rglob("*") if path.is_file()]


async def test_transcripts_are_not_kept_twice(tmp_path):
    """Of a transcript to save there is the copy that goes after a day, and no other."""
    browser.chromium()
    kept = tmp_path / "kept"
    kept.mkdir()
    recording = write_tone(tmp_path / "tone.wav")
    server = free_address()
    async with (
        fake_server(listen=server),
        running("--server", server, TMPDIR=str(kept)) as (_, url, _),
        browser.opened() as page,
    ):
        await browser.open_tab(page, url, "Recording")
        await browser.choose(page, recording)
        await page.click("#recording-start")
        await page.wait_for_selector(".result audio")
        await until(lambda: len(list(kept.rglob("tone.txt"))) == 1)
        assert list(kept.glob("*/uploads/*/tone.txt"))
        async with page.expect_download() as download:
            await page.get_by_text("Save TXT").click()
        assert (await (await download.value).path()).read_text() == "32000 bytes\n"


async def test_strangers_are_kept_out():
    """With --auth a stranger gets neither the page nor a session, and what a stranger sends to
    the socket harms nobody."""
    from websockets.asyncio.client import connect

    async with running("--auth", "team:secret", "--server", "127.0.0.1:1") as (process, url, _):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            await asyncio.to_thread(fetch, f"{url}config")
        address = url.replace("http", "ws") + "speech/live/guessed"
        for first in (json.dumps({"rate_hz": 16_000}), "nonsense", b"1234", "[]", '{"rate_hz": 1}'):
            async with connect(address) as stranger:
                await stranger.send(first)
                told = json.loads(await stranger.recv())
                assert told["kind"] == "error"
                assert "reload" in told["sentence"]
        assert (await ended(process, signal.SIGTERM))[0] == 0


def fetch(url: str) -> str:
    with urllib.request.urlopen(url) as response:  # noqa: S310 - of this machine
        return response.read().decode()


async def test_a_name_and_a_password_open_the_page():
    """Who signs in as --auth says sees the page, and may start a session."""
    browser.chromium()
    server = free_address()
    arguments = ("--auth", "team:secret", "--server", server)
    async with (
        fake_server(listen=server),
        running(*arguments) as (_, url, _),
        browser.opened(recording=None) as page,
    ):
        await page.goto(url)
        await page.get_by_test_id("textbox").fill("team")
        await page.get_by_test_id("password").fill("secret")
        await page.get_by_role("button", name="Login").click()
        await page.wait_for_function("document.querySelector('.about')?.innerText.length > 10")
        await page.click("#live-start")
        await browser.wait_for_state(page, "listening")
        await browser.stop_listening(page)
