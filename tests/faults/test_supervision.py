"""What cannot notice itself: hanging and dying decodes, a blocked loop, a full log."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.engine.supervision import TICK_S, Watch
from tests.faults.faulty_service import BLOCKS, BREAKS, DIES, HANGS, RAISES
from tests.faults.processes import service
from tests.faults.streams import Outcome, chunks, client_of, finish, recognize
from tests.rpc.streams import text, until

QUICK = ("--max-decode-s", "1", "--max-block-s", "1")


async def _health_of(address: str, timeout_s: float | None = None) -> str:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            response = await stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


@pytest.mark.parametrize("word", [HANGS, DIES])
async def test_a_failed_engine_tells_everyone_and_ends(word):
    """Whoever waits gets ENGINE_FAILED, health says NOT_SERVING, and the status is 1."""
    with service(*QUICK, "--decodes", "2") as process:
        address = process.address
        async with client_of(address) as client, client.stream() as bystander:
            failing = asyncio.create_task(recognize(address, chunks(f"alfa {word}")))
            while word == DIES and await _health_of(address) == "SERVING":
                # A thread that is to die must be woken once more.
                await recognize(address, chunks("alfa"))
            told = await finish(bystander, Outcome())
            assert (told.code, told.reason) == ("UNAVAILABLE", "ENGINE_FAILED")
            assert await _health_of(address) == "NOT_SERVING"
            refused = await recognize(address, chunks("alfa"))
            assert (refused.code, refused.reason) == ("UNAVAILABLE", "ENGINE_FAILED")
            failed = await failing
            assert failed.reason == ("ENGINE_FAILED" if word == HANGS else "")
        assert await asyncio.to_thread(process.wait) == 1


async def test_a_model_whose_every_decode_raises_ends_the_process():
    """Its streams are INTERNAL; then it fails on the server's own audio, and all is as above."""
    with service() as process:
        address = process.address
        async with client_of(address) as client, client.stream() as bystander:
            failed = await recognize(address, chunks(f"alfa {BREAKS}"))
            assert failed.reason == "INTERNAL"
            while await _health_of(address) == "SERVING":
                assert (await recognize(address, chunks("alfa"))).code != "OK"
            told = await finish(bystander, Outcome())
            assert (told.code, told.reason) == ("UNAVAILABLE", "ENGINE_FAILED")
        assert await asyncio.to_thread(process.wait) == 1


async def test_audio_that_no_decode_survives_ends_only_its_own_streams():
    """However many streams in a row make a decode raise, a sound model goes on serving."""
    with service() as process:
        address = process.address
        for _ in range(10):
            failed = await recognize(address, chunks(f"alfa {RAISES}"))
            assert (failed.code, failed.reason) == ("INTERNAL", "INTERNAL")
        assert text((await recognize(address, chunks("alfa"))).transcripts) == "alfa"
        assert await _health_of(address) == "SERVING"
        assert process.is_alive
        await until(lambda: "the model is sound" in process.log.read_text(encoding="utf-8"))


async def test_a_blocked_loop_fails_its_probes_and_ends():
    """While the loop is blocked no probe succeeds; the process says where and ends with 1."""
    with service(*QUICK) as process:
        failed = await recognize(process.address, chunks(f"alfa {BLOCKS}"))
        assert failed.code == "UNAVAILABLE"
        assert await _health_of(process.address, 1.0) != "SERVING"
        assert await asyncio.to_thread(process.wait) == 1
        assert "the event loop is blocked" in process.log.read_text(encoding="utf-8")


async def test_a_stopped_process_goes_on_where_it_was():
    """SIGSTOP for longer than any limit of supervision, then SIGCONT: nothing has happened."""
    with service(*QUICK) as process:
        async with client_of(process.address) as client, client.stream() as stream:
            for block in chunks("alfa"):
                await stream.send(block)
            process.popen.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.5)
            process.popen.send_signal(signal.SIGCONT)
            for block in chunks("golf"):
                await stream.send(block)
            await stream.finish()
            outcome = await finish(stream, Outcome())
        assert outcome.code == "OK"
        assert text(outcome.transcripts) == "alfa golf"
        assert process.is_alive


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a full disk")
async def test_a_full_disk_for_logs_costs_no_stream():
    """With a log that takes nothing, streams are served and the process ends in good order."""
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: ASYNC230, SIM115
    with full, service("--log-level", "debug", stderr=full) as process:
        for _ in range(3):
            outcome = await recognize(process.address, chunks("alfa golf"))
            assert text(outcome.transcripts) == "alfa golf"
        assert await _health_of(process.address) == "SERVING"
        process.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait) == 0


@dataclass
class Workers:
    is_alive: bool = True
    running: frozenset[int] = frozenset()


@pytest.fixture
def workers() -> Workers:
    return Workers()


def test_a_long_decode_is_found_when_it_is_too_long(workers):
    """The time of each decode counts from its own begin; others that come and go do not add."""
    watch = Watch({"model": workers}, max_decode_s=10 * TICK_S, max_block_s=5)
    for number in range(50):
        workers.running = frozenset({number // 8})
        assert watch.tick() is None
    workers.running = frozenset({99})
    found = [watch.tick() for _ in range(11)]
    assert found[:10] == [None] * 10
    assert "model" in found[10]


def test_a_dead_thread_is_found_at_once(workers):
    """The next look sees it."""
    watch = Watch({"model": workers}, max_decode_s=10, max_block_s=5)
    assert watch.tick() is None
    workers.is_alive = False
    assert "died" in watch.tick()


def test_a_model_without_workers_is_given_up_in_the_end(workers):
    """Not while there is one in between; each model's time is its own."""
    deserted: set[str] = set()
    watch = Watch({"model": workers}, 10, 5, lambda: deserted, 4 * TICK_S)
    for turn in range(20):
        deserted = {"model"} if turn % 4 else {"other"}
        assert watch.tick() is None
    deserted = {"other"}
    found = [watch.tick() for _ in range(5)]
    assert found[:4] == [None] * 4
    assert "other has had no worker" in found[4]


def test_a_loop_that_beats_is_not_blocked(workers):
    """Blocked is who does not beat for long, whatever the clock says."""
    watch = Watch({"model": workers}, max_decode_s=10, max_block_s=4 * TICK_S)
    for _ in range(20):
        watch.tick()
        assert not watch.is_blocked
        watch.beat()
    for _ in range(4):
        assert not watch.is_blocked
        watch.tick()
    assert watch.is_blocked
