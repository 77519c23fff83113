"""Who calls."""

from __future__ import annotations

import re

import pytest

from service.rpc.caller import caller_at


@pytest.mark.parametrize(
    ("peer", "identity"),
    [
        ("ipv4:10.1.2.3:50000", "ipv4:10.1.2.3"),
        ("ipv6:%5B::1%5D:50000", "ipv6:::/64"),
        ("ipv6:[2001:db8:1:2:3::4]:1", "ipv6:2001:db8:1:2::/64"),
        ("ipv6:[::ffff:10.1.2.3]:1", "ipv4:10.1.2.3"),
        ("ipv6:[fe80::1%25eth0]:1", "ipv6:fe80::/64"),
        ("unix:", "unix"),
        ("unix:/run/asr.sock", "unix"),
        ("", ""),
        ("ipv6:nonsense", "ipv6:"),
    ],
)
def test_the_port_is_not_part_of_who_calls(peer, identity):
    """All connections of a host are one caller, and so is a customer's network of IPv6."""
    assert caller_at(peer).identity == identity


def test_a_label_tells_callers_apart_and_not_who_they_are():
    """Two callers have two labels, one has one, and no address is to be read in it."""
    one, again, other = (
        caller_at(peer) for peer in ("ipv4:10.1.2.3:1", "ipv4:10.1.2.3:2", "ipv4:10.1.2.4:1")
    )
    assert one.label == again.label != other.label
    assert re.fullmatch("address-[0-9a-f]{12}", one.label)
