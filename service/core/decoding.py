"""What one stream wants decoded next, and what becomes of the answers.

Finals are decoded one after the other, for each hears the texts of those before it.
While none is due, a growing segment is decoded for interims, and a segment that is
about to end is decoded ahead of its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from service.core.events import Event, FinalResult, FlushDone
from service.core.history import SampleBuffer, SpeechHistory
from service.core.hypothesis import SAMPLE_RATE_HZ, ContextSegment, Hypothesis, Window
from service.core.interims import GrowingSegment, InterimRules

MOST_IN_VAIN = 4
IN_VAIN_WITHIN_S = 8.0
"""Of so much of a stream's audio, at most so many finals decoded ahead of time are thrown away,
however often its speaker hesitates: a pause behind them is waited out. In read speech
about one in ten seconds is (benchmarks.amplification)."""


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """Which decodes a stream wants, and what its recognizer allows."""

    longest_window_s: float
    interims: InterimRules | None = None
    """None where no interims are wanted."""
    left_context: bool = False
    """Give the recognizer the segments before."""
    most_context_s: float | None = None
    speculation: bool = False
    """Decode a final while the silence that ends its segment is awaited."""
    hear_interval_s: float | None = None
    """Have a segment heard after so much new audio, wanted interims or not, and to its end
    while the silence that ends it is awaited: for recognizers that carry state, whose finals
    then have little left to hear. None: heard for interims and finals alone."""


class JobKind(Enum):
    """What a decode is for."""

    INTERIM = auto()
    CONFIRMING_INTERIM = auto()
    """Hears a growing segment as its final will."""
    FINAL = auto()
    SPECULATIVE_FINAL = auto()
    """A final of a segment that may yet go on."""


INTERIMS = (JobKind.INTERIM, JobKind.CONFIRMING_INTERIM)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the stream's clock that was spoken."""

    segment_id: int
    start_samples: int
    end_samples: int


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """The segment that is being spoken."""

    so_far: Segment
    """What can be heard of it; all of it belongs to it unless it is cut at its longest."""
    speech_start_samples: int
    is_pausing: bool
    """It ends in silence."""
    is_settled: bool
    """It ends where it is now unless speech goes on."""
    is_ending: bool
    """Speech will hardly go on."""
    may_be_ending: bool
    """Speech goes on more often than when it is ending, which it soon will be."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodeJob:
    """A decode that the stream wants done."""

    kind: JobKind
    segment: Segment
    window: Window


class Decoding:
    """The decodes of one stream; at most one is out at a time.

    Methods that return events go on only while these are taken, so that whoever takes one finds
    everything as it was when that happened.
    """

    def __init__(self, rules: DecodingRules, audio: SampleBuffer) -> None:
        """Decode from this buffer."""
        self._rules = rules
        self._audio = audio
        most_context_s = rules.most_context_s or rules.longest_window_s
        self._history = SpeechHistory(
            round(rules.longest_window_s * SAMPLE_RATE_HZ), round(most_context_s * SAMPLE_RATE_HZ)
        )
        self._due: deque[tuple[Segment, list[FlushDone]]] = deque()
        """Segments that want their finals, each with the flushes that its final answers."""
        self._waiting_flushes = 0
        self._open: OpenSegment | None = None
        self._growing: GrowingSegment | None = None
        self._heard_samples = 0
        self._ahead: tuple[Segment, Hypothesis] | None = None
        self._in_vain_samples: deque[int] = deque(maxlen=MOST_IN_VAIN)
        """Ends of the newest segments that went on behind their final ahead of time."""
        self._job: DecodeJob | None = None

    @property
    def due_since_samples(self) -> int | None:
        """Begin of the oldest segment that still wants its final; None if none does."""
        return self._due[0][0].start_samples if self._due else None

    @property
    def due_segment_id(self) -> int | None:
        """The oldest segment that still wants its final; None if none does."""
        return self._due[0][0].segment_id if self._due else None

    @property
    def waiting_flushes(self) -> int:
        """Flushes that are answered once the finals before them are out."""
        return self._waiting_flushes

    @property
    def heard_samples(self) -> int:
        """End of the audio that was heard for the newest interim or final."""
        return self._heard_samples

    @property
    def is_idle(self) -> bool:
        """Whether nothing is due and nothing is out."""
        return not self._due and self._job is None

    def close(self, segment: Segment) -> None:
        """Want the final of a segment that has ended."""
        self._open = None
        self._due.append((segment, []))

    def mark(self, flush: FlushDone) -> Iterator[Event]:
        """Say this once all finals so far are out."""
        if not self._due:
            yield flush
            return
        _, flushes = self._due[-1]
        flushes.append(flush)
        self._waiting_flushes += 1

    def advance(self, open_segment: OpenSegment | None) -> Iterator[Event]:
        """Answer what can be answered."""
        self._open = open_segment
        while self._due and self._ahead is not None and self._ahead[0] == self._due[0][0]:
            yield from self._finalize_next(self._ahead[1])

    def wanted(self, *, has_time: bool = True) -> JobKind | None:
        """Return what is to be decoded next; None if nothing is, or a job is out.

        Args:
            has_time: It may be what is more likely to be in vain: nobody waits for the time.
        """
        wanted = self._next(has_time=has_time)
        return None if wanted is None else wanted[0]

    def take_job(self, *, has_time: bool = True, may_confirm: bool = True) -> DecodeJob | None:
        """Return the job that is to be done now, of all audio so far; None if there is none.

        Args:
            has_time: As it was wanted.
            may_confirm: An interim may be a confirming one, which costs as much as a final.
        """
        wanted = self._next(has_time=has_time)
        if wanted is None:
            return None
        kind, segment = wanted
        if kind is JobKind.CONFIRMING_INTERIM and not may_confirm:
            kind = JobKind.INTERIM
        if kind is JobKind.SPECULATIVE_FINAL:
            self._throw_away()
        self._job = self._job_for(kind, segment)
        return self._job

    def answer(self, job: DecodeJob, hypothesis: Hypothesis) -> Iterator[Event]:
        """Take the result of the job that is out."""
        if self._job is not job:
            raise ValueError("this job is not the one that is out")
        self._job = None
        if job.kind in INTERIMS:
            self._heard_samples = max(self._heard_samples, job.segment.end_samples)
        if hypothesis.is_doubtful:
            return
        if job.kind is JobKind.FINAL:
            self._throw_away()
            yield from self._finalize_next(hypothesis)
            return
        if job.kind is JobKind.SPECULATIVE_FINAL:
            self._ahead = (job.segment, hypothesis)
        if self._is_open(job.segment):
            yield from self._show(job, hypothesis)

    def _next(self, *, has_time: bool) -> tuple[JobKind, Segment] | None:
        if self._job is not None:
            return None
        if self._due:
            return JobKind.FINAL, self._due[0][0]
        if self._open is None:
            return None
        segment = self._open.so_far
        is_ending = self._open.is_ending or (has_time and self._open.may_be_ending)
        if is_ending and self._may_foresee(segment):
            is_done = self._ahead is not None and self._ahead[0] == segment
            return None if is_done else (JobKind.SPECULATIVE_FINAL, segment)
        return self._next_interim(self._open)

    def _may_foresee(self, segment: Segment) -> bool:
        """Whether a final may be decoded ahead of time, though it may be in vain."""
        if not self._rules.speculation:
            return False
        oldest = self._in_vain_samples[0] if len(self._in_vain_samples) == MOST_IN_VAIN else None
        within_samples = round(IN_VAIN_WITHIN_S * SAMPLE_RATE_HZ)
        return oldest is None or segment.end_samples - oldest >= within_samples

    def _throw_away(self) -> None:
        """Let go of the final that was decoded ahead of time, if there is one."""
        if self._ahead is not None:
            self._in_vain_samples.append(self._ahead[0].end_samples)
            self._ahead = None

    def _next_interim(self, open_segment: OpenSegment) -> tuple[JobKind, Segment] | None:
        segment, begin_samples = open_segment.so_far, open_segment.speech_start_samples
        growing = self._growing_segment(segment)
        new_samples = segment.end_samples - max(self._heard_samples, begin_samples)
        if growing is None or not growing.is_due(new_samples):
            is_due = self._is_hearing_due(new_samples, is_settled=open_segment.is_settled)
            return (JobKind.INTERIM, segment) if is_due else None
        # In a pause the final is about to be decoded ahead of time, which confirms as well.
        is_confirming = not open_segment.is_pausing and growing.is_confirming_due(
            segment.end_samples - segment.start_samples
        )
        return JobKind.CONFIRMING_INTERIM if is_confirming else JobKind.INTERIM, segment

    def _is_hearing_due(self, new_samples: int, *, is_settled: bool) -> bool:
        """Whether so much audio is to be heard for no other end than to have heard it."""
        interval_s = self._rules.hear_interval_s
        if interval_s is None:
            return False
        return new_samples >= (1 if is_settled else round(interval_s * SAMPLE_RATE_HZ))

    def _job_for(self, kind: JobKind, segment: Segment) -> DecodeJob:
        context = self._history.before(segment.end_samples - segment.start_samples)
        growing = self._growing_segment(segment) if kind is JobKind.INTERIM else None
        agreed = growing.agreed_words if growing is not None else ()
        samples = self._audio.copy(segment.start_samples, segment.end_samples)
        is_growing = kind is JobKind.CONFIRMING_INTERIM
        window = Window(samples, context, agreed, is_growing, self._history.memory)
        return DecodeJob(kind, segment, window)

    def _is_open(self, segment: Segment) -> bool:
        return self._open is not None and self._open.so_far.segment_id == segment.segment_id

    def _growing_segment(self, segment: Segment) -> GrowingSegment | None:
        """What the interims of the open segment have shown; None if none are wanted."""
        rules = self._rules.interims
        if rules is None:
            return None
        if self._growing is None or self._growing.segment_id != segment.segment_id:
            self._growing = GrowingSegment(segment.segment_id, rules)
        return self._growing

    def _show(self, job: DecodeJob, hypothesis: Hypothesis) -> Iterator[Event]:
        self._heard_samples = max(self._heard_samples, job.segment.end_samples)
        growing = self._growing_segment(job.segment)
        if growing is None:
            return
        result = growing.result(
            hypothesis,
            job.segment.start_samples,
            job.segment.end_samples,
            is_confirming=job.kind is not JobKind.INTERIM,
            is_silent=job.kind is JobKind.SPECULATIVE_FINAL,
        )
        if result is not None:
            yield result

    def _finalize_next(self, hypothesis: Hypothesis) -> Iterator[Event]:
        segment, flushes = self._due.popleft()
        self._heard_samples = max(self._heard_samples, segment.end_samples)
        self._ahead = None
        if self._rules.left_context:
            samples = self._audio.copy(segment.start_samples, segment.end_samples)
            self._history.append(ContextSegment(samples, hypothesis.text), hypothesis.memory)
        if hypothesis.words:
            yield _final_result(segment, hypothesis)
        self._waiting_flushes -= len(flushes)
        yield from flushes


def _final_result(segment: Segment, hypothesis: Hypothesis) -> FinalResult:
    return FinalResult(
        segment_id=segment.segment_id,
        text=hypothesis.text,
        words=hypothesis.words,
        start_samples=segment.start_samples,
        end_samples=segment.end_samples,
        confidence=hypothesis.confidence,
        alternatives=hypothesis.alternatives,
    )
