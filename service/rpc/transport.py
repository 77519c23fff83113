"""How connections behave: their number, what they may hold, and how a dead one is noticed."""

from __future__ import annotations

from service.settings import Settings

MESSAGE_OVERHEAD_BYTES = 65_536
"""Of a recording's message, beside the recording: config and field headers."""

PCM_BYTES_PER_S = 32_000
"""16 kHz, 16 bit: what read-ahead in seconds is reckoned by."""

SPARE_RPCS = 100
"""RPCs that one connection may have open beyond twice the slots. A client keeps what is
beyond to itself in silence, while what comes through is refused at once."""


def server_options(settings: Settings) -> list[tuple[str, int]]:
    """Return the options of a server."""
    options = [
        ("grpc.max_receive_message_length", settings.max_recording_bytes + MESSAGE_OVERHEAD_BYTES),
        # Without these two a stream that is not read buffers two minutes of audio.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", round(settings.read_ahead_s * PCM_BYTES_PER_S)),
        # All three, or a peer that is gone is noticed after a minute only.
        ("grpc.keepalive_time_ms", round(settings.keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(settings.keepalive_timeout_s * 1000)),
        ("grpc.http2.ping_timeout_ms", round(settings.keepalive_timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.server_handshake_timeout_ms", 5_000),
        ("grpc.max_concurrent_streams", 2 * settings.max_streams + SPARE_RPCS),
        # What channelz tells is gathered only for who can ask.
        ("grpc.enable_channelz", int(bool(settings.admin_listen))),
        # A second server on the same port is to fail, not to share it unnoticed.
        ("grpc.so_reuseport", 0),
    ]
    if settings.max_connections:
        options.append(("grpc.max_allowed_incoming_connections", settings.max_connections))
    return options
