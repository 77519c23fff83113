"""A session driven at random against a model of what it must say.

python -m tests.properties.session_machine [--steps 25000]   the long run

The model knows only what was said and what was flushed: no segmenter, no decoding.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.core.endpointing import Endpointing
from service.core.events import FinalResult, FlushDone, InterimResult, SpeechEnded, SpeechStarted
from service.core.hypothesis import SAMPLE_RATE_HZ
from service.recognizers.scripted import VOCABULARY
from tests.driver import Driver
from tests.tones import burst, pcm, quiet

STEPS_PER_RUN = 50

WORDS = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=4)
PAUSES_MS = st.sampled_from([60, 100, 450, 1_200, 7_000])


class SessionMachine(RuleBasedStateMachine):
    """Any order of audio, cuts, silences, flushes and late answers."""

    @initialize(
        silence_s=st.sampled_from([None, 0.2, 2.0]),
        max_segment_s=st.sampled_from([None, 2.0, 28.0]),
        interims=st.booleans(),
        speculation=st.booleans(),
    )
    def open_stream(self, silence_s, max_segment_s, interims, speculation):
        endpointing = Endpointing(silence_s=silence_s, max_segment_s=max_segment_s)
        self.driver = Driver(endpointing, interim_results=interims, speculation=speculation)
        self.unsent = pcm(quiet(130))
        self.sent_samples = 0
        self.said: list[str] = []
        self.flushed: list[tuple[str, int]] = []
        self.is_finished = False
        self.half_bytes = 0
        self.checked = 0

    @precondition(lambda self: not self.is_finished)
    @rule(words=WORDS, pause_ms=PAUSES_MS)
    def say(self, words, pause_ms):
        pieces = [piece for word in words for piece in (burst(word), quiet(60))]
        self.unsent += pcm(np.concatenate([*pieces, quiet(pause_ms)]))
        self.said += words

    @precondition(lambda self: not self.is_finished and self.unsent)
    @rule(part=st.floats(0, 1))
    def send_some(self, part):
        """Cut anywhere, also within a sample."""
        self._send(self.unsent[: int(part * len(self.unsent)) + 1])

    @precondition(lambda self: not self.is_finished)
    @rule(ms=st.sampled_from([10, 500, 3_000]))
    def be_silent(self, ms):
        self._send(self.unsent)
        samples = ms * SAMPLE_RATE_HZ // 1000
        self.driver.session.silence(samples)
        self.sent_samples += samples
        self.driver.collect()

    @precondition(lambda self: not self.is_finished)
    @rule()
    def flush(self):
        self._send(self.unsent)
        flush_id = f"flush {len(self.flushed)}"
        self.driver.session.flush(flush_id)
        self.flushed.append((flush_id, len(self.said)))
        self.driver.collect()

    @rule(answers=st.integers(1, 4))
    def answer(self, answers):
        for _ in range(answers):
            self.driver.work_once()

    @rule()
    def take_a_job_and_keep_it(self):
        """The worker is slow: the job is out while other things happen."""
        driver = self.driver
        driver.job = driver.job or driver.session.take_job()
        if driver.job is not None:
            assert driver.session.take_job() is None

    @precondition(lambda self: not self.is_finished and len(self.said) > 10)
    @rule()
    def finish(self):
        self._finish()

    @invariant()
    def the_model_agrees(self):
        if len(self.driver.updates) == self.checked:
            return
        self.checked = len(self.driver.updates)
        self.nothing_is_said_that_was_not()
        self.every_flush_is_answered_after_its_words()
        self.cursors_are_in_order_and_never_go_back()
        self.segments_lie_behind_each_other()
        self.speech_begins_before_it_ends()
        self.stable_text_is_kept()

    def nothing_is_said_that_was_not(self):
        """Finals say the words in their order, never more than were spoken."""
        words = self.driver.text.split()
        assert words == self.said[: len(words)]

    def every_flush_is_answered_after_its_words(self):
        done, words = [], 0
        for update in self.driver.updates:
            if isinstance(update.event, FinalResult):
                words += len(update.event.words)
            elif isinstance(update.event, FlushDone):
                done.append((update.event.flush_id, words))
        assert done == self.flushed[: len(done)]

    def cursors_are_in_order_and_never_go_back(self):
        cursors = [update.cursors for update in self.driver.updates]
        for cursor in cursors:
            assert cursor.final_s <= cursor.processed_s + 1e-9
            assert cursor.processed_s <= cursor.received_s + 1e-9
        for before, after in itertools.pairwise(cursors):
            assert before.received_s <= after.received_s
            assert before.processed_s <= after.processed_s
            assert before.final_s <= after.final_s
        sent_s = self.sent_samples / SAMPLE_RATE_HZ
        assert abs(self.driver.session.cursors.received_s - sent_s) < 1e-9

    def segments_lie_behind_each_other(self):
        end = 0
        ids = []
        for final in self.driver.finals:
            assert end <= final.start_samples < final.end_samples <= self.sent_samples
            end = final.end_samples
            ids.append(final.segment_id)
        assert ids == sorted(set(ids))

    def speech_begins_before_it_ends(self):
        kinds = [
            type(update.event)
            for update in self.driver.updates
            if isinstance(update.event, (SpeechStarted, SpeechEnded))
        ]
        assert kinds[::2] == [SpeechStarted] * len(kinds[::2])
        assert kinds[1::2] == [SpeechEnded] * len(kinds[1::2])

    def stable_text_is_kept(self):
        stable: dict[int, str] = {}
        finished: set[int] = set()
        for update in self.driver.updates:
            event = update.event
            if isinstance(event, FinalResult):
                finished.add(event.segment_id)
            elif isinstance(event, InterimResult):
                assert event.segment_id not in finished
                assert event.stable_text.startswith(stable.get(event.segment_id, ""))
                assert event.text.startswith(event.stable_text)
                stable[event.segment_id] = event.stable_text

    def teardown(self):
        """At the end everything that was said has been understood, once."""
        if not hasattr(self, "driver"):
            return
        if not self.is_finished:
            self._finish()
        self.driver.work()
        self.the_model_agrees()
        assert self.driver.session.is_done
        assert self.driver.text.split() == self.said
        assert len(self.flushed) == sum(
            isinstance(update.event, FlushDone) for update in self.driver.updates
        )

    def _send(self, data: bytes) -> None:
        sent_bytes = 2 * self.sent_samples + self.half_bytes + len(data)
        self.unsent = self.unsent[len(data) :]
        self.driver.session.feed(data)
        self.sent_samples, self.half_bytes = divmod(sent_bytes, 2)
        self.driver.collect()

    def _finish(self) -> None:
        self._send(self.unsent)
        self.driver.session.finish()
        self.is_finished = True
        self.driver.collect()


def run(steps: int) -> None:
    """Run that many steps, or more."""
    run_state_machine_as_test(
        SessionMachine,
        settings=settings(
            max_examples=-(-steps // STEPS_PER_RUN),
            stateful_step_count=STEPS_PER_RUN,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A session against a model of it.")
    parser.add_argument("--steps", type=int, default=25_000)
    wanted = parser.parse_args().steps
    run(wanted)
    print(f"{wanted} steps, no difference from the model")
