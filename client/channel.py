"""How a connection to a server behaves: keep-alive, retries and limits, as gRPC options."""

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True)
class KeepAlive:
    """When to ask a silent server whether it still lives, while a call is open."""

    interval_s: float = 20.0
    """Silence after which to ask. Servers end connections that ask more often than they allow."""

    timeout_s: float = 5.0
    """Time without an answer after which the connection counts as lost."""


def is_loopback(server: str) -> bool:
    """Whether a server's address is one of this machine alone.

    A name is not looked up: 127.example.com may be anywhere.
    """
    host = server.rpartition(":")[0].strip("[]")
    if host == "localhost" or server.startswith("unix:"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def channel_options(server: str, keep_alive: KeepAlive) -> list[tuple[str, str | int]]:
    """Say how the channel is to behave."""
    timeout_ms = round(keep_alive.timeout_s * 1000)
    options: list[tuple[str, str | int]] = [
        ("grpc.keepalive_time_ms", round(keep_alive.interval_s * 1000)),
        ("grpc.keepalive_timeout_ms", timeout_ms),
        # Without this one a dead server is noticed after a minute, whatever the two above say.
        ("grpc.http2.ping_timeout_ms", timeout_ms),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        # So that a server that starts while we wait is found at once.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # gRPC 1.80 loses a message now and then when it plays those of a stream again to the next
        # attempt. The client asks again by itself, before it has sent any audio.
        ("grpc.enable_retries", 0),
    ]
    if is_loopback(server):
        # A proxy from the environment cannot reach this machine's own loopback.
        options.append(("grpc.enable_http_proxy", 0))
    return options
