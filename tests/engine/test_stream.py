"""Streams in flight: bounds, order and clean ends."""

from __future__ import annotations

import asyncio
import gc

import numpy as np
import pytest

from service.core.audio import AudioFormat
from service.core.events import Event, FinalResult, FlushDone
from service.core.hypothesis import Phrase
from service.core.vad import EnergyDetector
from service.engine.engine import Engine, Model
from service.engine.request import StreamRequest
from service.engine.slots import Slots
from service.engine.stream import MAX_BACKLOG_S, MAX_UNREAD_UPDATES
from tests.engine.gated import GatedRecognizer
from tests.tones import pcm, quiet, tones

UTTERANCE = np.concatenate([tones("alfa bravo"), quiet(1_000)])

OPENED_TO_ADMIT = 1
"""At its begin a stream opens one and closes it unused: are its options honoured?"""


@pytest.fixture
async def gated():
    recognizer = GatedRecognizer()
    engine = Engine([Model("gated", recognizer, 1)], EnergyDetector, Slots(4))
    yield recognizer, engine
    recognizer.gate.set()
    engine.close()


async def test_unanswered_audio_is_bounded(gated):
    """When decoding stands still, no more audio is taken than the bound; then it goes on."""
    recognizer, engine = gated
    async with engine.stream(StreamRequest()) as live:
        repeats = round(2 * MAX_BACKLOG_S / (len(UTTERANCE) / 16_000))

        async def send() -> None:
            for _ in range(repeats):
                await live.audio(pcm(UTTERANCE))
            await live.finish()

        sending = asyncio.create_task(send())
        while live.cursors.received_s <= MAX_BACKLOG_S:  # noqa: ASYNC110
            await asyncio.sleep(0)
        taken_s = live.cursors.received_s
        for _ in range(100):
            await asyncio.sleep(0)
        assert live.cursors.received_s == taken_s < MAX_BACKLOG_S + 10
        assert not sending.done()
        recognizer.gate.set()
        finals = [u.event async for u in live.updates() if isinstance(u.event, FinalResult)]
        await sending
        assert len(finals) == repeats


async def test_flushes_that_wait_for_a_final_are_bounded(gated):
    """Behind a final that is long in coming no more flushes are taken than updates may wait; then
    all are answered, in order."""
    recognizer, engine = gated
    ids = [str(number) for number in range(3 * MAX_UNREAD_UPDATES)]
    taken: list[str] = []
    async with engine.stream(StreamRequest()) as live:

        async def send() -> None:
            await live.audio(pcm(tones("alfa bravo")))
            for flush_id in ids:
                await live.flush(flush_id)
                taken.append(flush_id)
            await live.finish()

        sending = asyncio.create_task(send())
        await asyncio.to_thread(recognizer.begun.wait)
        for _ in range(100):
            await asyncio.sleep(0)
        taken_at_most = len(taken)
        recognizer.gate.set()
        events = [update.event async for update in live.updates()]
        await sending
    assert MAX_UNREAD_UPDATES - 10 < taken_at_most <= MAX_UNREAD_UPDATES + 1
    answers = [event for event in events if isinstance(event, FinalResult | FlushDone)]
    assert [answer.flush_id for answer in answers[1:]] == ids


async def test_an_idle_engine_foresees_an_end_earlier(gated):
    """Nobody waits for the time, so that a final is decoded behind 0.45 s of silence."""
    recognizer, engine = gated
    async with engine.stream(StreamRequest(interim_results=False)) as live:
        await live.audio(pcm(np.concatenate([tones("alfa bravo"), quiet(450)])))
        assert await asyncio.to_thread(recognizer.begun.wait, 10)
        recognizer.gate.set()


async def test_leaving_waits_for_the_decode_that_runs(gated):
    """The recognizer's stream is closed and the slot freed only when no thread uses them."""
    recognizer, engine = gated
    async with engine.stream(StreamRequest()) as live:
        await live.audio(pcm(UTTERANCE))
        await asyncio.to_thread(recognizer.begun.wait)
        asyncio.get_running_loop().call_later(0.05, recognizer.gate.set)
    assert (recognizer.open, recognizer.opened) == (0, OPENED_TO_ADMIT + 1)
    assert engine.slots.taken == 0


async def test_a_cancelled_stream_frees_everything(gated):
    """Cancelling a stream while its decode runs leaves no stream open and no slot taken."""
    recognizer, engine = gated

    async def run() -> None:
        async with engine.stream(StreamRequest()) as live:
            await live.audio(pcm(UTTERANCE))
            await asyncio.get_running_loop().create_future()

    running = asyncio.create_task(run())
    await asyncio.to_thread(recognizer.begun.wait)
    running.cancel()
    recognizer.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    await engine.slots.wait_until_free(50)
    assert recognizer.open == 0


async def test_a_decode_that_fails_when_its_stream_has_gone_is_not_complained_of(gated):
    """What it raises is for nobody any more; the event loop finds no exception left over."""
    recognizer, engine = gated
    recognizer.error = ArithmeticError("too late")
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    async with engine.stream(StreamRequest()) as live:
        await live.audio(pcm(UTTERANCE))
        await asyncio.to_thread(recognizer.begun.wait)
        loop.call_later(0.05, recognizer.gate.set)
    # A thread holds on to its newest decode.
    engine.close()
    gc.collect()
    assert complaints == []


WITH_PHRASES = StreamRequest(phrases=(Phrase("alfa", 1.0),))


async def test_phrases_that_fail_their_trial_leave_no_stream_open(gated):
    """They are tried out before the stream has a slot; what was opened for it is closed."""
    recognizer, engine = gated
    recognizer.error = ArithmeticError("no such phrase")
    recognizer.gate.set()
    with pytest.raises(ArithmeticError):
        async with engine.stream(WITH_PHRASES):
            pass
    assert (recognizer.open, recognizer.opened) == (0, 1)


async def test_a_cancelled_trial_of_phrases_leaves_no_stream_open(gated):
    """Once the thread that tries them out is done, what was opened for it is closed."""
    recognizer, engine = gated
    opening = asyncio.create_task(_open(engine))
    await asyncio.to_thread(recognizer.begun.wait)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert recognizer.open == 1
    recognizer.gate.set()
    assert await asyncio.to_thread(recognizer.closed.wait, 30)
    assert (recognizer.open, recognizer.opened) == (0, 1)


async def _open(engine: Engine) -> None:
    async with engine.stream(WITH_PHRASES):
        pass


async def test_each_segment_has_a_stream_of_its_own(gated):
    """A recognizer's stream hears one segment; all are closed at the end."""
    recognizer, engine = gated
    recognizer.gate.set()
    async with engine.stream(StreamRequest()) as live:
        await live.audio(pcm(np.tile(UTTERANCE, 5)))
        await live.finish()
        async for _ in live.updates():
            pass
    assert (recognizer.open, recognizer.opened) == (0, OPENED_TO_ADMIT + 5)


async def test_an_interrupted_stream_keeps_what_was_said(gated):
    """Interrupting makes final what was heard, ignores later audio, and ends with the error."""
    recognizer, engine = gated
    recognizer.gate.set()
    events: list[Event] = []
    async with engine.stream(StreamRequest()) as live:
        await live.audio(pcm(tones("alfa")))
        live.interrupt(ConnectionError("moving"))
        await live.audio(pcm(tones("golf")))
        await live.flush("late")
        with pytest.raises(ConnectionError, match="moving"):
            await _gather(live.updates(), events)
    texts = [event.text for event in events if isinstance(event, FinalResult)]
    assert texts == ["alfa"]
    assert not any(isinstance(event, FlushDone) for event in events)


async def _gather(updates, events) -> None:
    async for update in updates:
        events.append(update.event)


async def test_silence_is_counted_in_whole_samples(gated):
    """However a silence is sliced on its way, its length is that of its duration."""
    _, engine = gated
    request = StreamRequest(audio_format=AudioFormat(sample_rate_hz=44_100))
    async with engine.stream(request) as live:
        await live.silence(2_300_000_000)
        assert live.cursors.received_s == 2.3
