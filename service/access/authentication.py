"""From what a caller sends to what it may do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.access.grants import (
    Grant,
    ScopeMissingError,
    TokenExpiredError,
    TokenInvalidError,
    TokenMissingError,
)
from service.access.signed_tokens import Issuer, SignedTokens, read_keys
from service.access.token_file import StaticTokens, read_tokens
from service.watched import Watched

SCHEME = "bearer "

MAX_TOKEN_CHARACTERS = 8_192

LOOK_EVERY_S = 0.1
"""So long a token may go on to count that was taken out of its file."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """The tokens that count; files are read anew when they change."""

    static: Watched[StaticTokens] | None = None
    signed: Watched[SignedTokens] | None = None
    clock: Callable[[], float] = time.time
    """Unix time."""

    def grant(self, authorization: str | None, scope: str) -> Grant:
        """Return what a caller has proved.

        Args:
            authorization: What it sent under that name; None where it sent nothing.
            scope: What it wants to do.

        Raises:
            AccessError: it has not proved that it may.
        """
        if authorization is None or not authorization.lower().startswith(SCHEME):
            raise TokenMissingError
        grant = self._find(authorization[len(SCHEME) :].strip())
        if grant.expires_at_s is not None and grant.expires_at_s <= self.clock():
            raise TokenExpiredError
        if scope not in grant.scopes:
            raise ScopeMissingError(scope)
        return grant

    def _find(self, token: str) -> Grant:
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise TokenInvalidError("it is too long, or not made of ASCII")
        if self.static is not None:
            # One that is not known may have been added since the last look.
            for max_age_s in (LOOK_EVERY_S, 0.0):
                grant = self.static.current(max_age_s).find(token)
                if grant is not None:
                    return grant
        if self.signed is not None and token.count(".") == 2:
            return self.signed.current().check(token)
        raise TokenInvalidError


def static_tokens(path: Path) -> Watched[StaticTokens]:
    """Watch a file of hashed tokens.

    Raises:
        FileError: it cannot be used.
    """
    return Watched("tokens", [path], lambda: read_tokens(path))


def signed_tokens(path: Path, issuer: Issuer) -> Watched[SignedTokens]:
    """Watch a file of public keys.

    Raises:
        FileError: it cannot be used.
    """
    return Watched("keys of tokens", [path], lambda: SignedTokens(read_keys(path), issuer))
