"""The engine under load, in virtual time: what becomes rarer, and what does not."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import numpy as np
import pytest

from benchmarks.load_scripts import Record, Script
from benchmarks.measured_costs import Costs, Measured, Replayed
from benchmarks.schedule import STREAM_CORES, play
from benchmarks.virtual_time import SharedCores, VirtualLoop
from service.core.capabilities import Capabilities
from service.core.vad import EnergyDetector
from service.engine.scheduler import RARE_S
from service.recognizers.scripted import ScriptedRecognizer
from tests.benchmarks.spoken import clip, script

INTERIM_S, FINAL_S = 0.08, 0.4
"""As Whisper tiny.en takes on one core."""
DECODES, CORES = 2, 2.0


def _costs() -> Costs:
    capabilities = Capabilities(
        languages=("en",), longest_window_s=28.0, left_context=True, word_offsets=False
    )
    return Costs(capabilities, interims=[(1.0, INTERIM_S)], confirming=[(1.0, FINAL_S)])


def _streams(count: int) -> list[Script]:
    """Return streams of long sentences, begun one after the other."""
    return [
        script(*[clip(6.0, 0.2)] * 4, start_s=index * 6.2 / max(1, count)) for index in range(count)
    ]


def _played(count: int) -> list[Record]:
    costs = _costs()
    cores = CORES + count * STREAM_CORES
    records, _ = play(_streams(count), Replayed(costs), costs, EnergyDetector, DECODES, cores)
    return records


def _percentile(records: list[Record], name: str, percent: float) -> float:
    return float(np.percentile([x for one in records for x in getattr(one, name)], percent))


def test_a_stream_alone_is_served_at_its_cadence():
    """Interims twice a second, and a final takes what its decode does, and little more."""
    records = _played(1)
    assert _percentile(records, "interim_gap_s", 50) == pytest.approx(0.5, abs=0.11)
    assert _percentile(records, "final_s", 95) <= FINAL_S + INTERIM_S + 0.1


def test_under_load_interims_become_rarer_and_finals_hardly_later():
    """Where interims would want twice the cores, finals go on to take about what they did."""
    few, many = _played(2), _played(24)
    assert 24 * 2 * INTERIM_S + 24 / 6.2 * FINAL_S > 2 * CORES
    assert _percentile(many, "interim_gap_s", 50) > 2 * _percentile(few, "interim_gap_s", 50)
    assert _percentile(many, "final_s", 95) <= _percentile(few, "final_s", 95) + FINAL_S
    assert all(len(one.final_s) == 4 for one in many)


def test_no_stream_is_left_without_interims():
    """Under such load each stream still has one about every RARE_S."""
    for one in _played(24):
        assert max(one.interim_gap_s) <= RARE_S + 2.0
        assert len(one.interim_lag_s) >= 4


@pytest.mark.parametrize(("cost_s", "most"), [(0.01, 5), (1.0, 2)])
def test_confirming_interims_take_a_tenth_of_a_streams_time(cost_s, most):
    """What costs as much as a final is done every few seconds, and rarely if it costs much."""
    costs = _costs()
    costs.confirming = [(1.0, cost_s)]
    finals: list[float] = []

    class Counting(Replayed):
        def open_stream(self, _):
            return self

        def final(self, window):
            finals.append(len(window.samples) / 16_000)
            return super().final(window)

    # Without a pause, and with the one that ends it decoded ahead of time or not.
    play([script(clip(14.0))], Counting(costs), costs, EnergyDetector, DECODES, CORES)
    confirming = [heard_s for heard_s in finals if heard_s < 13.5]
    assert 1 <= len(confirming) <= most
    assert len(confirming) >= 3 or cost_s > 0.1


def test_what_is_said_does_not_depend_on_the_load():
    """Each stream's finals are those that it gets alone."""
    scripts = _streams(6)
    costs = Costs(ScriptedRecognizer().capabilities)
    measured = Measured(ScriptedRecognizer(), costs)
    alone = [play([one], measured, costs, EnergyDetector, 1, CORES)[0][0] for one in scripts]
    costs.interims = [(1.0, INTERIM_S)]
    longest_s = max(cost_s for _, cost_s in costs.finals.values())
    costs.scale = FINAL_S / (longest_s + 1e-6)
    together, _ = play(scripts, Replayed(costs), costs, EnergyDetector, DECODES, CORES)
    assert [one.finals for one in together] == [one.finals for one in alone]
    assert all(one.finals for one in alone)


def test_time_passes_only_where_something_waits_for_it():
    """An hour's wait is over at once, and the clock says that it was an hour."""
    loop = VirtualLoop()
    loop.run_until_complete(asyncio.sleep(3_600))
    assert loop.time() == pytest.approx(3_600)
    loop.close()


@pytest.mark.parametrize(("cores", "end_s"), [(2.0, [1.0, 2.0]), (1.0, [2.0, 3.0])])
def test_decodes_share_the_cores(cores, end_s):
    """Two at once take twice as long on one core as on two, each until its work is done."""
    loop = VirtualLoop()
    costs = iter([1.0, 2.0])
    pool = SharedCores(loop, 2, lambda: next(costs), cores)
    ended: list[float] = []

    async def run() -> None:
        futures = [Future(), Future()]
        for future in futures:
            pool.submit(lambda: None, future, lambda: ended.append(loop.time()))
        await asyncio.gather(*map(asyncio.wrap_future, futures))

    loop.run_until_complete(run())
    assert ended == pytest.approx(end_s)
    assert pool.cpu_s == 3.0
    loop.close()


def test_a_loop_that_waits_for_nothing_says_so():
    """What would hang for ever raises: nothing else happens in virtual time."""
    loop = VirtualLoop()
    with pytest.raises(RuntimeError, match="everything waits"):
        loop.run_until_complete(loop.create_future())
    loop.close()
