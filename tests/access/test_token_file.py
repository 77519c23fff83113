"""Static tokens and the command that makes them."""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime, timedelta

import pytest

from service.access.grants import LIST, RECOGNIZE
from service.access.token_file import StaticTokens, hash_of, new_token, read_tokens
from service.tokens import main
from service.watched import FileError

HASH = hash_of("good").hex()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tokens.txt"


@pytest.fixture
def command(file, capsys):
    """Run the command; returns its status and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["--file", str(file), *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_a_token_is_known_by_its_hash_alone(command, file):
    """The command shows the token once; the file and the grant hold nothing of it."""
    status, out, err = command("add", "ann")
    token = out.strip()
    assert (status, len(out.split())) == (0, 1)
    assert re.fullmatch(r"asr_[\w-]{43}", token)
    assert token not in file.read_text() + err
    grant = read_tokens(file).find(token)
    assert (grant.identity, grant.name, grant.scopes) == ("token:ann", "ann", {RECOGNIZE, LIST})
    assert token not in repr(grant)
    year = timedelta(days=365)
    assert abs(grant.expires_at_s - (datetime.now(UTC) + year).timestamp()) < 60


def test_only_the_very_token_is_known(command, file):
    """Nothing but the token itself opens: not its hash, its begin, its name or nothing."""
    token = command("add", "ann")[1].strip()
    known = read_tokens(file)
    wrong = (token[:-1], token + "x", token.upper(), hash_of(token).hex(), "ann", "", "\udc80")
    assert [known.find(one) for one in wrong] == [None] * len(wrong)
    assert StaticTokens(()).find(token) is None


def test_scopes_and_ends_are_as_asked_for(command, file):
    """A token may do less than all, and end never."""
    token = command("add", "probe", "--scopes", "list", "--days", "0")[1].strip()
    grant = read_tokens(file).find(token)
    assert (grant.scopes, grant.expires_at_s) == ({LIST}, None)


def test_tokens_are_listed_and_revoked(command, file):
    """Who has a token and until when is shown; revoking takes away the tokens of one name."""
    tokens = [command("add", name)[1].strip() for name in ("ann", "bob", "ann")]
    assert "2 tokens now" in command("add", "bob")[2]
    listed = command("list")[1]
    assert [line.split()[0] for line in listed.splitlines()] == ["ann", "bob", "ann", "bob"]
    assert command("revoke", "ann", "--older")[0] == 0
    known = read_tokens(file)
    assert [known.find(token) is not None for token in tokens] == [False, True, True]
    assert command("revoke", "ann")[0] == 0
    status, _, err = command("revoke", "ann")
    assert (status, "no token of that name" in err) == (1, True)
    assert read_tokens(file).find(tokens[1])


def test_comments_and_permissions_are_kept(command, file):
    """What people wrote into the file stays, and the file is its owner's alone."""
    command("add", "ann")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(file.read_text() + "# the night shift\n")
    file.chmod(0o640)
    command("add", "bob")
    command("revoke", "ann")
    assert "# the night shift" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize("arguments", [["add", "a b"], ["add", ""], ["add", "x", "--scopes", "y"]])
def test_a_command_that_makes_no_sense_ends_with_2(command, arguments):
    """Names are one word, scopes those that there are."""
    with pytest.raises(SystemExit) as end:
        command(*arguments)
    assert end.value.code == 2


def test_a_file_that_is_not_there_is_a_sentence(command):
    """Listing what does not exist says so."""
    status, _, err = command("list")
    assert (status, "cannot be read" in err) == (1, True)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("ann", "a line has"),
        (f"ann sha256:{HASH} recognize never more", "a line has"),
        (f"ann md5:{HASH} recognize never", "not well-formed"),
        (f"ann sha256:{HASH[1:]} recognize never", "not well-formed"),
        (f"a/n sha256:{HASH} recognize never", "not well-formed"),
        (f"ann sha256:{HASH} everything never", "scopes are recognize, list"),
        (f"ann sha256:{HASH} recognize tomorrow", "2027-01-31"),
    ],
)
def test_a_bad_line_is_named(file, line, cause):
    """A file with a mistake opens for nobody by accident; the sentence has the line's number."""
    file.write_text(f"# head\n\n{line}\n")
    with pytest.raises(FileError, match=f"line 3.*{cause}"):
        read_tokens(file)


def test_ends_may_be_written_by_hand(file):
    """A day alone, and another time zone, are ends too."""
    file.write_text(f"a sha256:{HASH} list 2030-05-01\nb sha256:{HASH} list 2030-05-01T02:00+02:00")
    first, second = read_tokens(file).entries
    assert first.expires_at == second.expires_at == datetime(2030, 5, 1, tzinfo=UTC)


def test_tokens_differ():
    """Each is of its own chance."""
    assert len({new_token() for _ in range(100)}) == 100
