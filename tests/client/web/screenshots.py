"""Takes the pictures in docs/images from the real page: python -m tests.client.web.screenshots.

Needs Chromium and the extras `web` and `browser`; the default model listens to the samples.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.support import own_server, read_clips
from benchmarks.web import demo, write_wav
from tests.client.programs import ROOT
from tests.client.web import browser

IMAGES = ROOT / "docs" / "images"
DESKTOP = {"width": 1000, "height": 640}
PHONE = {"width": 390, "height": 760}
COLOURS = 128
"""A page has few; fewer bytes for everyone who clones."""


async def take(page, name, **options):
    """Save what the page shows now."""
    picture = Image.open(io.BytesIO(await page.screenshot(**options)))
    IMAGES.mkdir(parents=True, exist_ok=True)
    small = picture.convert("RGB").quantize(COLOURS)
    small.save(IMAGES / f"{name}.png", optimize=True)


async def live(url, recording, name, after, **context):
    """Take the live tab in the middle of a sentence."""
    async with browser.opened(recording=recording, **context) as page:
        await browser.start_listening(page, url)
        await page.locator("#live-panel .open").get_by_text(after).wait_for()
        await take(page, name)


async def recording_tab(url):
    """Take the recording tab with its result."""
    async with browser.opened(viewport={"width": 1000, "height": 960}) as page:
        await browser.open_tab(page, url, "Recording")
        await browser.choose(page, ROOT / "samples" / "demo.flac")
        await page.click("#recording-start")
        await page.wait_for_selector(".result audio")
        await page.locator(".result .word").nth(12).focus()
        await take(page, "web-recording", full_page=True)


async def compare_tab(url, said):
    """Take the compare tab with its columns."""
    async with browser.opened(viewport={"width": 1000, "height": 960}) as page:
        await browser.open_tab(page, url, "Compare")
        await browser.choose(page, ROOT / "samples" / "demo.flac")
        await page.get_by_label("What was said").fill(said)
        await page.click("#compare-start")
        await page.wait_for_function("document.querySelectorAll('.way').length === 3")
        await page.locator("#compare-start").scroll_into_view_if_needed()
        await take(page, "web-compare", full_page=True)


async def all_of_them(url, recording, said):
    """Take them one after the other."""
    await live(url, recording, "web-live", "afternoon", viewport=DESKTOP)
    await live(url, recording, "web-phone", "ticket", viewport=PHONE, color_scheme="dark")
    await recording_tab(url)
    await compare_tab(url, said)


def main():
    clip = next(
        clip
        for clip in read_clips([ROOT / "samples" / "manifest.jsonl"])
        if clip.path.stem == "demo"
    )
    with (
        tempfile.TemporaryDirectory() as place,
        own_server() as server,
        demo(server.address) as page,
    ):
        recording = write_wav([clip], Path(place, "clip.wav"))
        asyncio.run(all_of_them(page.url, recording, clip.text))


if __name__ == "__main__":
    main()
