"""When each clip is spoken: fixed before the first sample is sent.

Lanes stand for people who speak at the same time, one after the other's clip. A clip begins when
the schedule says so, whether or not the server has answered the one before: a slow server meets
the same load as a fast one, and its slowness shows in the figures (an open loop).
"""

from collections.abc import Sequence
from dataclasses import dataclass

PAUSE_S = 1.0
"""Between two clips of a lane, so that a server in time has answered the first by then."""


@dataclass(frozen=True)
class Slot:
    """When one item is spoken."""

    item: int
    """Index of what is spoken."""

    start_s: float
    """From the begin of the run."""


def make_schedule(durations_s: Sequence[float], lanes: int) -> list[list[Slot]]:
    """Give each item to the lane that is free first, in their order.

    Lanes begin spread over the pause, so that their messages do not come all at once.
    """
    free_s = [PAUSE_S * lane / lanes for lane in range(lanes)]
    schedule: list[list[Slot]] = [[] for _ in range(lanes)]
    for item, duration_s in enumerate(durations_s):
        lane = min(range(lanes), key=free_s.__getitem__)
        schedule[lane].append(Slot(item, free_s[lane]))
        free_s[lane] += duration_s + PAUSE_S
    return [slots for slots in schedule if slots]
