"""What the compare tab shows, without a browser."""

from functools import partial

import grpc
import pytest

from client.stream import Client
from client.web.comparison import Way
from tests.client.fake_server import STARTED, abort, fake_server, final
from tests.client.programs import write_tone

pytest.importorskip("gradio", reason="the extra web is not installed")

from client.web.compare_tab import compared


async def test_what_was_compared_before_a_problem_is_kept(tmp_path):
    """A server that refuses the second way: the page says so, and the first column stays."""

    async def second_fails(server, requests, context):
        if server.streams == 2:
            await abort(context, grpc.StatusCode.INTERNAL, "INTERNAL", "it broke")
        yield STARTED
        async for _ in requests:
            pass
        yield final("Good morning.")

    path = write_tone(tmp_path / "a.wav")
    ways = [Way.STREAMING.value, Way.HASTY.value]
    async with fake_server(second_fails) as server:
        connect = partial(Client, server.address)
        pages = [page async for page in compared(connect, path, ways, [], "")]
    assert 'role="alert">It broke' in pages[-1]
    assert "Good morning." in pages[-1]


async def test_nothing_chosen_is_said(tmp_path):
    """Without a way, or without a recording, there is a sentence and no call."""
    path = write_tone(tmp_path / "a.wav")
    connect = partial(Client, "127.0.0.1:1")
    (page,) = [page async for page in compared(connect, path, [], ["m"], "")]
    assert "No way to recognize it is chosen" in page
    (page,) = [page async for page in compared(connect, None, [Way.HASTY.value], ["m"], "")]
    assert "There is no recording yet" in page
