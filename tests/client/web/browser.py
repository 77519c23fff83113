"""Headless Chromium with a recording as its microphone."""

from __future__ import annotations

import json
import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.client.programs import transcribe
from tests.rpc.streams import until

RATE_HZ = 44_100
"""What Chromium's microphone runs at, so that it need not convert."""

FLAGS = (
    "--no-sandbox",
    # Containers have little shared memory.
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
)


def chromium() -> str:
    """Find the browser, or skip and say why."""
    pytest.importorskip("gradio", reason="the extra web is not installed")
    pytest.importorskip("playwright", reason="the extra browser is not installed")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    return found


class Sent:
    """What a page sends in its live session, as the browser tells it."""

    def __init__(self, page) -> None:
        self.audio = bytearray()
        self.told: list[dict] = []
        page.on("websocket", lambda socket: socket.on("framesent", self._keep))

    def _keep(self, frame: bytes | str) -> None:
        if isinstance(frame, bytes):
            self.audio += frame
        else:
            self.told.append(json.loads(frame))

    @property
    def samples(self) -> np.ndarray:
        """The audio, at `RATE_HZ`."""
        return np.frombuffer(self.audio, "<i2")

    async def words(self, server, path: Path) -> str:
        """What client.file makes of the audio of a session that has ended.

        The fake microphone stutters on a busy machine, so that what a recording says is no
        measure of what is heard of it.
        """
        await until(lambda: self.told and "samples" in self.told[-1])
        assert len(self.audio) == 2 * self.told[-1]["samples"]
        assert self.told[0] == {"rate_hz": RATE_HZ}
        write_recording(path, self.samples)
        code, words, complaints = await transcribe(server, str(path))
        assert (code, complaints) == (0, "")
        return " ".join(words.split())


@asynccontextmanager
async def opened(
    *, recording: Path | None = None, loop: bool = False, allow: bool = True, **context
):
    """Open an empty page in a browser that hears the recording once it asks for the microphone."""
    from playwright.async_api import async_playwright

    flags = [*FLAGS]
    if recording is not None:
        times = "" if loop else "%noloop"
        flags.append(f"--use-file-for-fake-audio-capture={recording}{times}")
    if allow:
        flags.append("--use-fake-ui-for-media-stream")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=flags)
        page = await browser.new_page(**context)
        page.set_default_timeout(120_000)
        page.problems = []
        page.sent = Sent(page)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        try:
            yield page
        finally:
            await browser.close()


def write_recording(path: Path, samples: np.ndarray) -> Path:
    """Write 16-bit samples of one channel as a WAV file at Chromium's rate."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


async def start_listening(page, url):
    """Open the demo, wait until it knows the server's models, and press start."""
    await page.goto(url)
    await page.wait_for_function("document.querySelector('.about')?.innerText.length > 10")
    await page.click("#live-start")


async def wait_for_state(page, state):
    await page.wait_for_function("state => document.body.dataset.live === state", arg=state)


async def stop_listening(page):
    """Stop, and wait for the last finals."""
    await page.click("#live-stop")
    await wait_for_state(page, "idle")


async def finals(page) -> list[str]:
    return await page.locator("#live-panel .final .text").all_inner_texts()


async def spoken(page) -> AsyncIterator[str]:
    return await page.inner_text("#live-panel .spoken")


async def wait_for_final(page, count=1):
    await page.wait_for_function(
        "n => document.querySelectorAll('#live-panel .final .text').length >= n", arg=count
    )


async def problem(page) -> str:
    return await page.inner_text("#live-panel .problem")


async def open_tab(page, url, name):
    """Open the demo on one of its tabs, once it knows the server's models."""
    await page.goto(url)
    await page.wait_for_function("document.querySelector('.about')?.innerText.length > 10")
    await page.get_by_role("tab", name=name).click()
    await page.get_by_role("tab", name=name, selected=True).wait_for()


async def choose(page, path):
    """Upload a file on the tab that is open, and wait until it is there."""
    tab = page.get_by_role("tabpanel").filter(visible=True)
    await tab.locator("input[type=file]").set_input_files(str(path))
    await tab.get_by_label("Clear").wait_for()


UNNAMED = """
[...document.querySelectorAll('button, input, textarea, select, meter, audio')]
  .filter(e => e.checkVisibility() && !(e.labels?.length || e.ariaLabel || e.title
    || e.getAttribute('aria-labelledby') || e.innerText?.trim()))
  .map(e => e.outerHTML.slice(0, 200))
"""
"""Script: controls that have no name for a screen reader."""

PALE = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.background = 'Canvas';
  const sheet = rgba(getComputedStyle(probe).backgroundColor);
  probe.remove();
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const found = rgba(getComputedStyle(e).backgroundColor);
      if (found[3] === 255) return found;
    }
    return sheet;
  };
  return [...document.querySelectorAll('body *')]
    .filter((e) => e.checkVisibility() && !e.closest('svg, [disabled]')
      && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((e) => {
      const own = light(rgba(getComputedStyle(e).color));
      const [a, b] = [own, light(behind(e))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 120)];
    })
    .filter(([ratio]) => ratio < 4.5)
    .map(([ratio, html]) => `${ratio.toFixed(2)} ${html}`);
})()
"""
"""Script: visible texts with a contrast below 4.5 to 1."""
