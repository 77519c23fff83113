"""Every fault in every phase of a stream; nobody else notices, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from client.stream import RecognitionError
from tests.faults.aftermath import MAX_STREAMS, OPTIONS, bystander, can_be_taken, nothing_is_left
from tests.faults.faults import DECEIVING, ENDING, PASSING, SILENT, Stage
from tests.faults.faulty_service import HANGS
from tests.faults.processes import Process, service
from tests.faults.proxy import chaos_proxy
from tests.faults.streams import chunks, recognize
from tests.faults.victim import PHASES, TRANSCRIPT, victim_of
from tests.rpc.streams import text

DEADLINE_S = 2.5

FULL_DISK = Path("/dev/full")


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """One server for all cells."""
    with service(*OPTIONS) as running:
        yield running


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", ENDING)
async def test_a_fault_ends_its_own_stream_at_most(process, name, phase):
    """The stream ends, whatever its status; its slot and its state are free, others go on."""
    fault = ENDING[name]
    timeout_s = DEADLINE_S if name == "deadline" else None
    async with (
        bystander(process),
        chaos_proxy(process.address) as proxy,
        victim_of(proxy.address, timeout_s) as victim,
    ):
        # The deadline counts from the begin: on a busy machine it may strike before the phase.
        with suppress(*([RecognitionError] if timeout_s else [])):
            await victim.reach(phase)
        await fault(Stage(process, proxy, victim, phase))
        if fault in DECEIVING:
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await victim.complete()
        elif fault in SILENT:
            await can_be_taken(process, MAX_STREAMS - 1)
        else:
            outcome = await victim.complete()
            assert outcome.code != "UNKNOWN"
    await nothing_is_left(process)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", PASSING)
async def test_a_fault_passes_without_a_trace(process, name, phase):
    """The stream that it befalls ends with OK and the transcript that it would have had."""
    async with bystander(process), chaos_proxy(process.address) as proxy:
        async with victim_of(proxy.address) as victim:
            await victim.reach(phase)
            await PASSING[name](Stage(process, proxy, victim, phase))
            outcome = await victim.complete()
        assert (outcome.code, outcome.reason) == ("OK", "")
        assert text(outcome.transcripts) == TRANSCRIPT
    await nothing_is_left(process)


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs /dev/full, a full disk")
@pytest.mark.parametrize("phase", PHASES)
async def test_a_full_disk_for_logs_passes_without_a_trace(phase):
    """The same with a log that takes nothing."""
    full = FULL_DISK.open("w", encoding="utf-8")  # noqa: ASYNC230
    with full, service(*OPTIONS, stderr=full) as process:
        async with bystander(process), victim_of(process.address) as victim:
            await victim.reach(phase)
            outcome = await victim.complete()
        assert text(outcome.transcripts) == TRANSCRIPT
        await can_be_taken(process, MAX_STREAMS)
        assert process.is_alive


@pytest.mark.parametrize("phase", PHASES)
async def test_stopping_ends_every_phase(phase):
    """SIGTERM with no grace: what was said is final, then DRAINING; the exit status is 0."""
    with service(*OPTIONS, "--grace-s", "0") as process:
        async with victim_of(process.address) as victim:
            await victim.reach(phase)
            process.popen.terminate()
            outcome = await victim.end()
        # A call that grpc has accepted and Python has not seen yet is cancelled.
        assert outcome.code in ("OK", "UNAVAILABLE") or phase == "opened"
        if phase in ("in speech", "after a final"):
            assert text(outcome.transcripts) == "alfa bravo"
        assert await asyncio.to_thread(process.wait) == 0
        events = [line["event"] for line in process.lines()]
        assert events.count("state created") == events.count("state released")


@pytest.mark.parametrize("phase", PHASES)
async def test_a_hanging_engine_ends_every_phase(phase):
    """The process cannot go on: the stream ends or is told ENGINE_FAILED, and the status is 1."""
    with service(*OPTIONS, "--max-decode-s", "1") as process:
        async with victim_of(process.address) as victim:
            await victim.reach(phase)
            hanging = asyncio.create_task(recognize(process.address, chunks(f"alfa {HANGS}")))
            async with asyncio.timeout(30):
                outcome = await victim.end()
                hung = await hanging
        told = ("UNAVAILABLE", "ENGINE_FAILED")
        assert (hung.code, hung.reason) == told
        if phase == "half-closed" and outcome.code == "OK":
            assert text(outcome.transcripts) == TRANSCRIPT
        else:
            assert (outcome.code, outcome.reason) == told
        assert await asyncio.to_thread(process.wait) == 1
