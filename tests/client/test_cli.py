"""What the programs have in common."""

import argparse

import pytest

from client.cli import ExitCode, add_server_options, exit_code_of
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
