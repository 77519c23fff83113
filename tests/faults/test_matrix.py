"""Every fault in every phase of a stream; nobody else notices, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from client.stream import RecognitionError, StreamingConfig
from tests.faults.faults import DECEIVING, ENDING, MAX_RECORDING_BYTES, PASSING, SILENT, Stage
from tests.faults.processes import Process, service
from tests.faults.proxy import chaos_proxy
from tests.faults.streams import Outcome, chunks, client_of, finish
from tests.faults.victim import PHASES, TRANSCRIPT, victim_of
from tests.rpc.streams import text, until

MAX_STREAMS = 12
"""The victim, its bystander, and ten for faults that are streams themselves."""

OPTIONS = (
    *("--max-streams", str(MAX_STREAMS), "--max-recording-bytes", str(MAX_RECORDING_BYTES)),
    *("--keepalive-s", "1", "--keepalive-timeout-s", "4", "--first-message-s", "60"),
    *("--max-starts-per-caller", "0"),
)

DEADLINE_S = 2.5

NOTICED_S = 30.0
"""Until a dead peer is noticed: 5 s by the options above, a minute without; and a machine that
stands still is given time."""

FULL_DISK = Path("/dev/full")


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """One server for all cells."""
    with service(*OPTIONS) as running:
        yield running


@asynccontextmanager
async def _bystander(process: Process) -> AsyncIterator[None]:
    """Run a stream beside what happens in the block; it must not notice."""
    async with (
        client_of(process.address) as client,
        client.stream(StreamingConfig(word_offsets=True)) as stream,
    ):
        for block in chunks("golf hotel"):
            await stream.send(block)
        yield
        for block in chunks("india kilo"):
            await stream.send(block)
        await stream.finish()
        outcome = await finish(stream, Outcome())
    assert outcome.code == "OK"
    assert outcome.finals == await _alone()


_REFERENCE: list[list[bytes]] = []


async def _alone() -> list[bytes]:
    """What a bystander hears of a server that has nothing else to do."""
    if not _REFERENCE:
        with service(*OPTIONS) as quiet:
            async with (
                client_of(quiet.address) as client,
                client.stream(StreamingConfig(word_offsets=True)) as stream,
            ):
                for block in chunks("golf hotel india kilo"):
                    await stream.send(block)
                await stream.finish()
                _REFERENCE.append((await finish(stream, Outcome())).finals)
    return _REFERENCE[0]


async def _can_be_taken(process: Process, count: int) -> None:
    """Take so many slots at once, within the time after which a dead peer is noticed."""
    async with asyncio.timeout(NOTICED_S), client_of(process.address) as client:
        while True:
            try:
                async with AsyncExitStack() as streams:
                    for _ in range(count):
                        await streams.enter_async_context(client.stream())
            except RecognitionError as error:
                if error.reason != "SERVER_FULL":
                    raise
                await asyncio.sleep(0.05)
            else:
                return


async def _nothing_is_left(process: Process) -> None:
    await _can_be_taken(process, MAX_STREAMS)
    assert process.is_alive

    def is_even() -> bool:
        events = [line["event"] for line in process.lines()]
        return events.count("state created") == events.count("state released") > 0

    await until(is_even)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", ENDING)
async def test_a_fault_ends_its_own_stream_at_most(process, name, phase):
    """The stream ends, whatever its status; its slot and its state are free, others go on."""
    fault = ENDING[name]
    timeout_s = DEADLINE_S if name == "deadline" else None
    async with (
        _bystander(process),
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
            await _can_be_taken(process, MAX_STREAMS - 1)
        else:
            outcome = await victim.complete()
            assert outcome.code != "UNKNOWN"
    await _nothing_is_left(process)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", PASSING)
async def test_a_fault_passes_without_a_trace(process, name, phase):
    """The stream that it befalls ends with OK and the transcript that it would have had."""
    async with _bystander(process), chaos_proxy(process.address) as proxy:
        async with victim_of(proxy.address) as victim:
            await victim.reach(phase)
            await PASSING[name](Stage(process, proxy, victim, phase))
            outcome = await victim.complete()
        assert (outcome.code, outcome.reason) == ("OK", "")
        assert text(outcome.transcripts) == TRANSCRIPT
    await _nothing_is_left(process)


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs /dev/full, a full disk")
@pytest.mark.parametrize("phase", PHASES)
async def test_a_full_disk_for_logs_passes_without_a_trace(phase):
    """The same with a log that takes nothing."""
    full = FULL_DISK.open("w", encoding="utf-8")  # noqa: ASYNC230
    with full, service(*OPTIONS, stderr=full) as process:
        async with _bystander(process), victim_of(process.address) as victim:
            await victim.reach(phase)
            outcome = await victim.complete()
        assert text(outcome.transcripts) == TRANSCRIPT
        await _can_be_taken(process, MAX_STREAMS)
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
