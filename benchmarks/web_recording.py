"""How the browser demo bears a long recording.

python -m benchmarks.web_recording [--minutes 119]

A server whose model answers at once (`scripted`), the demo, and headless Chromium on its recording
tab: what takes time and memory is the page's. The recording is tones, six words in every 3.2 s.

Needs Chromium and the extras `web` and `browser`.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.support import RATE_HZ, own_server
from benchmarks.web import Demo, demo
from benchmarks.web_long import MEGABYTE, Tab
from tests.client.web import browser
from tests.tones import quiet, tones


def write_words(path: Path, minutes: float) -> float:
    """Write a recording of about so many minutes; gives its length in seconds."""
    piece = np.concatenate([tones("alfa bravo charlie delta echo foxtrot"), quiet(1400)])
    times = round(60 * minutes * RATE_HZ / len(piece))
    soundfile.write(path, np.tile(piece, times), RATE_HZ)
    return times * len(piece) / RATE_HZ


async def recognize(page: Demo, recording: Path) -> None:
    """Let the page recognize it, and print what that took."""
    async with browser.opened() as opened:
        await browser.open_tab(opened, page.url, "Recording")
        tab = Tab(opened)
        await tab.watch()
        await browser.choose(opened, recording)
        began_s = time.monotonic()
        await opened.click("#recording-start")
        await opened.wait_for_selector(".result audio", timeout=0)
        took_s = time.monotonic() - began_s
        words = await opened.locator(".result .word").count()
        tab_bytes, demo_bytes = await tab.resident_bytes(), page.process.memory_info().rss
    print(f"{words} words on the page after {took_s:.1f} s; in the end")
    print(f"the tab held {tab_bytes / MEGABYTE:.0f} MB, the demo {demo_bytes / MEGABYTE:.0f} MB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=119.0, metavar="N")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as place,
        own_server("--model", "scripted", "--voice-activity", "energy") as server,
        demo(server.address) as page,
    ):
        recording = Path(place, "words.flac")
        print(f"a recording of {write_words(recording, arguments.minutes) / 60:.1f} minutes")
        asyncio.run(recognize(page, recording))


if __name__ == "__main__":
    main()
