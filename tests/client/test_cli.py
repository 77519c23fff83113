"""What the programs have in common."""

import argparse

import pytest

from client.cli import ExitCode, add_server_options, exit_code_of
from client.diagnosis import diagnose
from client.errors import RecognitionError, no_server


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (no_server("host:1"), ExitCode.SERVER_AWAY),
        (RecognitionError("UNAVAILABLE", "Socket closed"), ExitCode.SERVER_AWAY),
        (RecognitionError("UNAVAILABLE", "full", reason="NO_FREE_SLOT"), ExitCode.REJECTED),
        (RecognitionError("NOT_FOUND", "no such model"), ExitCode.REJECTED),
        (RecognitionError("INVALID_ARGUMENT", "no"), ExitCode.REJECTED),
        (RecognitionError("INTERNAL", "internal error"), ExitCode.FAILED),
        (RecognitionError("UNKNOWN", "oops"), ExitCode.FAILED),
    ],
)
def test_exit_codes(error, code):
    """Who is away, who refuses and who fails have different exit codes."""
    assert exit_code_of(error) == code


@pytest.mark.parametrize("server", ["[::1]:5", "host.example:50051", "unix:/tmp/socket"])
def test_servers(server):
    """Addresses of every kind are taken."""
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    assert parser.parse_args(["--server", server]).server == server


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        ("localhost", "is not HOST:PORT"),
        (":50051", "is not HOST:PORT"),
        ("a..b:5", "is not HOST:PORT"),
        ("http://host:50051", "is not HOST:PORT"),
        ("::1:5", "is not HOST:PORT"),
        ("[::g]:5", "is not HOST:PORT"),
        (f"{'a' * 64}:5", "is not HOST:PORT"),
        ("127.0.0.1:99999", "'99999' is not an integer from 1 to 65535"),
        ("127.0.0.1:0", "'0' is not an integer from 1 to 65535"),
        ("127.0.0.1:http", "'http' is not an integer from 1 to 65535"),
    ],
)
def test_what_is_no_server(server, sentence, capsys):
    """What cannot be an address is a mistake of the command line, told before anything is done."""
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--server", server])
    assert caught.value.code == ExitCode.USAGE
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("server", ["127.0.0.1:99999", "a..b:5"])
async def test_what_is_no_server_for_the_library(server):
    """The library says of an address that cannot be one that nobody answers there."""
    assert await diagnose(server, None) is None
