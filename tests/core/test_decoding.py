"""Which decodes a stream asks for, and what becomes of their answers."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from service.core.decoding import IN_VAIN_WITHIN_S, MOST_IN_VAIN, JobKind
from service.core.hypothesis import SAMPLE_RATE_HZ, DecodeOptions, Hypothesis, Window
from service.recognizers.scripted import ScriptedRecognizer, ScriptedStream
from tests.driver import Driver
from tests.tones import TWO_UTTERANCES, in_pieces, quiet, tones


def test_only_one_interim_is_out_at_a_time():
    """While an interim is not answered, no other one is asked for."""
    driver = Driver()
    for piece in in_pieces(tones("alfa bravo charlie delta echo foxtrot golf hotel india")):
        driver.session.feed(piece)
        driver.job = driver.job or driver.session.take_job()
        assert driver.session.take_job() is None
    assert driver.job is not None
    assert driver.job.kind is JobKind.INTERIM


def test_interims_become_rarer_when_answers_are_slow():
    """An interim hears all audio up to the moment it is asked for; none are made up for."""
    slow, fast = Driver(), Driver()
    pieces = in_pieces(tones("alfa bravo charlie delta echo foxtrot golf hotel india juliett"))
    fast.run(pieces, Driver.work)
    for index, piece in enumerate(pieces):
        slow.session.feed(piece)
        if index % 11 == 10:
            slow.work_once()
    slow.session.finish()
    slow.work()
    assert slow.text == fast.text
    assert 0 < len(slow.interims) < len(fast.interims)


def test_a_long_segment_is_confirmed_now_and_then():
    """Every few seconds an interim hears as the final will; only then words become stable."""
    driver = Driver()
    driver.run(in_pieces(tones(" ".join(["alfa bravo charlie delta echo"] * 6))), Driver.work)
    confirming = [job for job in driver.done if job.kind is JobKind.CONFIRMING_INTERIM]
    assert len(confirming) >= 2
    heard_s = [
        (job.segment.end_samples - job.segment.start_samples) / SAMPLE_RATE_HZ for job in confirming
    ]
    assert [math.floor(length_s / 3.0) for length_s in heard_s] == list(range(1, len(heard_s) + 1))
    assert all(length_s % 3.0 < 1.0 for length_s in heard_s)
    promised = [interim.stable_text for interim in driver.interims]
    growth = sum(before != after for before, after in pairwise(["", *promised]))
    assert growth == len(confirming)


def test_a_final_is_decoded_while_its_silence_is_awaited():
    """The final is ready when the endpoint comes: nothing is decoded after it."""
    driver = Driver(interim_results=False)
    for piece in in_pieces(np.concatenate([tones("alfa bravo"), quiet(600)])):
        driver.session.feed(piece)
    driver.work()
    assert [job.kind for job in driver.done] == [JobKind.SPECULATIVE_FINAL]
    assert driver.finals == []
    for piece in in_pieces(quiet(400)):
        driver.session.feed(piece)
    driver.work()
    assert driver.text == "alfa bravo"
    assert len(driver.done) == 1


def test_a_speculation_that_speech_overtakes_is_thrown_away():
    """Speech that goes on makes the final of the whole segment, not of its first part."""
    driver = Driver(interim_results=False)
    parts = [tones("alfa bravo"), quiet(600), tones("charlie"), quiet(2_000)]
    driver.run(in_pieces(np.concatenate(parts)), Driver.work)
    assert [final.text for final in driver.finals] == ["alfa bravo charlie"]


def test_finals_thrown_away_are_bounded():
    """However often somebody hesitates: in any 8 s at most four, and the one that is out."""
    driver = Driver(interim_results=False)
    said = "alfa bravo charlie delta echo foxtrot golf hotel india juliett kilo lima"
    words = said.split()
    parts = [part for word in words for part in (tones(word), quiet(600))]
    driver.run(in_pieces(np.concatenate([*parts, quiet(1_500)])), Driver.work)
    assert driver.text == " ".join(words)
    ends = [job.segment.end_samples for job in driver.done if job.kind is JobKind.SPECULATIVE_FINAL]
    assert MOST_IN_VAIN < len(ends) < len(words)
    within_samples = round(IN_VAIN_WITHIN_S * SAMPLE_RATE_HZ)
    for first, last in zip(ends, ends[MOST_IN_VAIN + 1 :], strict=False):
        assert last - first >= within_samples


def test_an_unneeded_speculation_is_not_begun():
    """What is decoded is decided when the job is taken: speech that goes on wants no final."""
    driver = Driver(interim_results=False)
    for piece in in_pieces(np.concatenate([tones("alfa bravo"), quiet(600)])):
        driver.session.feed(piece)
    assert driver.session.wanted() is JobKind.SPECULATIVE_FINAL
    for piece in in_pieces(tones("charlie")):
        driver.session.feed(piece)
    assert driver.session.wanted() is None
    assert driver.session.take_job() is None


@pytest.mark.parametrize(
    ("silent_ms", "has_time", "wanted"),
    [
        (450, True, JobKind.SPECULATIVE_FINAL),
        (450, False, None),
        (550, False, JobKind.SPECULATIVE_FINAL),
    ],
)
def test_who_has_time_foresees_earlier(silent_ms, has_time, wanted):
    """What is more often in vain is left out where it would keep others waiting. Tones fade, so
    that silence begins within them."""
    driver = Driver(interim_results=False)
    for piece in in_pieces(np.concatenate([tones("alfa bravo"), quiet(silent_ms)])):
        driver.session.feed(piece)
    assert driver.session.wanted(has_time=has_time) is wanted
    job = driver.session.take_job(has_time=has_time)
    assert (job.kind if job is not None else None) is wanted


def test_an_interim_hears_all_audio_up_to_the_moment_it_is_taken():
    """However long it waited for its turn."""
    driver = Driver()
    pieces = in_pieces(tones("alfa bravo charlie delta echo foxtrot"))
    for piece in pieces[:10]:
        driver.session.feed(piece)
    assert driver.session.wanted() is JobKind.INTERIM
    for piece in pieces[10:20]:
        driver.session.feed(piece)
    job = driver.session.take_job()
    assert job.segment.end_samples > 15 * len(pieces[0]) // 2


def test_a_confirming_interim_can_be_left_out():
    """Under load an interim that would confirm is an ordinary one."""
    driver = Driver()
    for piece in in_pieces(tones(" ".join(["alfa bravo charlie delta echo"] * 4))):
        driver.session.feed(piece)
        if driver.session.wanted() is JobKind.CONFIRMING_INTERIM:
            break
    assert driver.session.wanted() is JobKind.CONFIRMING_INTERIM
    assert driver.session.take_job(may_confirm=False).kind is JobKind.INTERIM


def test_recognizers_without_speculation_are_asked_once():
    """Where a final consumes its stream, it is asked for only when the segment has ended."""
    driver = Driver(interim_results=False, speculation=False)
    driver.run(in_pieces(TWO_UTTERANCES), Driver.work)
    assert [job.kind for job in driver.done] == [JobKind.FINAL] * 2


def test_finals_hear_the_segments_before_them():
    """A final's context is the audio and the text of the segments before, oldest first."""
    driver = Driver(interim_results=False)
    driver.run(in_pieces(np.concatenate([TWO_UTTERANCES, quiet(900), tones("golf")])), Driver.work)
    assert [tuple(segment.text for segment in job.window.context) for job in driver.done] == [
        (),
        ("alfa bravo charlie",),
        ("alfa bravo charlie", "delta echo"),
    ]


def test_context_and_segment_fit_into_one_window():
    """However long the speech, no window is longer than the recognizer's longest."""
    words = [tones("alfa bravo charlie delta echo foxtrot golf hotel india juliett"), quiet(1_000)]
    driver = Driver(interim_results=False)
    driver.run(in_pieces(np.concatenate(words * 15)), Driver.work)
    lengths = [
        len(job.window.samples) + sum(len(part.samples) for part in job.window.context)
        for job in driver.done
    ]
    assert 20 * 16_000 < max(lengths) <= 28 * 16_000


class _Doubtful(ScriptedRecognizer):
    """Trusts none of its interims."""

    def open_stream(self, options: DecodeOptions) -> _DoubtfulStream:
        return _DoubtfulStream(options, 0.0)


class _DoubtfulStream(ScriptedStream):
    def interim(self, window: Window) -> Hypothesis:
        return replace(super().interim(window), is_doubtful=True)


def test_audio_that_gave_no_interim_is_not_heard_again():
    """After an interim that is not to be trusted, the next one waits for new audio."""
    driver = Driver(recognizer=_Doubtful())
    driver.run(in_pieces(tones("alfa bravo charlie delta echo foxtrot golf")), Driver.work)
    heard = [job.segment.end_samples for job in driver.done if job.kind is JobKind.INTERIM]
    assert len(heard) > 3
    assert all(after - before >= 3_000 for before, after in pairwise(heard))
    assert driver.interims == []
    assert driver.text == "alfa bravo charlie delta echo foxtrot golf"


def test_the_first_interim_comes_sooner_than_the_next_ones():
    """A segment's first words are tried for after half the interval."""
    driver = Driver()
    driver.run(in_pieces(tones("alfa bravo charlie delta echo foxtrot"), ms=20), Driver.work)
    ends = [interim.end_samples / 16_000 for interim in driver.interims]
    assert ends[0] < 0.3
    assert ends[1] - ends[0] >= 0.5


def test_a_native_stream_hears_a_segment_while_it_grows():
    """Without interims to show, a carried state still hears all of a segment before its final."""
    driver = Driver(interim_results=False, speculation=False, hears_ahead=True)
    driver.run(in_pieces(TWO_UTTERANCES), Driver.work)
    assert driver.interims == []
    for segment_id in (0, 1):
        jobs = [job for job in driver.done if job.segment.segment_id == segment_id]
        kinds = [job.kind for job in jobs]
        assert kinds == [JobKind.INTERIM] * (len(jobs) - 1) + [JobKind.FINAL]
        assert len(jobs) >= 2
    ended_by_silence = [job for job in driver.done if job.segment.segment_id == 0]
    heard, final = (job.segment for job in ended_by_silence[-2:])
    assert heard == final


def test_a_native_stream_is_left_alone_while_nothing_is_new():
    """In the silence that ends a segment its end is heard once."""
    driver = Driver(interim_results=False, speculation=False, hears_ahead=True)
    for piece in in_pieces(np.concatenate([tones("alfa bravo"), quiet(700)])):
        driver.session.feed(piece)
        driver.work()
    heard = [job.segment.end_samples for job in driver.done]
    assert heard == sorted(set(heard))
