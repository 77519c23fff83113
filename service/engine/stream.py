"""A stream in flight: its session, its decodes in worker threads, its outbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from service.core.decoding import INTERIMS, DecodeJob, JobKind
from service.core.events import Cursors, StreamEnding, Update
from service.core.hypothesis import DecodeOptions, Hypothesis
from service.core.session import RecognitionSession
from service.engine.observer import NOBODY, Foresight, StreamObserver, Timed
from service.engine.outbox import Outbox
from service.engine.scheduler import URGENCY, Scheduler
from service.engine.soundness import Soundness
from service.recognizers.base import Recognizer, RecognizerStream

MAX_BACKLOG_S = 60.0
"""Audio that may wait for its finals before no more is taken, unless set otherwise: two of
the longest segments, so that the next one is heard while the last one is decoded."""

MAX_UNREAD_UPDATES = 1_000
"""Updates that may wait, for a slow reader or for a final before them, before no more audio is
taken."""

SLICE_BYTES = 16_384
"""Audio that is listened to at a stretch before other streams have their turn:
half a second of 16 kHz PCM, about 1 ms of voice activity detection."""


CONFIRMING_SHARE = 0.1
"""Part of a stream's time that its confirming interims may take of a thread. They cost as much
as finals: with tiny.en in full context 0.5 s, and every few seconds such a one would be most of
what a stream costs; with larger models, more than it may cost."""


class LiveStream:
    """One stream. Audio goes in by awaiting, updates come out by iterating.

    All methods belong to the event loop; only decodes run in threads.
    """

    def __init__(
        self,
        session: RecognitionSession,
        recognizer: Recognizer,
        options: DecodeOptions,
        scheduler: Scheduler,
        max_backlog_s: float = MAX_BACKLOG_S,
        caller: str = "",
        observer: StreamObserver = NOBODY,
        soundness: Soundness | None = None,
    ) -> None:
        """Begin with nothing heard.

        Args:
            session: What has been heard, and what is to be decoded.
            recognizer: What decodes.
            options: What the stream asked of it.
            scheduler: The recognizer's threads.
            max_backlog_s: Audio that may wait for its finals.
            caller: Whose share of the threads it takes.
            observer: Who is told of it.
            soundness: The recognizer's, which is told whether decodes work.
        """
        self._observer = observer
        self._soundness = soundness
        self._foresight = Foresight(observer)
        self._caller = caller
        self._max_backlog_s = max_backlog_s
        self._session = session
        self._recognizer = recognizer
        self._options = options
        self._scheduler = scheduler
        self._outbox = Outbox()
        self._progress = asyncio.Event()
        self._segment: tuple[int, RecognizerStream] | None = None
        self._turn: tuple[JobKind, Future[Hypothesis]] | None = None
        self._job: DecodeJob | None = None
        self._due: tuple[int | None, float] = None, 0.0
        """The segment that wants its final next, and since when it could have been decoded."""
        self._interim_due_s: float | None = None
        """Since when an interim has been wanted, and nothing been decoded."""
        self._begun_s = self._confirm_after_s = 0.0
        """When the job that is out was begun, and when one may confirm again."""
        self._timed: Timed | None = None
        self._lined_up_s = 0.0
        self._is_finished = False
        self._is_closed = False
        self._error_at_end: Exception | None = None

    @property
    def cursors(self) -> Cursors:
        """How far the stream has come."""
        return self._session.cursors

    @property
    def received_s(self) -> float:
        """Audio that has come; may be asked from any thread."""
        return self._session.received_s

    async def audio(self, data: bytes) -> None:
        """Take audio; waits while too much is unanswered.

        Raises:
            ClientError: the audio is not what the config says.
        """
        for begin in range(0, len(data), SLICE_BYTES):
            # Behind the last slice the next message is waited for, which is a turn for others.
            if begin:
                await asyncio.sleep(0)
            await self._room()
            if not self._is_finished:
                self._session.feed(data[begin : begin + SLICE_BYTES])
                self._pump()

    async def silence(self, duration_ns: int) -> None:
        """Take silence, rounded down to whole samples; waits while too much is unanswered."""
        rate_hz = self._session.sample_rate_hz
        frames = duration_ns * rate_hz // 1_000_000_000
        # A second at a time, so that a long silence takes no memory of its length.
        for begin in range(0, frames, rate_hz):
            await self._room()
            if not self._is_finished:
                self._session.silence(min(rate_hz, frames - begin))
                self._pump()
            await asyncio.sleep(0)

    async def flush(self, flush_id: str) -> None:
        """Make final what has been said so far, and say so."""
        await self._room()
        if not self._is_finished:
            self._session.flush(flush_id)
            self._pump()

    async def finish(self) -> None:
        """Make all audio final; the updates end when it is."""
        await self._room()
        self._finish()

    def warn(self, reason: str, time_left_s: float) -> None:
        """Tell the client that the stream will be ended, for this reason, after this time."""
        self._outbox.extend([Update(StreamEnding(reason, time_left_s), self.cursors)])

    def interrupt(self, error: Exception) -> None:
        """Take no more audio, make final what there is, then end the updates with this error."""
        self._error_at_end = self._error_at_end or error
        self._finish()

    def fail(self, error: BaseException) -> None:
        """End the updates with this error."""
        self._outbox.fail(error)

    async def updates(self) -> AsyncIterator[Update]:
        """Iterate over what happens until everything is final.

        Raises:
            Exception: what ``fail`` was given, or what a decode raised.
        """
        async for update in self._outbox:
            self._progress.set()
            yield update

    async def close(self) -> None:
        """Stop, and free the recognizer's state once no thread uses it. Idempotent."""
        self._is_closed = True
        if self._turn is not None:
            _, future = self._turn
            if not future.cancel():
                # What it raises is nobody's any more.
                await asyncio.gather(asyncio.wrap_future(future), return_exceptions=True)
            self._turn = None
        self._leave_segment()
        self._foresight.end(is_done=self._session.is_done)

    def _finish(self) -> None:
        if not self._is_finished:
            self._is_finished = True
            self._session.finish()
            self._pump()

    async def _room(self) -> None:
        while not (self._is_closed or self._is_finished or self._has_room):
            self._progress.clear()
            await self._progress.wait()

    @property
    def _has_room(self) -> bool:
        waiting = len(self._outbox) + self._session.waiting_flushes
        return self._session.backlog_s <= self._max_backlog_s and waiting <= MAX_UNREAD_UPDATES

    def _pump(self) -> None:
        """Pass on what the session has to tell, and start what it wants done."""
        if self._is_closed:
            return
        updates = self._session.take_updates()
        for update in updates:
            self._observer.happened(update.event)
        self._outbox.extend(updates)
        due = self._session.due_segment_id
        if due != self._due[0]:
            self._due = due, self._scheduler.now_s
        if self._job is None:
            self._line_up(self._session.wanted(has_time=self._scheduler.has_time))
        if self._turn is None and self._session.is_done:
            if self._error_at_end is not None:
                self._outbox.fail(self._error_at_end)
            self._outbox.close()

    def _line_up(self, kind: JobKind | None) -> None:
        """See that the stream waits for a thread with the urgency of what it wants decoded."""
        if self._turn is not None:
            waits_for, waiting = self._turn
            if kind is not None and URGENCY[kind] == URGENCY[waits_for]:
                return
            waiting.cancel()
            self._turn = None
        if kind is None:
            return
        self._lined_up_s = time.monotonic()
        future = self._scheduler.line_up(kind, self._caller, self._begin, self._due_s(kind))
        self._turn = (kind, future)
        loop = asyncio.get_running_loop()

        def done(future: Future[Hypothesis]) -> None:
            # The loop is gone when a process ends with decodes running.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._on_done, future)

        future.add_done_callback(done)

    def _due_s(self, kind: JobKind) -> float | None:
        """Since when what is wanted could have been decoded; None is now."""
        if kind is JobKind.FINAL:
            return self._due[1]
        if kind not in INTERIMS:
            return None
        if self._interim_due_s is None:
            self._interim_due_s = self._scheduler.now_s
        return self._interim_due_s

    def _begin(self, has_time: bool) -> Callable[[], Hypothesis] | None:  # noqa: FBT001
        """Take the job that is to be done now."""
        self._begun_s = self._scheduler.now_s
        may_confirm = has_time and self._begun_s >= self._confirm_after_s
        # What it was lined up for is what it gets, though others may have come meanwhile.
        is_foreseeing = self._turn is not None and self._turn[0] is JobKind.SPECULATIVE_FINAL
        self._job = None
        if not self._is_closed:
            self._job = self._session.take_job(
                has_time=has_time or is_foreseeing, may_confirm=may_confirm
            )
        if self._job is None:
            return None
        self._interim_due_s = None
        self._foresight.wanted(self._job)
        stream = self._segment_stream(self._job.segment.segment_id)
        decode = stream.interim if self._job.kind is JobKind.INTERIM else stream.final
        self._timed = Timed(self._job, partial(decode, self._job.window), self._lined_up_s)
        return self._timed

    def _on_done(self, future: Future[Hypothesis]) -> None:
        if future.cancelled():
            return
        if self._timed is not None:
            # Also of a stream that has ended meanwhile: it was work all the same.
            report = self._timed.report
            self._observer.decoded(report)
            if self._soundness is not None:
                self._soundness.decoded(report.kind, future.exception())
            self._timed = None
        if self._is_closed:
            return
        job, self._job, self._turn = self._job, None, None
        error = future.exception()
        if error is not None:
            self._outbox.fail(error)
            return
        if job is not None:
            if job.kind is JobKind.CONFIRMING_INTERIM:
                spent_s = self._scheduler.now_s - self._begun_s
                self._confirm_after_s = self._begun_s + spent_s / CONFIRMING_SHARE
            self._foresight.answered(job)
            self._session.answer(job, future.result())
        self._pump()
        self._progress.set()

    def _segment_stream(self, segment_id: int) -> RecognizerStream:
        if self._segment is None or self._segment[0] != segment_id:
            self._leave_segment()
            self._segment = (segment_id, self._recognizer.open_stream(self._options))
        return self._segment[1]

    def _leave_segment(self) -> None:
        if self._segment is not None:
            self._segment[1].close()
            self._segment = None
