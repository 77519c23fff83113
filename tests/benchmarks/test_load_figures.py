"""From records to figures."""

from dataclasses import replace

import pytest

from benchmarks.load_figures import Cost, Figures, figures_of, medians, most_held
from benchmarks.load_scripts import Record
from tests.benchmarks.spoken import clip, script

SAID = [
    script(clip(1.0, text="red car"), clip(1.0, text="tree")),
    script(clip(2.0, text="sky")),
]


def records() -> list[Record]:
    return [
        Record(
            interim_lag_s=[0.1, 0.3],
            final_s=[0.2, 0.4],
            lateness_s=[0.0],
            finals=["red car", "x"],
        ),
        Record(interim_lag_s=[0.2], final_s=[0.3], lateness_s=[0.0], finals=["sky"]),
    ]


def good() -> Figures:
    return figures_of("ours", 0, SAID, records(), records(), Cost())


def test_figures_are_over_all_streams():
    """Percentiles are taken of the times of all streams, and costs are for the audio of all."""
    cost = Cost(1.0, 6_000_000, 4.0, 6.0, 4.0)
    figures = figures_of("ours", 0, SAID, records(), records(), cost)
    assert figures.interim_lag_p50_s == pytest.approx(0.2)
    assert figures.final_p50_s == pytest.approx(0.3)
    assert figures.final_p99_s == pytest.approx(0.398)
    assert figures.wer_percent == pytest.approx(25.0)
    assert figures.cpu_s_per_s == pytest.approx(0.25)
    assert figures.memory_mb_per_stream == pytest.approx(3.0)
    assert figures.amplification == pytest.approx(2.5)
    assert figures.amplification_interims == pytest.approx(1.5)
    assert figures.is_held


def test_what_is_not_known_is_a_dash():
    """Of a server whose process and metrics are out of reach, the line has dashes."""
    figures = figures_of("server", 0, SAID, records(), None, Cost(), has_words=False)
    assert figures.cpu_s_per_s is None
    assert figures.amplification is None
    assert figures.changed is None
    assert "CPU - s/s  memory - MB/stream  A - (- interims)" in figures.line
    assert "WER - %" in figures.line


def test_without_audio_received_there_is_no_amplification():
    """Nothing is divided by nothing."""
    figures = figures_of("ours", 0, SAID, records(), None, Cost(0.0, 0, 0.0, 0.0, 0.0))
    assert figures.amplification is None
    assert figures.cpu_s_per_s == 0.0


def test_losses_and_changes_are_counted():
    """A clip without a final is lost, a stream that broke off failed, and a stream with other
    finals than alone changed."""
    broken = records()
    broken[0].final_s.pop()
    broken[1].failure = "UNAVAILABLE: gone"
    broken[1].finals = []
    figures = figures_of("ours", 0, SAID, broken, records(), Cost())
    assert (figures.failed, figures.lost, figures.changed) == (1, 1, 1)
    assert not figures.is_held


@pytest.mark.parametrize(
    "change",
    [
        {"interim_lag_p99_s": 1.01},
        {"interim_lag_p99_s": None},
        {"final_p95_s": 0.71},
        {"final_p95_s": None},
        {"failed": 1},
        {"lost": 1},
        {"changed": 1},
    ],
)
def test_one_bound_is_enough_not_to_hold(change):
    """A number of streams is held if everything is within its bounds."""
    assert good().is_held
    assert not replace(good(), **change).is_held


def test_finals_that_may_differ_do_not_count():
    """Of a peer whose finals depend on time, nothing is said about changes."""
    assert replace(good(), changed=None).is_held


def test_medians_of_repeats():
    """Times become medians of those that are known; one failure in any repeat stays."""
    runs = [
        replace(good(), repeat=number, final_p95_s=value, shown_p50_s=shown, failed=failed)
        for number, (value, shown, failed) in enumerate(
            [(0.9, None, 0), (0.1, 0.5, 0), (0.2, 0.7, 1)]
        )
    ]
    [joined] = medians(runs)
    assert joined.final_p95_s == 0.2
    assert joined.shown_p50_s == pytest.approx(0.6)
    assert joined.wer_percent == good().wer_percent
    assert joined.changed == 0
    assert joined.failed == 1
    assert joined.repeat == 3
    assert not joined.is_held


def test_medians_keep_systems_and_numbers_apart():
    """Each system has a line for each number of streams, in the order of their first runs."""
    runs = [
        replace(good(), system=system, streams=streams)
        for _ in range(2)
        for streams in (1, 4)
        for system in ("ours", "naive")
    ]
    found = [(joined.system, joined.streams) for joined in medians(runs)]
    assert found == [("ours", 1), ("naive", 1), ("ours", 4), ("naive", 4)]


def test_the_largest_number_that_is_held():
    """A system that holds nothing holds 0 streams."""
    runs = [replace(good(), streams=streams) for streams in (1, 4)]
    runs += [replace(good(), streams=8, lost=1), replace(good(), system="naive", failed=1)]
    assert most_held(runs) == {"ours": 4, "naive": 0}
