"""How the page reaches its server."""

from collections.abc import Callable

from client.stream import Client

Connect = Callable[[], Client]
"""Makes a client of the server, to be used in a block."""
