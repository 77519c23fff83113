"""When the interims of a growing segment are due, and what they show."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.agreement import Agreement
from service.core.capabilities import CONFIRM_INTERVAL_S
from service.core.events import InterimResult
from service.core.hypothesis import SAMPLE_RATE_HZ, Hypothesis

FIRST_INTERIM = 0.5
"""Part of the interval after which a segment's first interim is tried, and tried again
until one has words: a segment's begin is short and cheap to hear."""


@dataclass(frozen=True, slots=True)
class InterimRules:
    """How often a growing segment is heard."""

    interval_s: float = 0.5
    """New audio between two interims of a segment, at least."""
    confirm_interval_s: float | None = CONFIRM_INTERVAL_S
    """A segment is heard as a final after so much of it, again and again; None if it is not."""
    confirm_lookahead_s: float = 0.0
    """So much later each time."""


class GrowingSegment:
    """What has been shown of one segment before its final."""

    def __init__(self, segment_id: int, rules: InterimRules) -> None:
        """Begin a segment."""
        self.segment_id = segment_id
        self._rules = rules
        self._agreement = Agreement(confirms=rules.confirm_interval_s is not None)
        self._confirmed_samples = 0
        self._has_shown = False

    @property
    def agreed_words(self) -> tuple[str, ...]:
        """Words that a recognizer may go on from."""
        return self._agreement.agreed_words

    def is_due(self, new_samples: int) -> bool:
        """Whether so much audio behind the last interim is enough for another."""
        part = 1.0 if self._has_shown else FIRST_INTERIM
        return new_samples >= round(part * self._rules.interval_s * SAMPLE_RATE_HZ)

    def is_confirming_due(self, length_samples: int) -> bool:
        """Whether an interim that hears so much of the segment is to be a confirming one."""
        return self._confirmable(length_samples) > self._confirmable(self._confirmed_samples)

    def _confirmable(self, length_samples: int) -> int:
        """Count the intervals that a confirming decode of so much can bear out."""
        if self._rules.confirm_interval_s is None:
            return 0
        length_s = length_samples / SAMPLE_RATE_HZ - self._rules.confirm_lookahead_s
        return max(0, int(length_s / self._rules.confirm_interval_s))

    def result(
        self,
        hypothesis: Hypothesis,
        start_samples: int,
        end_samples: int,
        *,
        is_confirming: bool,
        is_silent: bool,
    ) -> InterimResult | None:
        """Return what to show of a hypothesis; None if there is nothing to show.

        Args:
            hypothesis: What was heard.
            start_samples: Begin of what was heard.
            end_samples: End of what was heard.
            is_confirming: It was heard as a final is.
            is_silent: It ends in silence.
        """
        words = [word.text for word in hypothesis.words]
        agreement = self._agreement
        if is_confirming:
            shown = agreement.confirm(words, is_silent=is_silent)
            self._confirmed_samples = end_samples - start_samples
        else:
            shown = agreement.interim(words)
        if not shown:
            return None
        self._has_shown = True
        return InterimResult(
            segment_id=self.segment_id,
            text=" ".join(shown),
            stable_text=" ".join(agreement.stable_words),
            start_samples=start_samples,
            end_samples=end_samples,
            confidence=hypothesis.confidence,
        )
