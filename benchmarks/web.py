"""How soon the browser demo shows what the service says, and whether it shows the same.

python -m benchmarks.web [MANIFEST...]

A server with the default model, the demo, and headless Chromium with a recording as its microphone;
first one page, then four at once that begin at the same time. Measured:

- shown: from a Transcript's arrival in the demo to the frame of the page that has its text
- behind the voice: what the page itself reads out, the median of the last interims
- the page's transcript against that of client.file for the same recording

Needs Chromium and the extras `web` and `browser`.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import soxr

from benchmarks.support import (
    RATE_HZ,
    ROOT,
    Clip,
    manifest_arguments,
    own_server,
    percentiles,
    read_clips,
    word_errors,
)
from tests.client.web import browser

PAGES = (1, 4)
LONGEST_S = 30.0
QUIET_S = 1.5


@dataclass(frozen=True)
class Shown:
    """What one page showed of a clip."""

    text: str
    lags_s: list[float]
    behind: str


@dataclass(frozen=True)
class Demo:
    """The demo in a process of its own."""

    url: str
    process: psutil.Process


@contextmanager
def demo(server: str) -> Iterator[Demo]:
    """Run the demo before a server."""
    command = [sys.executable, "-m", "client.web", "--port", "0", "--server", server]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            opened = re.match(r"open (\S+) ", process.stdout.readline())
            assert opened, "the demo did not start"
            yield Demo(opened[1], psutil.Process(process.pid))
        finally:
            process.terminate()


def write_wav(clips: Sequence[Clip], path: Path) -> Path:
    """Write clips as Chromium plays them, with quiet around each."""
    quiet = np.zeros(round(QUIET_S * browser.RATE_HZ))
    spoken = [soxr.resample(clip.samples, RATE_HZ, browser.RATE_HZ) for clip in clips]
    pieces = [quiet, *(piece for samples in spoken for piece in (samples, quiet))]
    return browser.write_recording(path, np.concatenate(pieces) * 32_767)


def by_file(server: str, recording: Path) -> str:
    """Recognize a recording with client.file."""
    command = [sys.executable, "-m", "client.file", "--server", server, str(recording)]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return " ".join(output.split())


async def show(url: str, recording: Path, seconds: float, begin: asyncio.Barrier) -> Shown:
    """Let a page hear a recording to its end."""
    async with browser.opened(recording=recording) as page:
        await browser.open_tab(page, url, "Live")
        await begin.wait()
        await page.click("#live-start")
        await browser.wait_for_state(page, "listening")
        await page.wait_for_timeout(1000 * seconds)
        behind = await page.inner_text("#live-panel .delay")
        await browser.stop_listening(page)
        text = " ".join(await browser.finals(page))
        lags_s = [lag / 1000 for lag in await page.evaluate("window.speech.lagsMs")]
        return Shown(" ".join(text.split()), lags_s, behind)


async def measure(
    url: str, recordings: Sequence[Path], durations_s: Sequence[float]
) -> list[Shown]:
    """Let several pages hear a recording each, at the same time."""
    begin = asyncio.Barrier(len(recordings))
    return await asyncio.gather(
        *(show(url, *pair, begin) for pair in zip(recordings, durations_s, strict=True))
    )


def main() -> None:
    """Measure and print."""
    arguments = manifest_arguments(__doc__.partition("\n")[0]).parse_args()
    clips = [clip for clip in read_clips(arguments.manifests) if clip.duration_s <= LONGEST_S]
    clips = sorted(clips, key=lambda clip: -clip.duration_s)[: max(PAGES)]
    with (
        tempfile.TemporaryDirectory() as place,
        own_server() as server,
        demo(server.address) as page,
    ):
        recordings = [write_wav([clip], Path(place) / f"{clip.path.stem}.wav") for clip in clips]
        expected = [by_file(server.address, recording) for recording in recordings]
        durations_s = [clip.duration_s + 2 * QUIET_S for clip in clips]
        for pages in PAGES:
            shown = asyncio.run(measure(page.url, recordings[:pages], durations_s[:pages]))
            lags_s = [lag for each in shown for lag in each.lags_s]
            texts = [each.text for each in shown]
            same = sum(pair[0] == pair[1] for pair in zip(texts, expected, strict=False))
            errors = word_errors(expected[:pages], texts)
            print(f"{pages} page(s), {sum(durations_s[:pages]):.0f} s of audio")
            print(f"  shown after the Transcript: {percentiles(lags_s)}")
            print(f"  read out on the pages: {', '.join(each.behind for each in shown)}")
            print(f"  the same text as client.file: {same} of {pages}", end="")
            print(f" ({errors.errors} of {errors.words} words differ)")


if __name__ == "__main__":
    main()
