"""The recording and compare tabs in a real browser."""

import re

import grpc
import numpy as np
import pytest
import soundfile

from client.web.comparison import Way
from tests.client.fake_server import STARTED, abort, fake_server, final
from tests.client.web.browser import RATE_HZ, choose, open_tab, opened, write_recording
from tests.recognizers.small_deepspeech_model import MODEL, SCORER, functions
from tests.recognizers.small_deepspeech_model import clips as held_out
from tests.tones import burst, quiet, tones

pytestmark = pytest.mark.timeout(400)
"""Starting the demo and a browser takes a busy machine half a minute by itself."""

SENTENCES = (
    "play the last song in seventy three hours",
    "turn left in eight minutes",
    "play another song in eighty nine minutes",
)


@pytest.fixture
def words_file(tmp_path):
    """Six words and a pause after the third."""
    path = tmp_path / "six words.flac"
    pieces = [tones("alfa bravo charlie"), quiet(1500), tones("delta echo foxtrot")]
    soundfile.write(path, np.concatenate(pieces), 16_000)
    return path


async def test_words_play_their_moment_and_files_are_kept(demo, serve, words_file, tmp_path):
    """A file gives words with their times; a word plays its moment, also by the keyboard, which
    goes past all words at once; and the transcript comes in four formats under the recording's
    name."""
    async with serve(listen=demo.server), opened() as page:
        await open_tab(page, demo.url, "Recording")
        await choose(page, words_file)
        await page.click("#recording-start")
        await page.wait_for_selector(".result audio")
        words = page.locator(".result .word")
        assert " ".join(await words.all_inner_texts()) == "alfa bravo charlie delta echo foxtrot"
        await words.nth(3).press("Enter")
        await page.wait_for_function("document.querySelector('.result audio').currentTime > 2.2")
        assert await page.evaluate("document.querySelector('.result audio').duration > 3")
        await page.keyboard.press("ArrowRight")
        focused = "document.activeElement.innerText"
        assert await page.evaluate(focused) == "echo"
        await page.keyboard.press("Tab")
        assert await page.evaluate(focused) == "Save TXT"
        await page.keyboard.press("Shift+Tab")
        assert await page.evaluate(focused) == "echo"
        for ending, part in (
            ("TXT", "alfa bravo charlie\ndelta echo foxtrot\n"),
            ("SRT", "\nalfa bravo charlie\n"),
            ("VTT", "WEBVTT\n"),
            ("JSON", '"final_result"'),
        ):
            async with page.expect_download() as download:
                await page.get_by_text(f"Save {ending}").click()
            kept = await download.value
            assert kept.suggested_filename.endswith(f".{ending.lower()}")
            await kept.save_as(tmp_path / ending)
            assert part in (tmp_path / ending).read_text(encoding="utf-8")
        assert page.problems == []


async def test_a_recording_made_on_the_page(demo, serve, tmp_path):
    """What is recorded with the microphone on the page is recognized like a file."""
    words = [
        burst("alfa", rate_hz=RATE_HZ),
        np.zeros(RATE_HZ // 10),
        burst("bravo", rate_hz=RATE_HZ),
    ]
    samples = np.concatenate([np.zeros(RATE_HZ), *words])
    recording = write_recording(tmp_path / "words.wav", samples * 32767)
    # Said again and again, since a busy machine takes its time until it records.
    async with serve(listen=demo.server), opened(recording=recording, loop=True) as page:
        await open_tab(page, demo.url, "Recording")
        tab = page.get_by_role("tabpanel").filter(visible=True)
        await tab.get_by_label("Record audio").click()
        await tab.get_by_role("button", name="Record", exact=True).click()
        await tab.get_by_text(re.compile(r"^0:(0[4-9]|[1-5][0-9])$")).wait_for()
        await tab.get_by_role("button", name="Stop").click()
        # It can be played at once, and be recognized when it has been uploaded.
        await tab.get_by_label("Clear").wait_for()
        await page.click("#recording-start")
        await page.wait_for_selector(".result audio")
        assert "alfa bravo" in await page.inner_text("#recording-result")


async def test_what_cannot_be_recognized_is_said(demo, serve, words_file, tmp_path):
    """No server, no file, a file that is no audio: a sentence, without paths of this machine."""
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    async with opened() as page:
        problem = page.locator("#recording-result .problem")
        await open_tab(page, demo.url, "Recording")
        await choose(page, words_file)
        await page.click("#recording-start")
        await problem.get_by_text("No server answers").wait_for()
        async with serve(listen=demo.server):
            await open_tab(page, demo.url, "Recording")
            await page.click("#recording-start")
            await problem.get_by_text("There is no recording yet").wait_for()
            await choose(page, bad)
            await page.click("#recording-start")
            await problem.get_by_text("bad.wav is not audio").wait_for()
            assert "/" not in await problem.inner_text()


async def press_until(page, part):
    """Press the button until the page complains of it: a very busy machine's server may count as
    gone at first."""
    problem = page.locator("#recording-result .problem")
    while True:
        await page.click("#recording-start")
        await problem.wait_for()
        if part in await problem.inner_text():
            return


async def test_what_was_heard_before_a_problem_is_kept(demo, words_file, tmp_path):
    """A server that goes away in the middle, or has no place: the page says so; what was final
    until then can be read, heard and saved."""

    async def leave(_, requests, context):
        yield STARTED
        yield final("Good morning.", 0.1, 0.9)
        # A client that still writes as its call ends may be told INTERNAL by its own library.
        async for _ in requests:
            pass
        await abort(context, grpc.StatusCode.UNAVAILABLE, "", "Socket closed")

    async def refuse(_, __, context):
        await abort(context, grpc.StatusCode.UNAVAILABLE, "SERVER_FULL", "all slots are taken")
        yield STARTED

    async with opened() as page:
        async with fake_server(leave, listen=demo.server):
            await open_tab(page, demo.url, "Recording")
            await choose(page, words_file)
            await press_until(page, "the server still runs")
            assert await page.inner_text(".result .word") == "Good morning."
            async with page.expect_download() as download:
                await page.get_by_text("Save TXT").click()
            await (await download.value).save_as(tmp_path / "kept")
            assert (tmp_path / "kept").read_text(encoding="utf-8") == "Good morning.\n"
        async with fake_server(refuse, listen=demo.server):
            await press_until(page, "Every place on the server is taken")
            assert await page.locator(".result").count() == 0
        assert page.problems == []


async def test_ways_side_by_side(demo, serve, words_file):
    """The same recording in several ways: each its own column, differences marked."""
    async with serve(listen=demo.server), opened() as page:
        await open_tab(page, demo.url, "Compare")
        await choose(page, words_file)
        await page.get_by_label("What was said").fill("alfa bravo charlie delta echo golf")
        await page.click("#compare-start")
        await page.wait_for_function("document.querySelectorAll('.way').length === 3")
        columns = await page.locator(".way").all_inner_texts()
        assert ["Naive" in column for column in columns] == [False, True, True]
        assert "1 difference in 6 words" in columns[0]
        assert await page.locator(".way del").first.inner_text() == "golf"
        assert page.problems == []


async def test_models_side_by_side(demo, serve, tmp_path):
    """Whisper and DeepSpeech beside each other in every way: both hear what was said as a stream
    and as a whole, and both mishear it where it is cut by the clock every two seconds."""
    functions()
    clips = [clip for clip in held_out() if clip[0] in SENTENCES]
    said = " ".join(words for words, _ in clips)
    pieces = [piece for _, samples in clips for piece in (samples, quiet(1_200))]
    path = tmp_path / "sentences.wav"
    soundfile.write(path, np.concatenate([quiet(300), *pieces]), 16_000)
    models = ["whisper", f"deepspeech:{MODEL}?scorer={SCORER}&name=deepspeech&language=en"]
    async with (
        serve(listen=demo.server, model=models, voice_activity="silero"),
        opened() as page,
    ):
        await open_tab(page, demo.url, "Compare")
        await choose(page, path)
        tab = page.get_by_role("tabpanel").filter(visible=True)
        await tab.get_by_label("Models").click()
        await page.get_by_role("option", name="deepspeech").click()
        for way in await tab.get_by_role("checkbox").all():
            await way.check()
        await tab.get_by_label("What was said").fill(said)
        await page.click("#compare-start")
        await page.wait_for_function("document.querySelectorAll('.way').length === 10")
        headings = await page.locator(".way h3").all_inner_texts()
        facts = await page.locator(".way .hint").all_inner_texts()
        assert page.problems == []
    differences = {
        heading: int(re.match(r"(\d+) differences? in 18 words", fact)[1])
        for heading, fact in zip(headings, facts, strict=True)
    }
    assert list(differences) == [
        f"{model}: {way}" for model in ("whisper", "deepspeech") for way in Way
    ]
    for model in ("whisper", "deepspeech"):
        good = max(differences[f"{model}: {way}"] for way in (Way.STREAMING, Way.FULL_CONTEXT))
        # One, since processors differ in how they round Whisper's 8-bit products.
        assert good <= 1
        assert differences[f"{model}: {Way.SMALL_PIECES}"] > good


async def test_a_page_that_is_closed_asks_for_nothing_more(demo, serve, tmp_path):
    """A recognition whose page is closed gives its place on the server back before its end."""
    path = tmp_path / "long.flac"
    words = np.concatenate([tones("alfa bravo"), quiet(1400)])
    soundfile.write(path, np.tile(words, 300), 16_000)
    async with (
        serve(listen=demo.server, model=["scripted?delay_ms=500"]) as server,
        opened() as page,
    ):
        await open_tab(page, demo.url, "Recording")
        await choose(page, path)
        await page.click("#recording-start")
        await page.wait_for_selector("#recording-result .word")
        assert server.engine.slots.taken == 1
        await page.close()
        await server.engine.slots.wait_until_free(50)
        assert server.engine.slots.taken == 0
