"""Addresses for servers that do not choose their own."""

from __future__ import annotations

import contextlib
import secrets
import socket


def free_address() -> str:
    """Find an address for a server that comes later.

    Below the ports that systems give away by themselves, so that nobody gets it meanwhile.
    """
    while True:
        address = ("127.0.0.1", secrets.choice(range(10_000, 30_000)))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(address)
            return "{}:{}".format(*address)
