"""The live tab in a real browser: what it hears, shows and frees."""

import asyncio

import numpy as np
import pytest
import soundfile
import soxr

from tests.client.fake_server import STARTED, fake_server, final
from tests.client.web.browser import (
    RATE_HZ,
    finals,
    opened,
    start_listening,
    stop_listening,
    wait_for_final,
    wait_for_state,
    write_recording,
)
from tests.client.web.tap import DEVICE_BLOCK_S, QUANTUM, put_tap, quanta_played, tapped
from tests.samples import FOLDER

pytestmark = pytest.mark.timeout(400)
"""Starting the demo and a browser takes a busy machine half a minute by itself."""


def sample_recording(path, name, around_s=1.5):
    samples, rate_hz = soundfile.read(FOLDER / name)
    samples = soxr.resample(samples, rate_hz, RATE_HZ)
    quiet = np.zeros(round(around_s * RATE_HZ))
    return write_recording(path, np.concatenate([quiet, samples, quiet]) * 32767)


async def test_words_come_while_they_are_spoken(demo, serve, tmp_path):
    """Text stands on the page while the voice goes on, and in the end it is what client.file
    makes of the same audio."""
    recording = sample_recording(tmp_path / "garden.wav", "garden.flac")
    async with (
        serve(model=["whisper"], voice_activity="silero", listen=demo.server) as server,
        opened(recording=recording, loop=True) as page,
    ):
        await start_listening(page, demo.url)
        # Only words that are not final yet stand there.
        await page.wait_for_function(
            "document.querySelector('#live-panel .spoken').innerText.trim()"
        )
        assert "behind your voice" in await page.inner_text("#live-panel .delay")
        await wait_for_final(page)
        await stop_listening(page)
        assert " ".join(await finals(page)) == await page.sent.words(server, tmp_path / "sent.wav")
        assert page.problems == []


async def test_the_server_hears_every_sample_once(demo, tmp_path):
    """What reaches the server is what the microphone gave: no sample is lost, doubled or changed
    where the browser's pieces meet. And what the microphone gave is what was played in, but for
    the stutters of a fake microphone on a busy machine."""
    played = np.random.default_rng(7).integers(-20_000, 20_000, 8 * RATE_HZ)
    noise = np.concatenate([played, np.zeros(RATE_HZ)])
    recording = write_recording(tmp_path / "noise.wav", noise)
    heard = bytearray()
    enough = asyncio.Event()

    async def listen(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
            heard.extend(request.audio)
            if len(heard) > 2 * 10 * RATE_HZ:
                enough.set()
        yield final("done")

    async with (
        fake_server(listen, listen=demo.server) as server,
        opened(recording=recording) as page,
    ):
        await put_tap(page)
        await start_listening(page, demo.url)
        await enough.wait()
        await stop_listening(page)
        microphone = await tapped(page)
    assert server.config.audio_format.sample_rate_hertz == RATE_HZ
    samples = np.frombuffer(heard, dtype="<i2")
    # The tap is connected first, and may hear some quanta more at either end.
    more = len(microphone) - len(samples)
    assert more >= 0
    begins = range(0, more + 1, QUANTUM)
    assert any(np.array_equal(samples, microphone[at : at + len(samples)]) for at in begins)
    found, quanta = quanta_played(samples, played)
    assert len(found) > quanta / 2
    assert np.diff(found).min() >= -DEVICE_BLOCK_S * RATE_HZ


async def test_closing_the_page_frees_the_slot(demo, serve, tmp_path):
    """A page that is closed, and a tab of it that is left, gives its place on the server back."""
    recording = write_recording(tmp_path / "quiet.wav", np.zeros(RATE_HZ))
    async with serve(listen=demo.server) as server, opened(recording=recording) as page:
        await start_listening(page, demo.url)
        await wait_for_state(page, "listening")
        assert server.engine.slots.taken == 1
        await page.close()
        await server.engine.slots.wait_until_free(50)
        assert server.engine.slots.taken == 0
