"""Permissions to open a live session."""

from client.stream import StreamingConfig
from client.web.tickets import LIFETIME_S, MOST, Tickets


def test_a_ticket_is_good_once():
    """A ticket gives the config that it was issued for, and then nothing."""
    tickets = Tickets()
    ticket = tickets.issue(StreamingConfig(model="one"))
    other = tickets.issue(StreamingConfig(model="two"))
    assert tickets.redeem(ticket).model == "one"
    assert tickets.redeem(ticket) is None
    assert tickets.redeem("guessed") is None
    assert tickets.redeem(other).model == "two"


def test_tickets_end():
    """A ticket that nobody used is forgotten after its time, and so are the oldest of too many."""
    now_s = 0.0
    tickets = Tickets(lambda: now_s)
    early = tickets.issue(StreamingConfig())
    now_s = LIFETIME_S + 1
    assert tickets.redeem(early) is None
    kept = [tickets.issue(StreamingConfig()) for _ in range(MOST + 1)]
    assert tickets.redeem(kept[0]) is None
    assert tickets.redeem(kept[-1]) is not None
