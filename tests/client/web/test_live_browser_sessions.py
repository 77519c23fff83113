"""Live sessions in real browsers: several at once, servers that leave, and what is said of it."""

import asyncio
from contextlib import AsyncExitStack

import numpy as np
import pytest

from service.recognizers.scripted import VOCABULARY
from tests.client.web.browser import (
    PALE,
    RATE_HZ,
    UNNAMED,
    choose,
    finals,
    opened,
    problem,
    start_listening,
    stop_listening,
    wait_for_final,
    wait_for_state,
    write_recording,
)
from tests.tones import burst

pytestmark = pytest.mark.timeout(400)
"""Starting the demo and four browsers takes a busy machine a minute by itself."""

WORD_MS, GAP_MS = 200, 100
PAUSE_MS = 1500
"""Longer than the silence that ends a segment."""


def spoken_words(path, words):
    """Write tones that the scripted recognizer hears as words, at the browser's rate."""
    quiet = np.zeros(GAP_MS * RATE_HZ // 1000)
    pieces = [piece for word in words for piece in (burst(word, WORD_MS, RATE_HZ), quiet)]
    pause = np.zeros(PAUSE_MS * RATE_HZ // 1000)
    return write_recording(path, np.concatenate([pause, *pieces]) * 32767)


async def test_four_sessions_at_once_do_not_mix(demo, serve, tmp_path):
    """Each of four pages shows what was said into it, and nothing of the others."""
    words = [list(VOCABULARY[4 * n : 4 * n + 4]) for n in range(4)]
    recordings = [spoken_words(tmp_path / f"{n}.wav", said) for n, said in enumerate(words)]
    async with serve(listen=demo.server) as server, AsyncExitStack() as stack:
        pages = [
            await stack.enter_async_context(opened(recording=recording, loop=True))
            for recording in recordings
        ]
        await asyncio.gather(*(start_listening(page, demo.url) for page in pages))
        await asyncio.gather(*(wait_for_state(page, "listening") for page in pages))
        assert server.engine.slots.taken == 4
        await asyncio.gather(*(wait_for_final(page) for page in pages))
        for page in pages:
            await stop_listening(page)
        texts = [" ".join(await finals(page)) for page in pages]
        await server.engine.slots.wait_until_free(50)
        assert server.engine.slots.taken == 0
        assert texts == [await page.sent.words(server, tmp_path / "sent.wav") for page in pages]
        assert len(set(texts)) == 4


async def test_a_server_restart_is_survived(demo, serve, tmp_path):
    """A page whose server goes away says so, goes on when it is back, and loses no word."""
    recording = spoken_words(tmp_path / "words.wav", VOCABULARY[:12])
    async with opened(recording=recording, loop=True) as page:
        async with serve(listen=demo.server):
            await start_listening(page, demo.url)
            await wait_for_final(page)
        await wait_for_state(page, "waiting")
        assert "kept until it is back" in await problem(page)
        async with serve(listen=demo.server) as server:
            await wait_for_state(page, "listening")
            assert await problem(page) == ""
            await wait_for_final(page, 3)
            await stop_listening(page)
            shown = " ".join(await finals(page))
            assert shown == await page.sent.words(server, tmp_path / "sent.wav")


async def test_another_tab_ends_the_session(demo, serve, tmp_path):
    """Whoever goes to another tab of the page is no longer listened to, and keeps the finals."""
    recording = spoken_words(tmp_path / "words.wav", ["alfa", "bravo"])
    async with serve(listen=demo.server) as server, opened(recording=recording, loop=True) as page:
        await start_listening(page, demo.url)
        await wait_for_final(page)
        await page.get_by_role("tab", name="Recording").click()
        await wait_for_state(page, "idle")
        await server.engine.slots.wait_until_free(50)
        assert server.engine.slots.taken == 0
        await page.get_by_role("tab", name="Live").click()
        shown = " ".join(await finals(page))
        assert shown == await page.sent.words(server, tmp_path / "sent.wav")


async def test_problems_are_sentences(demo, serve, tmp_path):
    """No server, a full server, no permission for the microphone: the page says which."""
    recording = write_recording(tmp_path / "quiet.wav", np.zeros(RATE_HZ))
    async with opened(recording=recording) as page:
        await page.goto(demo.url)
        await page.wait_for_function(
            "document.querySelector('.about')?.innerText.includes('No server answers')"
        )
        await page.click("#live-start")
        await wait_for_state(page, "idle")
        assert (await problem(page)).startswith(f"No server answers at {demo.server}; start one")
        async with serve(listen=demo.server, max_streams=1) as server:
            with server.engine.slots.lease():
                await start_listening(page, demo.url)
                await page.wait_for_selector("#live-panel .problem:not(:empty)")
                assert (await problem(page)).startswith("Every place on the server is taken")
            # The page is none the worse for it.
            await page.click("#live-start")
            await wait_for_state(page, "listening")
            await stop_listening(page)
    async with serve(listen=demo.server) as server, opened(allow=False) as page:
        await start_listening(page, demo.url)
        await page.wait_for_selector("#live-panel .problem:not(:empty)")
        assert "does not let this page use the microphone" in await problem(page)
        assert server.engine.slots.taken == 0


async def check_looks(page):
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await page.evaluate(UNNAMED) == []
    assert await page.evaluate(PALE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_fits_and_is_labelled(demo, serve, scheme, tmp_path):
    """On a phone nothing sticks out; every control has a name; letters differ enough from what is
    behind them; nothing comes from elsewhere; with results and without."""
    recording = spoken_words(tmp_path / "words.wav", ["alfa", "bravo"])
    tabs = {
        "Recording": ("#recording-start", ".result audio"),
        "Compare": ("#compare-start", ".way:nth-child(3)"),
    }
    asked = []
    phone = {"width": 390, "height": 844}
    async with (
        serve(listen=demo.server),
        opened(viewport=phone, color_scheme=scheme) as page,
    ):
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(demo.url)
        await page.wait_for_function("document.querySelector('.about')?.innerText.length > 10")
        await check_looks(page)
        for tab, (start, result) in tabs.items():
            await page.get_by_role("tab", name=tab).click()
            await page.get_by_role("tab", name=tab, selected=True).wait_for()
            await check_looks(page)
            await choose(page, recording)
            await page.click(start)
            await page.wait_for_selector(result)
            await check_looks(page)
        assert page.problems == []
    here = (demo.url, "data:", "blob:", demo.url.replace("http", "ws"))
    assert [url for url in asked if not url.startswith(here)] == []
