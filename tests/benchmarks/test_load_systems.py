"""Load on a real server, with the recognizer that needs no weights."""

import contextlib
import subprocess
import sys
import time

import pytest

from benchmarks import load, load_grpc
from benchmarks.load_grpc import Endpoint
from benchmarks.load_systems import other, ours
from benchmarks.support import ROOT, own_server
from client.serving import ServerError
from client.stream import Client, StreamingConfig
from tests.benchmarks.spoken import clip, script
from tests.certificates import Authority


@pytest.mark.timeout(180)
def test_streams_of_a_real_server_are_measured():
    """Two streams get their finals, the same as alone, and the server's own figures are read."""
    scripts = [script(clip(0.5, 0.3), clip(0.4, 0.3)), script(clip(0.6, 0.3), start_s=0.2)]
    settings = ["--voice-activity", "energy"]
    with ours("scripted", settings, 4) as system:
        system.warm_up(scripts)
        figures, failures = system.measure(scripts, 0)
    assert failures == []
    assert (figures.failed, figures.lost, figures.changed) == (0, 0, 0)
    assert figures.final_p50_s is not None
    assert figures.wer_percent is None
    assert figures.cpu_s_per_s is not None
    assert figures.memory_mb_per_stream is not None
    assert figures.amplification is not None
    assert figures.amplification >= 1.0


@pytest.mark.timeout(180)
async def test_a_full_server_is_seen_to_refuse():
    """A stream that never had a slot was refused, and how long that took is known."""
    arguments = ["--model", "scripted", "--voice-activity", "energy", "--max-streams", "1"]
    with own_server(*arguments) as server:
        async with Client(server.address) as client, client.stream(StreamingConfig()) as holder:
            assert (await anext(aiter(holder))).HasField("stream_started")
            endpoint = Endpoint(server.address)
            record = await load_grpc.play(endpoint, script(clip(0.2)), "", time.monotonic())
    assert record.failure.startswith("UNAVAILABLE")
    assert not record.is_admitted
    assert record.refused_s is not None


@pytest.mark.timeout(180)
def test_a_server_elsewhere_with_certificate_and_token_is_measured(tmp_path):
    """The options of the clients name both; without the token there is nothing to measure."""
    authority = Authority(tmp_path)
    pair = authority.sign("server", "127.0.0.1")
    tokens = tmp_path / "tokens.txt"
    make = [sys.executable, "-m", "service.tokens", "--file", str(tokens), "add", "load"]
    done = subprocess.run(make, cwd=ROOT, check=True, capture_output=True, text=True)
    token_file = tmp_path / "token"
    token_file.write_text(done.stdout)
    scripts = [script(clip(0.4, 0.3))]
    arguments = ["--model", "scripted", "--voice-activity", "energy", "--tokens", str(tokens)]
    arguments += ["--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)]
    with own_server(*arguments) as server:
        given = ["--server", server.address, "--ca", str(authority.file)]
        options = load.parse([*given, "--token-file", str(token_file)])
        with other(options.endpoint, options.model, "", 2) as system:
            system.warm_up(scripts)
            figures, failures = system.measure(scripts, 0)
        nobody = load.parse(given)
        with (
            other(nobody.endpoint, nobody.model, "", 2) as system,
            pytest.raises(ServerError, match="UNAUTHENTICATED"),
        ):
            system.warm_up(scripts)
    assert failures == []
    assert (figures.failed, figures.lost, figures.changed) == (0, 0, 0)
    assert figures.cpu_s_per_s is None


def test_settings_of_the_server():
    """A setting is passed on as the server takes it, with what follows the first sign of
    equality as its value."""
    options = load.parse(["--server-option", "interim-interval-ms=1000", "--streams", "4,1,4"])
    assert options.settings == ["--interim-interval-ms", "1000"]
    assert options.streams == [1, 4]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--overload", "1"],
        ["--overload", "2", "--peer", "naive"],
        ["--peer", "nobody"],
        ["--tls"],
        ["--server", "example.com:443", "--token", "secret"],
    ],
)
def test_what_does_not_go_together_is_refused(arguments):
    """The reason stands on standard error, with the usage."""
    with pytest.raises(SystemExit) as caught, contextlib.redirect_stderr(sys.stdout):
        load.parse(arguments)
    assert caught.value.code == 2


def test_the_launcher_of_whisper_live_needs_nothing_of_ours():
    """It runs in an environment where our libraries are not installed."""
    command = [sys.executable, "-I", str(ROOT / "benchmarks" / "whisper_live_server.py"), "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "--max-clients" in done.stdout
