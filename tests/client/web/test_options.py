"""The command line of the browser demo."""

import pytest

from client.web.options import make_parser, parse


def test_defaults():
    """Without options the page is for this machine alone and looks for a server on it."""
    options = parse([])
    assert (options.host, options.port, options.server) == ("127.0.0.1", 7860, "127.0.0.1:50051")
    assert options.auth is None
    assert not options.share


def test_user_and_password():
    """A password may hold colons."""
    assert parse(["--auth", "team:a:b"]).auth == ("team", "a:b")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--auth", "team"], "not USER:PASSWORD"),
        (["--port", "99999"], "from 0 to 65535"),
        (["--server", "x"], "is not HOST:PORT"),
        (["--embedded", "--server", "x:1"], "a server of its own"),
        (["--embedded", "--tls"], "needs no encryption"),
        (["--embedded", "--ca", "/nonexistent"], "needs no encryption"),
        (["--embedded", "--cert", "x"], "needs no encryption"),
        (["--model", "whisper"], "the server that --embedded starts"),
    ],
)
def test_usage(arguments, sentence, capsys):
    """A command line that makes no sense is answered with the reason, and exit code 2."""
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert sentence in capsys.readouterr().err


def test_help_teaches():
    """The help has examples, and says how a page gets a microphone."""
    text = make_parser().format_help()
    assert "examples:" in text
    assert "https" in text
