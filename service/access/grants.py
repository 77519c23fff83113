"""What a caller may do, and why one may not."""

from __future__ import annotations

from dataclasses import dataclass

from service.engine.refusals import RefusalError

RECOGNIZE = "recognize"
"""StreamingRecognize and Recognize."""
LIST = "list"
"""ListModels, and reflection."""

SCOPES = (RECOGNIZE, LIST)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token proves."""

    identity: str
    """Whose it is, in one word with how that is known; quotas are counted by it."""
    name: str
    """The same for logs and metrics."""
    scopes: frozenset[str]
    expires_at_s: float | None
    """Unix time; None is never."""


class AccessError(RefusalError):
    """The caller has not proved that it may do this."""


class TokenMissingError(AccessError):
    """There is no token."""

    reason = "TOKEN_MISSING"

    def __init__(self) -> None:
        super().__init__(
            "this server wants to know who calls; send the metadata `authorization: Bearer TOKEN`"
        )


class TokenInvalidError(AccessError):
    """There is a token, and it proves nothing here."""

    reason = "TOKEN_INVALID"

    def __init__(self, cause: str = "it is not known here, or was revoked") -> None:
        super().__init__(f"the token is refused: {cause}")


class TokenExpiredError(AccessError):
    """The token was good until a while ago."""

    reason = "TOKEN_EXPIRED"

    def __init__(self) -> None:
        super().__init__("the token has expired; open another stream with a new one")


class ScopeMissingError(AccessError):
    """The token is good, for something else."""

    reason = "SCOPE_MISSING"

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"the token does not allow this; it would have to have the scope {scope!r}",
            {"scope": scope},
        )
