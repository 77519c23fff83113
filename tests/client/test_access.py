"""Certificates and tokens of the client programs."""

import argparse

import pytest

from client.access import AccessError, Tls, Token, token_of
from client.cli import add_server_options, connection
from client.stream import Client
from tests.certificates import Authority
from tests.client.fake_server import fake_server
from tests.client.programs import run, write_tone

SECRET = "hush-hush-1234"


def options_of(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    return parser.parse_args(arguments)


def read_token(*arguments: str, server: str = "localhost:1", **environment: str) -> Token | None:
    options = options_of(*arguments)
    return token_of(options, server, environment, is_encrypted=bool(options.tls or options.ca))


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ((), {}, None),
        (("--token", "a"), {"ASR_TOKEN": "b"}, "a"),
        ((), {"ASR_TOKEN": "b", "ASR_TOKEN_FILE": "/nowhere"}, "b"),
    ],
)
def test_where_a_token_comes_from(arguments, environment, expected):
    """An option counts before the variable, and the variable before the file it could name."""
    token = read_token(*arguments, **environment)
    assert (token and token.metadata()) == (
        (("authorization", f"Bearer {expected}"),) if expected else None
    )


def test_a_token_file_is_read_for_each_call(tmp_path):
    """Whoever renews the token writes it into the file, and the program need not start anew."""
    path = tmp_path / "token"
    path.write_text("first\n")
    token = read_token("--token-file", str(path))
    assert token.metadata() == (("authorization", "Bearer first"),)
    path.write_text("second\n")
    assert token.metadata() == (("authorization", "Bearer second"),)
    assert read_token(ASR_TOKEN_FILE=str(path)).metadata() == token.metadata()


@pytest.mark.parametrize("content", ["", "\n", "two words", "line\nline", "schlüssel", None])
def test_a_file_without_a_token_is_a_sentence(tmp_path, content):
    """What cannot be a token is said at once, with the file's name and not its content."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AccessError, match=str(path)) as refusal:
        read_token("--token-file", str(path))
    assert not content or not content.strip() or content not in str(refusal.value)


def test_a_token_is_not_sent_for_all_to_read():
    """Beyond this machine a token goes out encrypted, unless one insists."""
    with pytest.raises(AccessError, match=r"--tls.*--insecure-token"):
        read_token("--token", SECRET, server="asr.example:50051")
    for more in ("--tls", "--insecure-token"):
        assert read_token("--token", SECRET, more, server="asr.example:50051")
    for server in ("127.0.0.1:5", "localhost:5", "[::1]:5", "unix:/run/asr"):
        assert read_token("--token", SECRET, server=server)


def test_a_token_does_not_show_itself(tmp_path):
    """It cannot get into a log by being printed."""
    for token in (Token(SECRET), Token(path=tmp_path)):
        assert SECRET not in f"{token} {token!r}"


def test_files_that_make_no_certificate_are_told(tmp_path):
    """Missing, broken and foreign files are sentences that name the file."""
    authority = Authority(tmp_path)
    one, other = authority.sign("one"), authority.sign("other")
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for arguments, cause in (
        (("--ca", str(tmp_path / "none.pem")), "none.pem cannot be read"),
        (("--ca", str(junk)), "junk.pem holds no certificates"),
        (("--cert", str(one.certificate)), "belong together"),
        (("--cert", str(one.certificate), "--key", str(other.key)), "another's"),
        (("--cert", str(tmp_path / "none.pem"), "--key", str(one.key)), "cannot be read"),
    ):
        with pytest.raises(AccessError, match=cause):
            connection(options_of(*arguments))


@pytest.mark.parametrize(
    ("arguments", "expected"), [((), None), (("--tls",), Tls()), (("--ca",), "ca")]
)
def test_ca_means_tls(tmp_path, arguments, expected):
    """Naming an authority or a certificate is enough to encrypt."""
    if expected == "ca":
        file = Authority(tmp_path).file
        arguments, expected = ("--ca", str(file)), Tls(ca=file)
    assert connection(options_of(*arguments))._tls == expected


async def test_a_token_that_is_gone_ends_with_a_sentence(tmp_path):
    """A token file that vanishes while a program runs fails its next call, with the file's name."""
    path = tmp_path / "token"
    path.write_text(SECRET)
    async with fake_server() as server, Client(server.address, token=Token(path=path)) as client:
        await client.models()
        path.unlink()
        with pytest.raises(Exception, match="token cannot be read"):
            await client.models()


@pytest.mark.parametrize("program", ["client.file", "client.evaluate"])
async def test_programs_end_with_2_on_bad_files(tmp_path, program):
    """What is wrong with an option is exit code 2 and one sentence, not a traceback."""
    tone = write_tone(tmp_path / "tone.wav")
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"audio": "tone.wav", "text": "tone"}\n')
    recording = str(manifest) if program == "client.evaluate" else tone
    code, _, complaints = await run(program, recording, "--ca", str(tmp_path / "none.pem"))
    assert (code, complaints.count("\n")) == (2, 1)
    assert "none.pem cannot be read" in complaints
