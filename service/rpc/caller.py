"""Who calls, from what the transport knows."""

from __future__ import annotations

import hashlib
import secrets
from ipaddress import IPv6Address, IPv6Network

from service.engine.callers import Caller
from service.rpc.status import Context

SALT = secrets.token_bytes(16)
"""Of this process: a caller has one label in its logs, from which no address can be found."""

IPV6_PREFIX_BITS = 64
"""One customer has at least so many addresses, so they are one caller."""


def caller_of(context: Context) -> Caller:
    """Find out who calls. Only while the RPC runs: asked later, grpc may crash the process."""
    return caller_at(context.peer())


def caller_at(peer: str) -> Caller:
    """Return the caller at an address as grpc writes it, such as ``ipv4:10.0.0.1:5000``."""
    identity = _host(peer)
    digest = hashlib.blake2b(identity.encode(), key=SALT, digest_size=6)
    return Caller(identity, digest.hexdigest())


def _host(peer: str) -> str:
    kind, _, address = peer.partition(":")
    if kind == "ipv4":
        return f"ipv4:{address.rpartition(':')[0]}"
    if kind == "ipv6":
        host = address.rpartition(":")[0].replace("%5B", "[").replace("%5D", "]").strip("[]")
        try:
            parsed = IPv6Address(host.partition("%")[0])
        except ValueError:
            return f"ipv6:{host}"
        if parsed.ipv4_mapped is not None:
            return f"ipv4:{parsed.ipv4_mapped}"
        return f"ipv6:{IPv6Network((parsed, IPV6_PREFIX_BITS), strict=False)}"
    return kind
