"""One stream's recognition as a state machine: audio in, events and decode jobs out.

The session does no I/O and has no clock but its samples. Whoever owns it feeds it
audio, takes the jobs it wants done, hands back their hypotheses and takes the updates.
What is final depends on the audio alone; only interims depend on when jobs are done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from service.core.audio import AudioConverter, AudioFormat
from service.core.decoding import (
    DecodeJob,
    Decoding,
    DecodingRules,
    JobKind,
    OpenSegment,
    Segment,
)
from service.core.endpointing import EndpointRules
from service.core.events import Cursors, Event, FlushDone, SpeechEnded, SpeechStarted, Update
from service.core.history import SampleBuffer
from service.core.hypothesis import SAMPLE_RATE_HZ, Hypothesis, Samples
from service.core.segmenter import STRETCH_ENDS, Segmenter, Step
from service.core.vad import FRAME_SAMPLES, MOST_FRAMES, DetectorFactory


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What a session needs to know of its stream and of the recognizer."""

    audio_format: AudioFormat
    endpoint_rules: EndpointRules
    decoding_rules: DecodingRules
    single_utterance: bool = False


class RecognitionSession:
    """The state of one stream.

    ``feed``, ``silence`` and ``flush`` are legal until ``finish``. Audio after the end
    of a single utterance is counted and not listened to.
    """

    def __init__(self, config: SessionConfig, new_detector: DetectorFactory) -> None:
        """Begin a stream."""
        self._config = config
        self._new_detector = new_detector
        self._converter = AudioConverter(config.audio_format)
        self._audio = SampleBuffer()
        self._decoding = Decoding(config.decoding_rules, self._audio)
        self._updates: list[Update] = []
        self._next_segment_id = 0
        self._processed_samples = 0
        self._is_finished = False
        self._utterance_is_over = False
        self._listen_from(0)

    # What goes in

    def feed(self, data: bytes) -> None:
        """Take audio in the stream's format, cut anywhere.

        Raises:
            InvalidAudioError: the audio begins with the header of a file.
        """
        self._require_open()
        self._hear(self._converter.feed(data))
        self._advance()

    def silence(self, frames: int) -> None:
        """Take so many samples of silence at the stream's own rate."""
        self._require_open()
        self._hear(self._converter.silence(frames))
        self._advance()

    def flush(self, flush_id: str) -> None:
        """Make final what has been said so far, then say so with a FlushDone.

        Where nothing is being said, listening goes on as if it had not been called: a soft
        beginning that lies before it is not lost.
        """
        self._require_open()
        self._close_all()
        self._tell(self._decoding.mark(FlushDone(flush_id)))
        self._advance()

    def finish(self) -> None:
        """Make all audio final; nothing comes after it."""
        self._require_open()
        self._close_all()
        self._is_finished = True
        self._advance()

    def answer(self, job: DecodeJob, hypothesis: Hypothesis) -> None:
        """Take the result of the job that is out."""
        self._tell(self._decoding.answer(job, hypothesis))
        self._advance()

    # What comes out

    def wanted(self, *, has_time: bool = True) -> JobKind | None:
        """Return what is to be decoded next; None if nothing is, or a job is out.

        Args:
            has_time: It may be what is more likely to be in vain: nobody waits for the time.
        """
        return self._decoding.wanted(has_time=has_time)

    @property
    def due_segment_id(self) -> int | None:
        """The segment that wants its final next; None if none does."""
        return self._decoding.due_segment_id

    def take_job(self, *, has_time: bool = True, may_confirm: bool = True) -> DecodeJob | None:
        """Return the job that is to be done now, of all audio so far; None if there is none.

        The later it is taken, the more an interim hears.

        Args:
            has_time: As it was wanted.
            may_confirm: An interim may be a confirming one, which costs as much as a final.
        """
        return self._decoding.take_job(has_time=has_time, may_confirm=may_confirm)

    def take_updates(self) -> list[Update]:
        """Return what has happened since the last call."""
        updates, self._updates = self._updates, []
        return updates

    @property
    def received_s(self) -> float:
        """Audio that has come, changed by nothing but its coming."""
        return self._converter.received_frames / self.sample_rate_hz

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio that comes in."""
        return self._config.audio_format.sample_rate_hz

    @property
    def is_done(self) -> bool:
        """Whether everything that was asked for has been answered."""
        return (self._is_finished or self._utterance_is_over) and self._decoding.is_idle

    @property
    def backlog_s(self) -> float:
        """Audio that is held since the oldest segment without its final."""
        due_since_samples = self._decoding.due_since_samples
        if due_since_samples is None:
            return 0.0
        return (self._audio.end_samples - due_since_samples) / SAMPLE_RATE_HZ

    @property
    def waiting_flushes(self) -> int:
        """Flushes that wait for the finals before them."""
        return self._decoding.waiting_flushes

    @property
    def cursors(self) -> Cursors:
        """How far the stream has come."""
        due_since_samples = self._decoding.due_since_samples
        segment_start_samples = self._segmenter.start_samples
        if due_since_samples is not None:
            final_samples = due_since_samples
            processed_samples = max(due_since_samples, self._decoding.heard_samples)
        elif segment_start_samples is not None:
            final_samples = self._segmenter.origin_samples
            processed_samples = max(segment_start_samples, self._decoding.heard_samples)
        else:
            final_samples = self._segmenter.origin_samples
            processed_samples = self._segmenter.position_samples
        self._processed_samples = max(self._processed_samples, processed_samples)
        return Cursors(
            received_s=self.received_s,
            processed_s=self._processed_samples / SAMPLE_RATE_HZ,
            final_s=final_samples / SAMPLE_RATE_HZ,
        )

    def _require_open(self) -> None:
        if self._is_finished:
            raise RuntimeError("the session is finished")

    def _tell(self, events: Iterable[Event]) -> None:
        self._updates.extend(Update(event, self.cursors) for event in events)

    def _listen_from(self, origin_samples: int) -> None:
        """Watch for the next segment.

        With a detector that remembers nothing, so that what follows is a function of
        the audio from here on and the stream can be taken up again here.
        """
        self._segmenter = Segmenter(self._config.endpoint_rules, origin_samples)
        self._detector = self._new_detector()

    def _hear(self, samples: Samples) -> None:
        if self._utterance_is_over:
            return
        self._audio.append(samples)
        while frames := self._frames_ahead():
            self._listen_to(frames)

    def _frames_ahead(self) -> int:
        """Return how many frames are to be listened to now, at most as many as at once."""
        if self._utterance_is_over:
            return 0
        ahead_samples = self._audio.end_samples - self._segmenter.position_samples
        return min(MOST_FRAMES, ahead_samples // FRAME_SAMPLES)

    def _listen_to(self, frames: int) -> None:
        """Follow so many frames, or those before the stretch that is listened to ends."""
        begin_samples = self._segmenter.position_samples
        samples = self._audio.view(begin_samples, begin_samples + frames * FRAME_SAMPLES)
        probabilities = self._detector.probabilities(samples)
        for frame, probability in zip(
            samples.reshape(-1, FRAME_SAMPLES), probabilities, strict=True
        ):
            loudness = float(np.dot(frame, frame)) / FRAME_SAMPLES
            step = self._segmenter.push(probability, loudness)
            self._follow(step)
            if step is Step.ENDPOINT and self._config.single_utterance:
                self._utterance_is_over = True
            if step in STRETCH_ENDS:
                return

    def _follow(self, step: Step) -> None:
        if step is Step.SPEECH_STARTED:
            self._tell([SpeechStarted(self._segmenter.speech_start_samples)])
        elif step is Step.IDLE:
            self._listen_from(self._segmenter.end_samples)
        elif step in (Step.ENDPOINT, Step.TOO_LONG):
            self._close(self._segmenter.end_samples)

    def _close_all(self) -> None:
        """End the open segment here, and any that is found behind its hangover."""
        self._hear(self._converter.flush())
        while self._segmenter.start_samples is not None:
            self._close(self._segmenter.cut_samples(self._audio.end_samples))
            self._hear(np.zeros(0, dtype=np.float32))

    def _close(self, end_samples: int) -> None:
        """End the open segment and listen on behind it."""
        start_samples = self._segmenter.start_samples
        if start_samples is None:
            raise RuntimeError("no segment is open")
        self._tell([SpeechEnded(min(self._segmenter.speech_end_samples, end_samples))])
        self._decoding.close(Segment(self._next_segment_id, start_samples, end_samples))
        self._next_segment_id += 1
        self._listen_from(end_samples)

    def _advance(self) -> None:
        self._tell(self._decoding.advance(self._open_segment()))
        due_since_samples = self._decoding.due_since_samples
        origin_samples = self._segmenter.origin_samples
        self._audio.discard_before(
            origin_samples if due_since_samples is None else due_since_samples
        )

    def _open_segment(self) -> OpenSegment | None:
        start_samples = self._segmenter.start_samples
        if start_samples is None:
            return None
        end_samples = self._segmenter.cut_samples(self._segmenter.position_samples)
        return OpenSegment(
            so_far=Segment(self._next_segment_id, start_samples, end_samples),
            speech_start_samples=self._segmenter.speech_start_samples,
            is_pausing=self._segmenter.is_pausing,
            is_settled=self._segmenter.is_settled,
            is_ending=self._segmenter.is_ending,
            may_be_ending=self._segmenter.may_be_ending,
        )
