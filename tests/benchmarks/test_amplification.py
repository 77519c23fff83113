"""What is told of the cost of a stream, and of the pauses behind what is said in one."""

import numpy as np
import pytest
from prometheus_client import generate_latest

from benchmarks.amplification import Spent, counted, lines
from benchmarks.pauses import PAUSE_S, quiet_level, with_pauses
from benchmarks.support import RATE_HZ
from service.observability.prometheus import Metrics
from tests.benchmarks.spoken import clip


def test_costs_are_told_by_kind():
    """From what the server counts: audio computed and time of threads for a second received."""
    metrics = Metrics()
    metrics.audio.add(object(), "m", lambda: 10.0)
    for kind, heard_s, ran_s in (
        ("interim", 5.0, 0.5),
        ("interim", 5.0, 0.5),
        ("speculative_final", 10.0, 1.0),
    ):
        metrics.decoded_audio.labels("m", kind).inc(heard_s)
        metrics.decode.labels("m", kind).observe(ran_s)
    metrics.foreseen.labels("m", "used").inc(1)
    metrics.foreseen.labels("m", "discarded").inc(2)
    counts = counted(generate_latest(metrics.registry).decode())
    streamed = Spent(3.0, counts)
    told = "\n".join(lines(streamed, Spent(0.5, counts)))
    assert "10 s of audio" in told
    assert "interim                1.00 s/s audio  0.100 s/s of threads     2 decodes" in told
    assert "A in audio             2.00 s/s" in told
    assert "0.300 s/s streamed  0.050 s/s as a recording" in told
    assert "A in processor time    6.00" in told
    assert "3 finals, 2 thrown away" in told


def test_a_pause_is_as_loud_as_the_quiet_of_its_clip():
    """Each clip ends where its speech does, and so much noise follows it."""
    rng = np.random.default_rng(1)
    said = clip(2.0, 0.5)
    noisy = said.samples + rng.normal(0, 0.001, len(said.samples)).astype(np.float32)
    one = type(said)(said.path, said.text, noisy.astype(np.float32))
    assert quiet_level(one.samples) == pytest.approx(0.001, rel=0.2)
    pcm, ends_s = with_pauses([one, one])
    assert ends_s == pytest.approx([2.0, 4.0 + PAUSE_S], abs=0.03)
    samples = np.frombuffer(pcm, "<i2") / 32_767
    assert len(samples) / RATE_HZ == pytest.approx(2 * (2.0 + PAUSE_S), abs=0.06)
    pause = samples[round((ends_s[0] + 0.05) * RATE_HZ) : round((ends_s[0] + 1) * RATE_HZ)]
    assert np.sqrt(np.mean(np.square(pause))) == pytest.approx(0.001, rel=0.2)
