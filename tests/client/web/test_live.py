"""A live session between a page and a server."""

import asyncio
from functools import partial

import grpc

from client.sources import bytes_per_s
from client.stream import Client, StreamingConfig
from client.web import backlog
from client.web.live import Stop, converse
from protos.asr.v1.asr_pb2 import AudioEncoding, AudioFormat
from tests.client.fake_server import STARTED, abort, fake_server, final
from tests.client.web.fake_page import FakePage
from tests.ports import free_address
from tests.tones import pcm, quiet, tones

FORMAT = AudioFormat(
    encoding=AudioEncoding.AUDIO_ENCODING_PCM_S16LE, sample_rate_hertz=16_000, channel_count=1
)


def config():
    return StreamingConfig(audio_format=FORMAT, interim_results=True)


def texts(page):
    return " ".join(told["text"] for told in page.told if told["kind"] == "final")


async def test_words_come_and_the_session_ends_when_stopped(server):
    """Interims come while the page sends; stopping makes everything final and ends it."""
    page = FakePage()
    session = asyncio.create_task(converse(partial(Client, server.address), config(), page))
    await page.until("started")
    page.say(pcm(tones("alfa bravo charlie")))
    interim = await page.until("interim")
    assert interim["text"].startswith("alfa")
    assert interim["at_ms"] > 0
    page.say(Stop(len(tones("alfa bravo charlie"))))
    await session
    assert page.kinds[-1] == "ended"
    assert texts(page) == "alfa bravo charlie"
    assert "warning" not in page.kinds


async def test_a_page_that_is_gone_frees_the_slot_at_once(server):
    """Nothing is finished for a page that nobody looks at."""
    page = FakePage()
    session = asyncio.create_task(converse(partial(Client, server.address), config(), page))
    await page.until("started")
    assert server.engine.slots.taken == 1
    page.say(pcm(tones("alfa")), None)
    await session
    await server.engine.slots.wait_until_free(50)
    assert server.engine.slots.taken == 0
    assert "ended" not in page.kinds


async def test_lost_samples_are_told():
    """Whoever counts otherwise than the page says so."""
    page = FakePage()
    async with fake_server() as server:
        page.say(bytes(100), Stop(53))
        await converse(partial(Client, server.address), config(), page)
    assert (await page.until("warning"))["sentence"].startswith("3 samples were lost")


async def test_a_restarted_server_is_waited_for(serve):
    """A session goes on where the finals ended: no word is lost, none comes twice, and segments
    and times go on."""
    address = free_address()
    page = FakePage()
    first, second, third = (tones(words) for words in ("alfa bravo", "charlie", "delta echo"))
    pause = quiet(1500)
    async with serve(listen=address):
        session = asyncio.create_task(converse(partial(Client, address), config(), page))
        page.say(pcm(first), pcm(pause))
        assert (await page.until("final"))["text"] == "alfa bravo"
        page.say(pcm(second))
        await page.until("interim")
    page.say(pcm(pause))
    waiting = await page.until("waiting")
    assert "kept until it is back" in waiting["sentence"]
    page.say(pcm(third))
    async with serve(listen=address):
        await page.until("resumed")
        page.say(Stop(sum(map(len, (first, pause, second, pause, third)))))
        await session
    assert texts(page) == "alfa bravo charlie delta echo"
    finals = [told for told in page.told if told["kind"] == "final"]
    assert [told["segment"] for told in finals] == list(range(len(finals)))
    starts_s = [told["start_s"] for told in finals]
    assert starts_s == sorted(starts_s)
    # The last word ends after 4.4 s of the session, on the second server 3.5 s after its begin.
    assert finals[-1]["end_s"] > 4.2
    assert "warning" not in page.kinds


async def test_errors_are_sentences():
    """No server, a full server, a refusal: each ends the session with a sentence."""
    page = FakePage()
    await converse(partial(Client, "127.0.0.1:1"), config(), page)
    assert page.kinds == ["error"]
    assert page.told[0]["sentence"].startswith("No server answers at 127.0.0.1:1; start one with")

    async def full(_, __, context):
        await abort(context, grpc.StatusCode.UNAVAILABLE, "SERVER_FULL", "all slots are taken")
        yield STARTED

    page = FakePage()
    async with fake_server(full) as server:
        await converse(partial(Client, server.address), config(), page)
    assert "try again in a while" in page.told[0]["sentence"]

    async def refuse(_, requests, context):
        yield STARTED
        await abort(context, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "it is too loud")

    page = FakePage()
    async with fake_server(refuse) as server:
        await converse(partial(Client, server.address), config(), page)
    assert page.kinds == ["started", "error"]
    assert page.told[1]["sentence"] == "It is too loud (INVALID_ARGUMENT, INVALID_FIELD)."


async def test_a_server_that_takes_no_more(monkeypatch):
    """A server that does not take what is said is given up when too much waits."""
    monkeypatch.setattr(backlog, "LONGEST_S", 1.0)
    page = FakePage()

    async def stuck(_, __, ___):
        yield STARTED
        await asyncio.Event().wait()

    async with fake_server(stuck) as server:
        # More than all buffers on the way hold.
        page.say(*[bytes(60 * bytes_per_s(FORMAT))] * 20)
        await converse(partial(Client, server.address), config(), page)
    assert "behind; listening has stopped" in (await page.until("error"))["sentence"]


async def test_half_an_hour_of_silence():
    """A server says nothing while nobody speaks; the session goes on all the same."""
    page = FakePage()
    heard = asyncio.Event()

    async def keep_silent(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
            heard.set()
        yield final("At last.")

    async with fake_server(keep_silent) as server:
        session = asyncio.create_task(converse(partial(Client, server.address), config(), page))
        for minute in range(1, 31):
            page.say(bytes(60 * bytes_per_s(FORMAT)))
            while server.audio_bytes < minute * 60 * bytes_per_s(FORMAT):
                heard.clear()
                await heard.wait()
        page.say(Stop(30 * 60 * 16_000))
        await session
    assert page.kinds == ["started", "final", "ended"]
