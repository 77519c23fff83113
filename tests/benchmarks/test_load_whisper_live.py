"""What WhisperLive says, and what is made of it."""

import asyncio
import json

import pytest
from websockets.asyncio.server import serve

from benchmarks import load_whisper_live
from benchmarks.load_scripts import Record
from benchmarks.load_whisper_live import END_OF_AUDIO, Follower
from tests.benchmarks.spoken import clip, script


def segment(start_s: float, end_s: float, text: str, *, completed: bool) -> dict[str, object]:
    return {
        "start": f"{start_s:.3f}",
        "end": f"{end_s:.3f}",
        "text": f" {text}",
        "completed": completed,
    }


def follower() -> Follower:
    """Of two clips, whose speech ends at 2 and at 5 s."""
    return Follower(script(clip(2.0, 1.0), clip(2.0, 1.0)), Record())


def said(*segments: dict[str, object]) -> dict[str, object]:
    return {"uid": "u", "segments": list(segments)}


def test_a_final_is_what_is_completed():
    """A clip is final when completed segments cover its speech, not when text does."""
    heard = follower()
    heard.take(said(segment(0, 1.9, "a", completed=False)), 2.5)
    assert heard.record.shown_s == pytest.approx([0.5])
    assert heard.record.final_s == []
    heard.take(said(segment(0, 1.9, "a", completed=True), segment(3, 4, "b", completed=False)), 4.5)
    assert heard.record.final_s == pytest.approx([1.5])
    assert not heard.answered.is_set()
    heard.take(said(segment(0, 1.9, "a", completed=True), segment(3, 5, "b c", completed=True)), 8)
    assert heard.record.final_s == pytest.approx([1.5, 2.0])
    assert heard.answered.is_set()


def test_segments_are_repeated_and_counted_once():
    """The server repeats its latest segments; the transcript has each once, in order, and what
    was not completed at the end."""
    heard = follower()
    first, second = segment(0, 2, "a", completed=True), segment(2, 3, "b", completed=True)
    heard.take(said(first), 2.5)
    heard.take(said(first, second, segment(3, 4, "c", completed=False)), 4.5)
    heard.take(said(second, segment(3, 4.5, "c d", completed=False)), 5.0)
    heard.end()
    assert heard.record.finals == ["a", "b", "c d"]


def test_an_interim_reaches_further():
    """What repeats old audio is no interim; the gap is between interims of one segment."""
    heard = follower()
    heard.take(said(segment(0, 1, "a", completed=False)), 1.5)
    heard.take(said(segment(0, 1, "a", completed=False)), 2.5)
    heard.take(said(segment(0, 2, "a b", completed=False)), 2.75)
    assert heard.record.interim_lag_s == pytest.approx([0.5, 0.75])
    assert heard.record.interim_gap_s == pytest.approx([1.25])
    heard.take(said(segment(0, 2, "a b", completed=True), segment(2, 3, "c", completed=False)), 4)
    assert len(heard.record.interim_gap_s) == 1


@pytest.mark.parametrize("message", [{"uid": "u", "language": "en"}, said(), {"message": "x"}])
def test_other_messages_tell_nothing(message):
    """Messages without segments are passed over."""
    heard = follower()
    heard.take(message, 1.0)
    assert heard.record == Record()


async def test_the_protocol():
    """The client says who it is, waits until it is ready, sends 16-bit audio, stays until all is
    completed, and says END_OF_AUDIO."""
    one = script(clip(0.25))
    got: list[bytes] = []

    async def handle(connection):
        options = json.loads(await connection.recv())
        assert options["audio_format"] == "int16"
        await connection.send(json.dumps({"uid": options["uid"], "message": "SERVER_READY"}))
        while sum(map(len, got)) < len(one.clips[0].pcm):
            got.append(await connection.recv())
        answer = said(segment(0, 0.25, "done", completed=True))
        await connection.send(json.dumps(answer))
        assert await connection.recv() == END_OF_AUDIO

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        [record] = await load_whisper_live.play_all(f"127.0.0.1:{port}", [one])
    assert record.failure == ""
    assert b"".join(got) == one.clips[0].pcm
    assert record.finals == ["done"]
    assert len(record.final_s) == len(record.shown_s) == 1
    assert len(record.lateness_s) == 3


async def test_a_full_server():
    """A stream that is told to wait has failed, with the server's words."""

    async def handle(connection):
        await connection.recv()
        await connection.send(json.dumps({"uid": "u", "status": "WAIT", "message": 3.5}))
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        [record] = await load_whisper_live.play_all(f"127.0.0.1:{port}", [script(clip(0.1))])
    assert record.failure == "RefusedError: WAIT: 3.5"
    assert record.finals == []


async def test_a_server_that_hangs_up():
    """A connection that breaks while audio is sent is a failure."""

    async def handle(connection):
        await connection.recv()
        await connection.send(json.dumps({"message": "SERVER_READY"}))
        await connection.recv()
        await connection.close()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        play = load_whisper_live.play_all(f"127.0.0.1:{port}", [script(clip(1.0))])
        [record] = await asyncio.wait_for(play, 50)
    assert record.failure.startswith("ConnectionClosed")
