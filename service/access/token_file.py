"""Static tokens: a file with one line for each, which holds its hash.

    # name  hash  scopes  end
    ann  sha256:2c26b46b…  recognize,list  2027-01-31T12:00:00Z

A token is 256 bits of chance, so that one round of SHA-256 keeps it secret: unlike a
password it cannot be guessed, and a slow hash would only be work for every call.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.access.grants import SCOPES, Grant
from service.watched import FileError, read_file

PREFIX = "asr_"
"""Of every token, so that those who look for secrets in code can find them."""

TOKEN_BYTES = 32
NEVER = "never"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
HASH = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Entry:
    """One token, as the file knows it."""

    name: str
    digest: bytes
    scopes: frozenset[str]
    expires_at: datetime | None

    def line(self) -> str:
        """Return it as it stands in the file."""
        scopes = ",".join(scope for scope in SCOPES if scope in self.scopes)
        return f"{self.name}  sha256:{self.digest.hex()}  {scopes}  {moment(self.expires_at)}"


class StaticTokens:
    """The tokens of a file."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        """Know these tokens."""
        self.entries = entries
        self._by_digest = {entry.digest: entry for entry in entries}

    def find(self, token: str) -> Grant | None:
        """Return what a token proves, expired or not; None where it is not one of these.

        How long it takes tells at most something of digests, and from a digest no token can
        be made; so it need not take the same time for all.
        """
        found = self._by_digest.get(hash_of(token))
        if found is None:
            return None
        end = found.expires_at
        return Grant(
            identity=f"token:{found.name}",
            name=found.name,
            scopes=found.scopes,
            expires_at_s=None if end is None else end.timestamp(),
        )


def new_token() -> str:
    """Make a token."""
    return PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> bytes:
    """Return what the file holds instead of a token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def moment(when: datetime | None) -> str:
    """Return a moment as it stands in the file."""
    return NEVER if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_tokens(path: Path) -> StaticTokens:
    """Read the tokens of a file.

    Raises:
        FileError: it cannot be read, or a line is not as it should be; says which.
    """
    lines = read_file(path).decode(errors="replace").splitlines()
    return StaticTokens(
        tuple(
            _entry(path, number, line)
            for number, line in enumerate(lines, start=1)
            if line.strip() and not line.lstrip().startswith("#")
        )
    )


def _entry(path: Path, number: int, line: str) -> Entry:
    parts = line.split()
    place = f"{path}, line {number}"
    if len(parts) != 4:
        raise FileError(f"{place}: a line has a name, a hash, scopes and an end")
    name, hashed, scopes, end = parts
    match = HASH.fullmatch(hashed)
    if not NAME.fullmatch(name) or match is None:
        raise FileError(f"{place}: the name or the hash is not well-formed")
    wanted = frozenset(scopes.split(","))
    if not wanted <= set(SCOPES):
        raise FileError(f"{place}: scopes are {', '.join(SCOPES)}, with commas and no spaces")
    return Entry(name, bytes.fromhex(match[1]), wanted, _end(place, end))


def _end(place: str, text: str) -> datetime | None:
    if text == NEVER:
        return None
    try:
        end = datetime.fromisoformat(text)
    except ValueError as error:
        raise FileError(f"{place}: the end is {NEVER}, or as 2027-01-31T12:00:00Z") from error
    return end if end.tzinfo else end.replace(tzinfo=UTC)
