"""The session as a state machine."""

from itertools import pairwise

import numpy as np
import pytest

from service.core.endpointing import Endpointing
from service.core.events import FinalResult, FlushDone, SpeechEnded, SpeechStarted
from tests.driver import Driver
from tests.tones import TWO_UTTERANCES, in_pieces, pcm, quiet, tones


def test_a_stream_yields_its_segments_in_order():
    """Two utterances give two finals between their speech boundaries."""
    driver = Driver(interim_results=False)
    driver.run(in_pieces(TWO_UTTERANCES), Driver.work)
    assert [final.text for final in driver.finals] == ["alfa bravo charlie", "delta echo"]
    kinds = [type(update.event).__name__ for update in driver.updates]
    assert kinds == ["SpeechStarted", "SpeechEnded", "FinalResult"] * 2


def test_segments_lie_against_each_other():
    """Where the pause is not long, a segment begins where the one before ended."""
    driver = Driver(interim_results=False)
    driver.run(
        in_pieces(np.concatenate([tones("alfa"), quiet(1_000), tones("bravo")])), Driver.work
    )
    first, second = driver.finals
    assert first.end_samples == second.start_samples


def test_word_offsets_are_on_the_streams_clock():
    """A word's time is where its tone was in the stream, also behind left context."""
    driver = Driver()
    driver.run(in_pieces(TWO_UTTERANCES), Driver.work)
    starts = [
        final.start_samples / 16_000 + word.start_s
        for final in driver.finals
        for word in final.words
    ]
    expected = [0.5, 0.8, 1.1, 0.5 + 0.9 + 1.5, 0.5 + 0.9 + 1.5 + 0.3]
    assert expected == pytest.approx(starts, abs=0.01)


def test_silence_asks_for_nothing():
    """A minute of silence yields no event, no job, and holds only seconds of audio."""
    driver = Driver()
    driver.run(in_pieces(quiet(60_000)), Driver.work)
    assert driver.updates == []
    assert driver.done == []
    assert len(driver.session._audio._data) <= 12 * 16_000


def test_a_flush_is_answered_after_its_finals_and_the_stream_goes_on():
    """A flush in the middle of speech finalizes it, answers, and more speech follows."""
    driver = Driver()
    driver.session.feed(pcm(tones("alfa bravo")))
    driver.session.flush("one")
    driver.work()
    events = [update.event for update in driver.updates]
    assert isinstance(events[-3], SpeechEnded)
    assert events[-2].text == "alfa bravo"
    assert FlushDone("one") == events[-1]
    driver.run([pcm(tones("charlie"))])
    assert driver.text == "alfa bravo charlie"


def test_flushes_are_answered_at_once_where_nothing_is_said():
    """A flush before any audio, in silence, or twice, is answered each time."""
    driver = Driver()
    driver.session.flush("none")
    driver.session.feed(pcm(quiet(700)))
    driver.session.flush("silence")
    driver.session.flush("again")
    driver.work()
    flushes = [FlushDone("none"), FlushDone("silence"), FlushDone("again")]
    assert flushes == [update.event for update in driver.updates]


def test_a_flush_before_speech_leaves_its_lead_to_it():
    """A segment behind a flush may begin before it, as far back as final_offset and no further."""
    driver = Driver()
    driver.session.feed(pcm(quiet(1_000)))
    driver.session.flush("in silence")
    driver.run([pcm(tones("alfa"))])
    (flushed_s,) = (u.cursors.final_s for u in driver.updates if isinstance(u.event, FlushDone))
    (final,) = driver.finals
    assert flushed_s * 16_000 <= final.start_samples < 16_000


def test_each_flush_waits_for_the_finals_before_it_alone():
    """Flushes behind several segments: each is answered behind its own, and counted until then."""
    driver = Driver(interim_results=False, speculation=False)
    for word in ("alfa", "bravo"):
        driver.session.feed(pcm(tones(word)))
        driver.session.flush(f"{word} one")
        driver.session.flush(f"{word} two")
    assert driver.session.waiting_flushes == 4
    driver.work_once()
    assert driver.session.waiting_flushes == 2
    driver.work()
    assert driver.session.waiting_flushes == 0
    said = [
        event.text if isinstance(event, FinalResult) else event.flush_id
        for event in (update.event for update in driver.updates)
        if isinstance(event, FinalResult | FlushDone)
    ]
    assert said == ["alfa", "alfa one", "alfa two", "bravo", "bravo one", "bravo two"]


def test_single_utterance_ends_with_the_first_endpoint():
    """The first segment that silence ends is the last; later audio is not listened to."""
    driver = Driver(endpointing=Endpointing(single_utterance=True))
    for piece in in_pieces(TWO_UTTERANCES):
        driver.session.feed(piece)
    driver.work()
    assert driver.session.is_done
    assert driver.text == "alfa bravo charlie"
    assert len(TWO_UTTERANCES) / 16_000 == driver.session.cursors.received_s


def test_disabled_endpointing_leaves_it_to_the_flush():
    """Silence ends no segment when endpointing is disabled; a flush does."""
    driver = Driver(endpointing=Endpointing(disabled=True))
    for piece in in_pieces(TWO_UTTERANCES):
        driver.session.feed(piece)
    driver.work()
    assert driver.finals == []
    driver.session.flush("now")
    driver.work()
    assert driver.text == "alfa bravo charlie delta echo"


def test_cursors_never_go_back_and_end_at_the_end():
    """Received, processed and final offsets only grow, in that order of size."""
    driver = Driver()
    driver.session.feed(b"")
    driver.run([*in_pieces(TWO_UTTERANCES), *in_pieces(tones("golf " * 100))], Driver.work)
    cursors = [update.cursors for update in driver.updates]
    for before, after in pairwise(cursors):
        assert before.received_s <= after.received_s
        assert before.processed_s <= after.processed_s
        assert before.final_s <= after.final_s
    assert all(c.final_s <= c.processed_s <= c.received_s for c in cursors)
    assert driver.session.cursors.final_s == driver.finals[-1].end_samples / 16_000


def test_no_result_begins_before_the_final_offset():
    """What final_offset has passed is never spoken of again."""
    driver = Driver()
    driver.run(in_pieces(TWO_UTTERANCES), Driver.work)
    final_s = 0.0
    for update in driver.updates:
        if isinstance(update.event, SpeechStarted):
            assert update.event.offset_samples / 16_000 >= final_s
        elif not isinstance(update.event, (SpeechEnded, FlushDone)):
            assert update.event.start_samples / 16_000 >= final_s
        final_s = update.cursors.final_s


def test_a_stream_without_audio_has_nothing_to_say():
    """Finishing at once is done at once."""
    driver = Driver()
    assert driver.run([]) == []
    assert driver.updates == []


def test_nothing_comes_after_the_end():
    """Feeding a finished session is a mistake of its owner and changes nothing."""
    driver = Driver()
    driver.run([pcm(tones("alfa"))])
    with pytest.raises(RuntimeError, match="finished"):
        driver.session.feed(pcm(tones("bravo")))
    assert driver.text == "alfa"
