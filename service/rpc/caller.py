"""Who calls, from what the transport knows."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, IPv6Network

from service.engine.callers import Caller
from service.rpc.status import Context

SALT = secrets.token_bytes(16)
"""Of this process: a caller has one label in its logs, from which no address can be found."""

CERTIFICATE_NAMES = ("x509_subject_alternative_name", "x509_common_name")
"""Where a client's name may stand in its certificate, the better place first."""

IPV6_PREFIX_BITS = 64
"""One customer has at least so many addresses, so they are one caller."""


ADDRESS_LABEL = "address-"
CERTIFICATE_LABEL = "certificate-"

MAX_LABEL_CHARACTERS = 80


def caller_of(context: Context) -> Caller:
    """Find out who calls: by certificate where the client has shown one, else by address.

    Only while the RPC runs: asked later, grpc may crash the process.
    """
    # Its values are bytes in lists; the library's types say otherwise.
    facts: Mapping[str, Sequence[bytes]] = context.auth_context()  # type: ignore[assignment]
    for kind in CERTIFICATE_NAMES:
        for name in facts.get(kind, ()):
            return caller_with_certificate(name.decode(errors="replace"))
    return caller_at(context.peer())


def caller_with_certificate(name: str) -> Caller:
    """Return the caller whose certificate bears this name."""
    return Caller(f"certificate:{name}", CERTIFICATE_LABEL + clean(name), is_proved=True)


def clean(name: str) -> str:
    """Return a name as it may stand in a log and in a metric."""
    name = name[:MAX_LABEL_CHARACTERS]
    if name.isprintable():
        return name
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def caller_at(peer: str) -> Caller:
    """Return the caller at an address as grpc writes it, such as ``ipv4:10.0.0.1:5000``."""
    identity = _host(peer)
    digest = hashlib.blake2b(identity.encode(), key=SALT, digest_size=6)
    return Caller(identity, ADDRESS_LABEL + digest.hexdigest())


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
