"""Which servers are this machine's own."""

import pytest

from client.channel import is_loopback


@pytest.mark.parametrize(
    ("server", "is_own"),
    [
        ("127.0.0.1:50051", True),
        ("127.9.9.9:50051", True),
        ("localhost:50051", True),
        ("[::1]:50051", True),
        ("unix:/run/asr.sock", True),
        ("127.example.com:50051", False),
        ("localhost.example.com:50051", False),
        ("10.0.0.1:50051", False),
        ("[2001:db8::1]:50051", False),
    ],
)
def test_a_name_that_begins_like_an_address_is_not_this_machine(server, is_own):
    """To others no token is sent in plain text."""
    assert is_loopback(server) == is_own
