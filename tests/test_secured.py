"""Server and clients as programs, with certificates, tokens and metrics."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.certificates import Authority
from tests.client.programs import outcome, run, start
from tests.faults.processes import service
from tests.observability.scrape import scrape
from tests.ports import free_address
from tests.tones import quiet, tones

ROOT = Path(__file__).parent.parent


@pytest.fixture
def recording(tmp_path) -> str:
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.concatenate([quiet(300), tones("alfa bravo")]), 16_000)
    return str(path)


def make_token(file: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "service.tokens", "--file", str(file), "add", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


async def test_the_way_of_the_documentation(tmp_path, recording):
    """Make a token and certificates, serve with them, transcribe, look at health and metrics."""
    authority = Authority(tmp_path)
    pair = authority.sign("server", "127.0.0.1")
    tokens = tmp_path / "tokens.txt"
    token_file = tmp_path / "ann.token"
    token = make_token(tokens, "ann")
    token_file.write_text(token + "\n")
    metrics = free_address()
    options = (
        *("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)),
        *("--tokens", str(tokens), "--metrics-listen", metrics),
    )
    ca = ("--ca", str(authority.file))
    with service(*options, module="service") as process:
        server = ("--server", process.address)
        said = await run("client.file", recording, *server, *ca, "--token-file", str(token_file))
        assert said[:2] == (0, "alfa bravo\n")
        by_variable = await start("client.file", recording, *server, *ca, ASR_TOKEN=token)
        assert (await outcome(by_variable))[:2] == (0, "alfa bravo\n")
        code, _, complaint = await run("client.file", recording, *server, *ca)
        assert code == 5
        assert "--token-file" in complaint
        code, _, complaint = await run("client.file", recording, *server)
        assert code == 5
        assert "wants encryption; add --tls" in complaint
        assert (await run("client.health", *server, *ca))[0] == 0
        code, _, complaint = await run("client.health", *server)
        assert (code, "wants encryption" in complaint) == (1, True)
        assert 'asr_caller_calls_total{caller="token-ann"}' in await scrape(metrics)
        lines = [line for line in process.lines() if line["event"] == "call ended"]
        assert {line["caller"] for line in lines if line["outcome"] == "OK"} == {"token-ann"}
        assert token not in process.log.read_text()


async def test_nothing_starts_on_what_is_not_safe(tmp_path):
    """Plain text to a network, and files that cannot be used, end with 2 and a sentence."""
    for options, cause in (
        (("--listen", "0.0.0.0:0"), "--insecure-listen"),
        (("--tokens", str(tmp_path / "none.txt")), "none.txt cannot be read"),
        (("--jwt-keys", str(tmp_path / "none.pem"), "--jwt-audience", "asr"), "cannot be read"),
    ):
        code, _, complaint = await run("service", "--model", "scripted", *options)
        assert (code, cause in complaint) == (2, True), complaint
