"""How much of what was shown did not last.

Words are compared bare: a comma that comes and goes is not counted, a word is. `stable_text` is
compared as it stands, since the contract promises its characters. A segment that ends at its
longest duration may leave its last words to the next one; those are not lost, so the end of a
segment is compared with its final and the one that follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from client.evaluation.hearing import Hearing
from client.evaluation.words import bare_words, kept


@dataclass(frozen=True)
class Steadiness:
    """Counts, of one clip or of many."""

    unstable_words: int
    """Words of an interim that the next result of the segment has no more: changed or gone."""

    final_words: int
    retractions: int
    """Interims that do not begin with the `stable_text` of an earlier one of their segment."""

    stable_words: int
    """Words of each segment's last `stable_text`."""

    changed_stable_words: int
    """Those of them that the final does not hold in their place."""

    @property
    def unstable_partial_word_ratio(self) -> float | None:
        """UPWR: unstable words over the words of the finals (Shangguan and others, 2020)."""
        return self.unstable_words / self.final_words if self.final_words else None

    @property
    def changed_stable_share(self) -> float | None:
        """Share of the stable words that the final changed."""
        return self.changed_stable_words / self.stable_words if self.stable_words else None


def steadiness(hearing: Hearing) -> Steadiness:
    """Count for one clip. A segment whose final never came counts as one with an empty final."""
    finals = {final.segment: bare_words(final.text) for final in hearing.finals}
    unstable = retractions = stable_words = changed = 0
    for segment in {interim.segment for interim in hearing.interims}:
        shown: list[str] = []
        promised = ""
        for interim in hearing.interims:
            if interim.segment != segment:
                continue
            retractions += not interim.text.startswith(promised)
            promised = max(promised, interim.stable_text, key=len)
            words = bare_words(interim.text)
            unstable += len(shown) - kept(shown, words)
            shown = words
        following = min((other for other in finals if other > segment), default=segment + 1)
        lasting = [*finals.get(segment, []), *finals.get(following, [])]
        unstable += len(shown) - kept(shown, lasting)
        stable = bare_words(promised)
        stable_words += len(stable)
        changed += len(stable) - kept(stable, lasting)
    return Steadiness(
        unstable_words=unstable,
        final_words=sum(len(words) for words in finals.values()),
        retractions=retractions,
        stable_words=stable_words,
        changed_stable_words=changed,
    )


def total(clips: Sequence[Steadiness]) -> Steadiness:
    """Add up the counts of some clips."""
    return Steadiness(
        unstable_words=sum(clip.unstable_words for clip in clips),
        final_words=sum(clip.final_words for clip in clips),
        retractions=sum(clip.retractions for clip in clips),
        stable_words=sum(clip.stable_words for clip in clips),
        changed_stable_words=sum(clip.changed_stable_words for clip in clips),
    )
