"""Runs a session by hand, without threads or a clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.core.audio import AudioFormat
from service.core.decoding import DecodeJob, DecodingRules, JobKind
from service.core.endpointing import Endpointing
from service.core.events import FinalResult, InterimResult, Update
from service.core.hypothesis import DecodeOptions
from service.core.interims import InterimRules
from service.core.session import RecognitionSession, SessionConfig
from service.core.vad import DetectorFactory, EnergyDetector
from service.recognizers.base import Recognizer, RecognizerStream
from service.recognizers.scripted import ScriptedRecognizer


@dataclass
class Driver:
    """A session whose jobs are answered when the test says so."""

    endpointing: Endpointing = field(default_factory=Endpointing)
    audio_format: AudioFormat = field(default_factory=AudioFormat)
    recognizer: Recognizer = field(default_factory=ScriptedRecognizer)
    new_detector: DetectorFactory = EnergyDetector
    interim_results: bool = True
    speculation: bool | None = None
    """None: as the engine decides for the recognizer."""
    hears_ahead: bool | None = None
    """Hears a growing segment without being asked for interims; None as above."""
    options: DecodeOptions = field(default_factory=lambda: DecodeOptions(word_offsets=True))
    updates: list[Update] = field(default_factory=list)
    done: list[DecodeJob] = field(default_factory=list)

    def __post_init__(self) -> None:
        capabilities = self.recognizer.capabilities
        native = capabilities.native_streaming
        hears_ahead = native if self.hears_ahead is None else self.hears_ahead
        rules = InterimRules(
            confirm_interval_s=None if native else capabilities.confirm_interval_s,
            confirm_lookahead_s=capabilities.confirm_lookahead_s,
        )
        config = SessionConfig(
            audio_format=self.audio_format,
            endpoint_rules=self.endpointing.resolve(capabilities.longest_window_s),
            single_utterance=self.endpointing.single_utterance,
            decoding_rules=DecodingRules(
                longest_window_s=capabilities.longest_window_s,
                interims=rules if self.interim_results else None,
                left_context=capabilities.left_context,
                most_context_s=capabilities.most_context_s,
                speculation=not native if self.speculation is None else self.speculation,
                hear_interval_s=0.5 if hears_ahead else None,
            ),
        )
        self.session = RecognitionSession(config, self.new_detector)
        self.job: DecodeJob | None = None
        self.segment: tuple[int, RecognizerStream] | None = None

    def work(self) -> None:
        """Answer jobs until none is wanted."""
        while self.work_once():
            pass

    def work_once(self) -> bool:
        """Answer one job; False if there was none."""
        self.job = self.job or self.session.take_job()
        if self.job is None:
            self.collect()
            return False
        job, self.job = self.job, None
        stream = self.stream_for(job.segment.segment_id)
        decode = stream.interim if job.kind is JobKind.INTERIM else stream.final
        self.session.answer(job, decode(job.window))
        self.done.append(job)
        self.collect()
        return True

    def stream_for(self, segment_id: int) -> RecognizerStream:
        """Return the segment's own stream, as the engine does."""
        if self.segment is None or self.segment[0] != segment_id:
            self.close()
            self.segment = (segment_id, self.recognizer.open_stream(self.options))
        return self.segment[1]

    def close(self) -> None:
        """Free the recognizer's stream."""
        if self.segment is not None:
            self.segment[1].close()
            self.segment = None

    def collect(self) -> None:
        """Take what the session has to tell."""
        self.updates += self.session.take_updates()

    def run(
        self, pieces: Sequence[bytes], between: Callable[[Driver], object] = lambda driver: None
    ) -> list[FinalResult]:
        """Feed pieces, do something after each, finish, and return the finals."""
        for piece in pieces:
            self.session.feed(piece)
            between(self)
        self.session.finish()
        self.work()
        self.close()
        assert self.session.is_done
        return self.finals

    @property
    def finals(self) -> list[FinalResult]:
        return [u.event for u in self.updates if isinstance(u.event, FinalResult)]

    @property
    def interims(self) -> list[InterimResult]:
        return [u.event for u in self.updates if isinstance(u.event, InterimResult)]

    @property
    def text(self) -> str:
        return " ".join(final.text for final in self.finals)
