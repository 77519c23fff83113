"""Whether the browser demo can be listened to for long: its memory, its size, its text.

python -m benchmarks.web_long [--minutes 30] [--model SPEC] [MANIFEST...]

A server, the demo, and headless Chromium that hears the clips over and over in one live session.
Once a minute:

- memory of the page's tab (the process that renders it; its scripts alone, after a collection of
  garbage), of the demo's process and of the server's
- processor time of the demo and of the server since the line before
- elements and finals on the page, and how far its last final is behind what was sent
- how often the page had to wait for its server

In the end the page's transcript is compared with that of client.file for the audio that was sent,
and the page is closed in the middle of another session: the server has one slot, and it is measured
how soon somebody else gets it.

Needs Chromium and the extras `web` and `browser`.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.support import Server, manifest_arguments, own_server, read_clips
from benchmarks.web import Demo, by_file, demo, write_wav
from client.stream import Client, RecognitionError, StreamingConfig
from tests.client.web import browser

MEGABYTE = 2**20

WATCH = """
window.seen = [];
new MutationObserver(() => seen.push(document.body.dataset.live))
  .observe(document.body, { attributes: true, attributeFilter: ["data-live"] });
"""

LOOK = """
() => {
  const times = [...document.querySelectorAll("#live-panel .final time")];
  const end = times.at(-1)?.title.match(/to ([0-9.]+) s/);
  return {
    elements: document.querySelectorAll("*").length,
    finals: times.length,
    end_s: end ? Number(end[1]) : 0,
    behind: document.querySelector("#live-panel .delay").innerText,
    waits: seen.filter((state) => state === "waiting").length,
    state: document.body.dataset.live,
  };
}
"""


class Tab:
    """What Chromium tells of a page."""

    def __init__(self, page: Any) -> None:  # noqa: ANN401 - playwright is optional
        """Ask nothing yet."""
        self._page = page
        self._of_page: Any = None
        self._of_browser: Any = None

    async def watch(self) -> None:
        """Begin to watch."""
        await self._page.evaluate(WATCH)
        self._of_page = await self._page.context.new_cdp_session(self._page)
        self._of_browser = await self._page.context.browser.new_browser_cdp_session()
        await self._of_page.send("Performance.enable")

    async def resident_bytes(self) -> int:
        """Memory of the largest renderer, which is the page's."""
        found = await self._of_browser.send("SystemInfo.getProcessInfo")
        renderers = [one["id"] for one in found["processInfo"] if one["type"] == "renderer"]
        return max(psutil.Process(number).memory_info().rss for number in renderers)

    async def heap_bytes(self) -> int:
        """Memory of the page's scripts that is in use."""
        await self._of_page.send("HeapProfiler.collectGarbage")
        metrics = (await self._of_page.send("Performance.getMetrics"))["metrics"]
        return round(next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize"))

    async def look(self) -> dict[str, Any]:
        """What stands on the page."""
        found: dict[str, Any] = await self._page.evaluate(LOOK)
        return found


async def listen(page: Demo, server: Server, recording: Path, minutes: float, place: Path) -> None:
    """Run one session and print a line for each minute."""
    async with browser.opened(recording=recording, loop=True) as opened:
        tab = Tab(opened)
        await browser.open_tab(opened, page.url, "Live")
        await tab.watch()
        await opened.click("#live-start")
        await browser.wait_for_state(opened, "listening")
        began_s = time.monotonic()
        used_s = (0.0, 0.0)
        print(
            "minute  tab, its scripts, demo, server in MB   processor of demo, server"
            "  elements  finals  last final ends"
        )
        for minute in range(round(minutes) + 1):
            await asyncio.sleep(max(0.0, began_s + 60 * minute - time.monotonic()))
            shown = await tab.look()
            sent_s = len(opened.sent.audio) / 2 / browser.RATE_HZ
            memory = (
                await tab.resident_bytes(),
                await tab.heap_bytes(),
                page.process.memory_info().rss,
                server.resident_bytes,
            )
            before_s, used_s = used_s, (sum(page.process.cpu_times()[:2]), server.cpu_s)
            demo_s, server_s = (now - before for now, before in zip(used_s, before_s, strict=True))
            print(
                f"{minute:6}  " + "  ".join(f"{one / MEGABYTE:6.1f}" for one in memory),
                f"{demo_s:12.1f}  {server_s:6.1f} s  {shown['elements']:16}  {shown['finals']:6}"
                f"  {shown['end_s']:.1f} of {sent_s:.1f}"
                f" s sent; {shown['behind'] or 'nothing yet'}; waited {shown['waits']} times;"
                f" {shown['state']}",
                flush=True,
            )
        await browser.stop_listening(opened)
        text = " ".join(" ".join(await browser.finals(opened)).split())
        sent = browser.write_recording(place / "sent.wav", opened.sent.samples)
        print(f"page errors: {opened.problems or 'none'}")
        await opened.click("#live-start")
        await browser.wait_for_state(opened, "listening")
        await opened.close()
        print(f"page closed; its slot was free after {await freed_after_s(server.address):.2f} s")
    same = text == by_file(server.address, sent)
    print(f"{len(text.split())} words, the same as client.file: {'yes' if same else 'no'}")


async def freed_after_s(address: str) -> float:
    """How long it takes until the server has room for another call."""
    began_s = time.monotonic()
    async with Client(address, retry=False) as client:
        while True:
            try:
                await client.recognize(bytes(3200), StreamingConfig())
            except RecognitionError as error:
                if not error.server_full:
                    raise
                await asyncio.sleep(0.01)
            else:
                return time.monotonic() - began_s


def main() -> None:
    """Measure and print."""
    parser = manifest_arguments(__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, metavar="N")
    parser.add_argument("--model", default="whisper", metavar="SPEC", help="as for the server")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as place,
        own_server("--model", arguments.model, "--max-streams", "1") as server,
        demo(server.address) as page,
    ):
        folder = Path(place)
        recording = write_wav(read_clips(arguments.manifests), folder / "clips.wav")
        asyncio.run(listen(page, server, recording, arguments.minutes, folder))


if __name__ == "__main__":
    main()
