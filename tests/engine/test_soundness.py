"""When a model is put to the test, and what becomes of it."""

from __future__ import annotations

import asyncio

from service.core.decoding import JobKind
from service.engine.soundness import Soundness
from service.recognizers.doubt import MAX_FAILURES


class Trial:
    """A model on trial: how often it was, and whether it holds."""

    def __init__(self, *, is_sound: bool) -> None:
        self.is_sound = is_sound
        self.trials = 0
        self.unsound = 0
        self.soundness = Soundness(self._try_out, self._on_unsound)

    async def fail(self, times: int) -> None:
        for _ in range(times):
            self.soundness.decoded(JobKind.FINAL, RuntimeError())
            self.soundness.decoded(JobKind.INTERIM, None)
            # The trial is a task of its own.
            for _ in range(3):
                await asyncio.sleep(0)

    async def _try_out(self) -> None:
        self.trials += 1
        if not self.is_sound:
            raise RuntimeError("illegal memory access")

    def _on_unsound(self) -> None:
        self.unsound += 1


async def test_a_model_that_fails_its_trial_is_unsound_once():
    """After some failures in a row it is tried; failing that is told once, and not tried again."""
    trial = Trial(is_sound=False)
    await trial.fail(MAX_FAILURES - 1)
    assert trial.trials == 0
    await trial.fail(1)
    assert (trial.trials, trial.unsound) == (1, 1)
    await trial.fail(5 * MAX_FAILURES)
    assert (trial.trials, trial.unsound) == (1, 1)


async def test_a_model_that_stands_its_trial_goes_on():
    """It is tried again only after as many failures more."""
    trial = Trial(is_sound=True)
    await trial.fail(3 * MAX_FAILURES)
    assert (trial.trials, trial.unsound) == (3, 0)


async def test_a_decode_that_works_clears_what_was_before():
    """Failures count in a row only; and it is not an interim that clears those of finals."""
    trial = Trial(is_sound=False)
    for _ in range(10):
        await trial.fail(MAX_FAILURES - 1)
        trial.soundness.decoded(JobKind.CONFIRMING_INTERIM, None)
    assert trial.trials == 0
