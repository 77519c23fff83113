"""Finds out who a caller is and whether it may, before anything else is done for it."""

from __future__ import annotations

from service.access.authentication import Authentication
from service.access.grants import LIST, RECOGNIZE, TokenInvalidError
from service.engine.callers import Caller
from service.rpc.caller import clean
from service.rpc.record import Metadata
from service.rpc.status import Context

AUTHORIZATION = "authorization"

SCOPE_OF = {"StreamingRecognize": RECOGNIZE, "Recognize": RECOGNIZE, "ListModels": LIST}
"""By method."""


class Door:
    """Lets callers in by their tokens; everyone, where none are wanted."""

    def __init__(self, authentication: Authentication | None = None) -> None:
        """Want such tokens; None wants none."""
        self._authentication = authentication

    def admit(self, caller: Caller, metadata: Metadata, scope: str) -> Caller:
        """Return who calls.

        Args:
            caller: Who it is as far as the transport knows.
            metadata: What it has sent before its first message.
            scope: What it wants to do.

        Raises:
            AccessError: it has not proved that it may.
        """
        if self._authentication is None:
            return caller
        grant = self._authentication.grant(_authorization(metadata), scope)
        kind = grant.identity.partition(":")[0]
        return Caller(
            grant.identity,
            f"{kind}-{clean(grant.name)}",
            is_proved=True,
            expires_at_s=grant.expires_at_s,
        )


def metadata_of(context: Context) -> Metadata:
    """Return what a caller has sent before its first message."""
    return tuple(context.invocation_metadata() or ())


def _authorization(metadata: Metadata) -> str | None:
    values = [value for key, value in metadata if key == AUTHORIZATION]
    if not values:
        return None
    # With two of them it would be chance which one counts.
    if len(values) > 1:
        raise TokenInvalidError("there are two of them")
    value = values[0]
    return value if isinstance(value, str) else value.decode(errors="replace")
