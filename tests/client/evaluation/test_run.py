"""A run against servers that answer, fail and go away."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cli import ExitCode
from client.evaluation import run as run_module
from client.evaluation.conditions import parse_conditions
from client.evaluation.manifest import Entry
from client.evaluation.preparation import Preparation
from client.evaluation.run import Run, System, plan
from client.pace import WallClock
from client.stream import Client, StreamingConfig
from tests.client.fake_server import STARTED, abort, fake_server, final
from tests.client.programs import write_tone

(CLEAN,) = parse_conditions([])


@pytest.fixture
def entries(tmp_path):
    """Three short clips."""
    paths = {name: tmp_path / name for name in ("a.wav", "b.wav", "c.wav")}
    for path in paths.values():
        write_tone(path, 0.3)
    return [Entry(f"x/{name}", path, "One.", "", "x") for name, path in paths.items()]


def make_run(client, entries, *, paced=False):
    systems = [System("fake", client, StreamingConfig())]
    return Run(systems, Preparation(entries, 1), WallClock(), paced=paced)


def items(entries):
    return plan(1, [CLEAN], [(entry, 0.3) for entry in entries])


async def test_a_failed_stream_is_named_and_the_rest_is_measured(entries):
    """A server that refuses one stream, or an audio file that went away, costs one clip each."""

    async def second_fails(server, requests, context):
        if server.streams == 2:
            await abort(context, grpc.StatusCode.INTERNAL, "INTERNAL", "it broke")
        yield STARTED
        async for _ in requests:
            pass
        yield final("One.")

    (entries[0].path.parent / "b.wav").unlink()
    async with fake_server(second_fails) as server, Client(server.address) as client:
        run = make_run(client, entries)
        await run.measure(items(entries), streams=1)
    assert [take.item.entry.name for take in run.takes] == ["x/a.wav"]
    assert [(problem.where, problem.exit_code) for problem in run.problems] == [
        ("x/b.wav, clean", ExitCode.NOT_AUDIO),
        ("x/c.wav, clean", ExitCode.FAILED),
    ]
    assert "it broke" in run.problems[1].sentence


async def test_a_server_that_goes_away_ends_the_run_and_every_clip_is_named(entries, monkeypatch):
    """What was heard before is kept; nobody waits for the schedule of a server that is gone."""
    monkeypatch.setattr(run_module, "RETURN_S", 0.1)
    async with fake_server() as server, Client(server.address, connect_timeout_s=0.2) as client:
        run = make_run(client, entries)

        streams = 0

        async def hear_until_second(*arguments, **options):
            nonlocal streams
            streams += 1
            if streams == 2:
                await server.stop()
            return await hear(*arguments, **options)

        hear = run_module.hear
        monkeypatch.setattr(run_module, "hear", hear_until_second)
        await run.measure(items(entries), streams=1)
    assert [take.item.entry.name for take in run.takes] == ["x/a.wav"]
    assert [problem.where for problem in run.problems] == ["x/b.wav, clean", "x/c.wav, clean"]
    assert {problem.exit_code for problem in run.problems} == {ExitCode.SERVER_AWAY}
    assert "did not return" in run.problems[1].sentence


async def test_a_server_that_comes_back_is_measured_on(entries):
    """A connection that is lost once costs the clip that was being spoken, no other."""

    async def first_is_lost(server, requests, context):
        if server.streams == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
        yield STARTED
        async for _ in requests:
            pass
        yield final("One.")

    async with fake_server(first_is_lost) as server, Client(server.address) as client:
        run = make_run(client, entries)
        await run.measure(items(entries), streams=1)
    assert [take.item.entry.name for take in run.takes] == ["x/b.wav", "x/c.wav"]
    assert [problem.exit_code for problem in run.problems] == [ExitCode.SERVER_AWAY]


async def test_a_stopped_run_keeps_what_it_has(entries):
    """After Ctrl-C no clip begins, and those that were heard are reported."""
    async with fake_server() as server, Client(server.address) as client:
        run = make_run(client, entries, paced=True)
        run.on_done = lambda _: run._stopped.set()
        await run.measure(items(entries), streams=1)
    assert [take.item.entry.name for take in run.takes] == ["x/a.wav"]
    assert run.problems == []


def test_systems_take_turns():
    """Each clip goes to both systems one after the other, and each is first as often."""
    entries = [Entry(f"x/{n}", None, "One.", "", "x") for n in range(4)]
    order = [item.system for item in plan(2, [CLEAN], [(entry, 1.0) for entry in entries])]
    assert order == [0, 1, 1, 0, 0, 1, 1, 0]


@given(systems=st.integers(1, 4), conditions=st.integers(1, 5), clips=st.integers(1, 12))
def test_systems_take_turns_under_each_condition(systems, conditions, clips):
    """Under each condition the systems are first clip by clip in turn, and all hear each clip."""
    chosen = parse_conditions([f"gain:{number}" for number in range(conditions)])
    entries = [(Entry(f"x/{n}", None, "One.", "", "x"), 1.0) for n in range(clips)]
    items = plan(systems, chosen, entries)
    visits = [items[begin : begin + systems] for begin in range(0, len(items), systems)]
    for visit in visits:
        assert len({(item.entry.name, item.condition.label) for item in visit}) == 1
        assert sorted(item.system for item in visit) == list(range(systems))
    for condition in chosen:
        firsts = [visit[0].system for visit in visits if visit[0].condition == condition]
        assert firsts == [(firsts[0] + number) % systems for number in range(clips)]
