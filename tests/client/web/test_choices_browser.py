"""What can be chosen on the live tab, and its buttons, in a real browser."""

import numpy as np
import pytest

from client.messages import to_duration
from protos.asr.v1.asr_pb2 import Model
from tests.client.fake_server import STARTED, fake_server, final, interim
from tests.client.web.browser import (
    RATE_HZ,
    finals,
    open_tab,
    opened,
    problem,
    start_listening,
    stop_listening,
    wait_for_state,
    write_recording,
)

pytestmark = pytest.mark.timeout(400)
"""Starting the demo and a browser takes a busy machine half a minute by itself."""

MODELS = [
    Model(name="plain", max_segment_duration=to_duration(28)),
    Model(name="rich", phrases=True, language_codes=["de", "en"], word_offsets=True),
]


@pytest.fixture
def recording(tmp_path):
    return write_recording(tmp_path / "quiet.wav", np.zeros(RATE_HZ))


async def test_settings_are_those_of_the_model(demo, recording):
    """A setting is there for models that honour it alone, and reaches the server."""
    async with (
        fake_server(models=MODELS, listen=demo.server) as server,
        opened(recording=recording) as page,
    ):
        await open_tab(page, demo.url, "Live")
        tab = page.get_by_role("tabpanel").filter(visible=True)
        await tab.get_by_text("Settings").click()
        slider = tab.get_by_role("slider")
        while await slider.input_value() != "1.5":
            # Until its script has come to life, the field shows what is typed and forgets it.
            await tab.get_by_role("spinbutton").fill("1.5")
        phrases = tab.get_by_label("Phrases that are likely")
        assert not await phrases.is_visible()
        await tab.get_by_label("Model").click()
        await page.get_by_role("option", name="rich").click()
        await tab.get_by_text("times of words · phrases").wait_for()
        await phrases.fill("harbor radio\nferry")
        await page.click("#live-start")
        await wait_for_state(page, "listening")
        await stop_listening(page)
    config = server.config
    assert config.model == "rich"
    assert config.endpointing.silence_duration == to_duration(1.5)
    assert [phrase.text for phrase in config.phrases] == ["harbor radio", "ferry"]
    assert config.word_offsets
    assert config.interim_results


async def test_settled_text_is_dark_and_the_rest_is_light(demo, recording):
    """The part of an interim that is never retracted looks like a final; what may still change
    is lighter; and the text can be copied, after which the page says again that it listens."""

    async def speak(server, requests, _):
        yield STARTED
        yield final("Good morning.", 61.0, 62.0)
        yield interim("and welcome to", stable="and", segment=1)
        async for request in requests:
            server.note(request)

    async with (
        fake_server(speak, listen=demo.server),
        opened(recording=recording, permissions=["clipboard-read", "clipboard-write"]) as page,
    ):
        await start_listening(page, demo.url)
        await page.get_by_text("welcome to").wait_for()
        colours = await page.evaluate(
            "['.final .text', '.settled', '.open'].map(s =>"
            " getComputedStyle(document.querySelector('#live-panel ' + s)).color)"
        )
        assert colours[0] == colours[1] != colours[2]
        assert await page.inner_text("#live-panel .settled") == "and"
        assert await page.inner_text("#live-panel .final time") == "1:01"
        await page.click("#live-copy")
        await page.get_by_role("status").get_by_text("Copied").wait_for()
        assert await page.evaluate("navigator.clipboard.readText()") == "Good morning."
        await page.get_by_role("status").get_by_text("Listening").wait_for()
        await stop_listening(page)


async def test_the_keyboard_is_enough(demo, recording):
    """Start and stop work by the keyboard, and the focus goes from one to the other."""
    async with (
        fake_server(listen=demo.server),
        opened(recording=recording) as page,
    ):
        await open_tab(page, demo.url, "Live")
        await page.focus("#live-start")
        await page.keyboard.press("Enter")
        await wait_for_state(page, "listening")
        assert await page.evaluate("document.activeElement.id") == "live-stop"
        await page.keyboard.press("Space")
        await wait_for_state(page, "idle")
        assert await page.evaluate("document.activeElement.id") == "live-start"
        assert await problem(page) == ""


async def test_the_demo_itself_may_go(demo, recording):
    """When the connection to the demo breaks, the page says so and stops listening."""
    async with (
        fake_server(listen=demo.server),
        opened(recording=recording) as page,
    ):
        sockets = []

        def keep(socket):
            sockets.append(socket)

        await page.route_web_socket("**/speech/live/*", keep)
        await start_listening(page, demo.url)
        await page.wait_for_function("document.body.dataset.live === 'starting'")
        while not sockets:
            await page.evaluate("new Promise(requestAnimationFrame)")
        await sockets[0].close()
        await wait_for_state(page, "idle")
        assert "The connection to the demo was lost" in await problem(page)


KEEP_MICROPHONE = """
const devices = navigator.mediaDevices;
const ask = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (wanted) => (window.microphone = await ask(wanted));
"""


async def test_a_microphone_may_stop_by_itself(demo, recording):
    """When the microphone is unplugged, the page says so, and what was said becomes final."""

    async def speak(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
        yield final("Until here.")

    async with (
        fake_server(speak, listen=demo.server),
        opened(recording=recording) as page,
    ):
        await page.add_init_script(KEEP_MICROPHONE)
        await start_listening(page, demo.url)
        await wait_for_state(page, "listening")
        await page.evaluate("microphone.getTracks()[0].dispatchEvent(new Event('ended'))")
        await wait_for_state(page, "idle")
        assert "The microphone stopped by itself" in await problem(page)
        assert await finals(page) == ["Until here."]
        assert page.problems == []


async def test_a_browser_that_cannot_capture(demo, recording):
    """Where the microphone is given and its sound cannot be taken, the page says so, lets go of
    the microphone, and can be started again."""
    async with (
        fake_server(listen=demo.server),
        opened(recording=recording) as page,
    ):
        await page.add_init_script(KEEP_MICROPHONE)
        await page.add_init_script(
            "AudioWorklet.prototype.addModule = async () => { throw new Error('no such thing'); }"
        )
        await start_listening(page, demo.url)
        await wait_for_state(page, "idle")
        assert await problem(page) == "The microphone cannot be used: no such thing"
        assert await page.evaluate("microphone.getTracks()[0].readyState") == "ended"
        assert page.problems == []
