"""python -m service.tokens: makes, lists and revokes the tokens of a file.

A running server notices at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.access.grants import SCOPES
from service.access.token_file import (
    NAME,
    Entry,
    hash_of,
    moment,
    new_token,
    read_tokens,
)
from service.watched import FileError

DEFAULT_FILE = "tokens.txt"
DEFAULT_DAYS = 365

HEADER = """\
# Tokens of python -m service --tokens FILE, one a line: name, hash, scopes, end.
# Made by python -m service.tokens; a line may be removed or its scopes and end changed by hand.
"""

EPILOG = f"""\
examples:
  python -m service.tokens add ann > ann.token     make one; it is shown this once
  python -m service.tokens add probe --scopes list --days 0
  python -m service.tokens list
  python -m service.tokens revoke ann
  python -m service.tokens add ann > ann.token && … && python -m service.tokens revoke ann --older
                                                   give ann a new one before the old one ends

scopes:
  recognize   StreamingRecognize and Recognize
  list        ListModels, and reflection

The file is that of --file, of ASR_TOKENS, or {DEFAULT_FILE}. Exit status: 0 done, 1 not done,
2 the command line makes no sense."""


class CommandError(Exception):
    """It cannot be done. `str()` of it is a sentence for people."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = make_parser().parse_args(arguments)
    try:
        options.run(options)
    except (CommandError, FileError) as error:
        print(f"tokens: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m service.tokens",
        description="Make, list and revoke the tokens by which a server knows its callers.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--file",
        type=Path,
        default=Path(os.environ.get("ASR_TOKENS") or DEFAULT_FILE),
        help="the file that the server's --tokens names (default: %(default)s)",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    adding = commands.add_parser("add", help="make a token and print it, this once")
    adding.add_argument("name", type=_name, help="whose it is; shown in logs and metrics")
    adding.add_argument(
        "--scopes",
        type=_scopes,
        default=frozenset(SCOPES),
        help=f"what it allows, with commas (default: {','.join(SCOPES)})",
    )
    adding.add_argument(
        "--days",
        type=float,
        default=DEFAULT_DAYS,
        help="days until it ends; 0 is never (default: %(default)s)",
    )
    adding.set_defaults(run=_add)
    listing = commands.add_parser("list", help="show whose tokens there are, and until when")
    listing.set_defaults(run=_list)
    revoking = commands.add_parser("revoke", help="take the tokens of a name away")
    revoking.add_argument("name", type=_name)
    revoking.add_argument("--older", action="store_true", help="all but the newest")
    revoking.set_defaults(run=_revoke)
    return parser


def _add(options: argparse.Namespace) -> None:
    token = new_token()
    end = datetime.now(UTC) + timedelta(days=options.days) if options.days > 0 else None
    entry = Entry(options.name, hash_of(token), options.scopes, end)
    before = read_tokens(options.file).entries if options.file.exists() else ()
    text = options.file.read_text(encoding="utf-8") if options.file.exists() else HEADER
    _write(options.file, f"{text.rstrip()}\n{entry.line()}\n")
    print(token)  # noqa: T201
    others = sum(other.name == entry.name for other in before)
    also = f"; {entry.name} has {others + 1} tokens now" if others else ""
    print(  # noqa: T201
        f"tokens: the token of {entry.name} ends {moment(end)}{also}. "
        "It is shown this once: the file holds its hash.",
        file=sys.stderr,
    )


def _list(options: argparse.Namespace) -> None:
    now = datetime.now(UTC)
    for entry in read_tokens(options.file).entries:
        scopes = ",".join(scope for scope in SCOPES if scope in entry.scopes)
        has_ended = entry.expires_at is not None and entry.expires_at <= now
        state = "  (has ended)" if has_ended else ""
        print(f"{entry.name:20} {scopes:16} {moment(entry.expires_at)}{state}")  # noqa: T201


def _revoke(options: argparse.Namespace) -> None:
    own = [entry for entry in read_tokens(options.file).entries if entry.name == options.name]
    gone = own[:-1] if options.older else own
    if not gone:
        raise CommandError(f"{options.file} has no {'older ' * options.older}token of that name")
    hashes = {entry.digest.hex() for entry in gone}
    lines = options.file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not any(one in line for one in hashes)]
    _write(options.file, "".join(kept))
    print(f"tokens: {len(gone)} of {options.name} revoked", file=sys.stderr)  # noqa: T201


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole, so that a server never reads half of it."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    new = path.with_name(path.name + ".new")
    try:
        new.touch(mode=0o600)
        new.chmod(mode)
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


def _name(text: str) -> str:
    if NAME.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a name; take up to 64 letters, digits and . _ @ -"
    )


def _scopes(text: str) -> frozenset[str]:
    wanted = frozenset(text.split(","))
    if wanted <= set(SCOPES):
        return wanted
    raise argparse.ArgumentTypeError(f"scopes are {', '.join(SCOPES)}")


if __name__ == "__main__":
    sys.exit(main())
