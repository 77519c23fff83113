"""The socket of a live session, up to the point where the session begins."""

from functools import partial

import pytest

from client.stream import Client, StreamingConfig
from client.web.tickets import LIFETIME_S, Tickets

pytest.importorskip("starlette", reason="it comes with the extra web")

from starlette.applications import Starlette
from starlette.testclient import TestClient

from client.web.socket import routes


def told(tickets, ticket, first):
    """Return what a page is told that opens a session with this first message."""
    visitor = TestClient(Starlette(routes=routes(partial(Client, "127.0.0.1:1"), tickets)))
    with visitor.websocket_connect(f"/speech/live/{ticket}") as socket:
        socket.send_json(first)
        return socket.receive_json()


def test_a_microphone_that_is_ready_too_late():
    """Who answers the browser's question late is told to start again."""
    now_s = 0.0
    tickets = Tickets(lambda: now_s)
    ticket = tickets.issue(StreamingConfig())
    now_s = LIFETIME_S + 1
    answer = told(tickets, ticket, {"rate_hz": 16_000})
    assert answer["kind"] == "error"
    assert "Start again" in answer["sentence"]


def test_a_rate_that_cannot_be_streamed():
    """It is told with the rates that can be, and nothing of a page that is too old."""
    tickets = Tickets()
    answer = told(tickets, tickets.issue(StreamingConfig()), {"rate_hz": 4_000})
    assert answer["kind"] == "error"
    assert "8000 to 192000 samples a second" in answer["sentence"]
    assert "reload" not in answer["sentence"]
