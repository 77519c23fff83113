"""A server with workers: what its streams see when one dies, and that none is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import stub_for
from tests.faults.processes import ROOT, SCRIPTED, service
from tests.faults.streams import Outcome, chunks, client_of, finish, recognize
from tests.faults.victim import PHASES, TRANSCRIPT, victim_of
from tests.observability.scrape import samples
from tests.recognizers.contract import SMALL_CTC
from tests.recognizers.small_deepspeech_model import SCORER, SMALL, functions
from tests.rpc.streams import audio, config, text, until
from tests.rpc.streams import recognize as answers
from tests.tones import pcm, tones
from tests.workers.faulty_worker import EXITS, HANGS, IS_KILLED, SPOILED
from tests.workers.pools import HANGS_S, faulty_workers, no_replacements

OPTIONS = {"workers": 2, "decodes": 2, "max_decode_s": HANGS_S, "max_streams": 4}
MODEL = "scripted"


@pytest.fixture
async def running(serve):
    """A server with two workers that fail on certain words."""
    with faulty_workers():
        async with serve(**OPTIONS) as running:
            yield running


async def _both_are_back(running) -> None:
    await until(lambda: len(running.roster.ready[MODEL]) == 2)


async def _all_slots_are_free(running) -> None:
    await until(lambda: running.engine.slots.taken == 0)


@pytest.mark.parametrize("word", [IS_KILLED, EXITS, HANGS])
async def test_a_failed_worker_ends_its_streams_and_no_others(running, word):
    """The stream whose decode it was gets WORKER_FAILED; its bystander has the same finals."""
    alone = await recognize(running.address, chunks("golf hotel india kilo"))
    async with client_of(running.address) as client, client.stream() as bystander:
        for block in chunks("golf hotel"):
            await bystander.send(block)
        failed = await recognize(running.address, chunks(f"alfa {word}"))
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "WORKER_FAILED")
        for block in chunks("india kilo"):
            await bystander.send(block)
        await bystander.finish()
        outcome = await finish(bystander, Outcome())
    assert (outcome.code, outcome.finals) == ("OK", alone.finals)
    await _all_slots_are_free(running)
    await until(lambda: running.roster.losses == {MODEL: 1})
    await _both_are_back(running)
    assert running.health.is_serving("readiness")
    assert text((await recognize(running.address, chunks("alfa"))).transcripts) == "alfa"


async def test_a_worker_is_killed_in_every_phase_of_a_stream(running):
    """A stream goes on unharmed, or is told; the other one, the slots and the server are well."""
    alone = await recognize(running.address, chunks("golf hotel india kilo"))
    expected = [TRANSCRIPT, text(alone.transcripts)]
    for losses, phase in enumerate(PHASES, start=1):
        outcomes = await _hear_while_a_worker_dies(running, phase)
        # Which of them was being decoded in that worker, and whether any, is chance.
        for outcome, transcript in zip(outcomes, expected, strict=True):
            if outcome.code == "OK":
                assert text(outcome.transcripts) == transcript
            else:
                assert (outcome.code, outcome.reason) == ("UNAVAILABLE", "WORKER_FAILED")
                assert transcript.startswith(text(outcome.transcripts))
        assert "OK" in {outcome.code for outcome in outcomes}
        await _all_slots_are_free(running)
        await until(lambda losses=losses: running.roster.losses[MODEL] == losses)
        await _both_are_back(running)
        assert text((await recognize(running.address, chunks("alfa"))).transcripts) == "alfa"


async def _hear_while_a_worker_dies(running, phase: str) -> list[Outcome]:
    async with (
        client_of(running.address) as client,
        client.stream() as bystander,
        victim_of(running.address) as victim,
    ):
        await victim.reach(phase)
        for block in chunks("golf hotel"):
            await bystander.send(block)
        os.kill(min(running.roster.ready[MODEL]), signal.SIGKILL)
        for block in chunks("india kilo"):
            await bystander.send(block)
        await bystander.finish()
        return [await victim.complete(), await finish(bystander, Outcome())]


async def test_without_a_worker_the_server_is_not_ready(serve):
    """Health says so while none is ready, and again when one is; liveness stands throughout."""
    async with serve(**(OPTIONS | {"workers": 1})) as running:
        async with grpc.aio.insecure_channel(running.address) as channel:
            request = health_pb2.HealthCheckRequest(service="readiness")
            watch = health_pb2_grpc.HealthStub(channel).Watch(request)
            states = [(await watch.read()).status]
            # Whoever watches hears of the newest state: of each, if the next one waits for it.
            with no_replacements():
                os.kill(min(running.roster.ready[MODEL]), signal.SIGKILL)
                states.append((await watch.read()).status)
            states.append((await watch.read()).status)
            watch.cancel()
        serving = health_pb2.HealthCheckResponse.SERVING
        assert states == [serving, health_pb2.HealthCheckResponse.NOT_SERVING, serving]
        assert running.health.is_serving("liveness")
        assert text((await recognize(running.address, chunks("alfa"))).transcripts) == "alfa"


async def test_a_stopping_server_stays_not_ready_when_a_worker_comes_back(serve):
    """What stopping has said of health, a replaced worker does not take back."""
    async with serve(**(OPTIONS | {"workers": 1})) as running:
        [pid] = running.roster.ready[MODEL]
        await running.drain(0.0)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: running.roster.ready[MODEL] - {pid})
        await asyncio.sleep(0)
        assert not running.health.is_serving("readiness")


async def test_a_phrase_that_only_the_model_refuses_is_refused_at_the_begin(serve):
    """As in one process: with the field, before any audio."""
    functions()
    spec = f"{SMALL}&scorer={SCORER}"
    refused = config(phrases=[{"text": "xylophone", "boost": 2.0}])
    messages = []
    for workers in (0, 1):
        async with (
            serve(model=[spec], workers=workers, decodes=1) as running,
            stub_for(running.address) as stub,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await answers(stub, [refused])
            assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            messages.append(refusal.value.details())
            assert running.engine.slots.taken == 0
    assert messages[0] == messages[1]


@pytest.mark.timeout(900)
async def test_a_worker_has_room_for_the_batches_of_its_model(serve):
    """One that is computed and one that gathers, unless --decodes is set; sizes are counted."""
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    spec = f"{SMALL_CTC}&batch=4&name=batched"
    # A busy machine may need minutes to load torch.
    async with serve(model=[spec], workers=1, max_deserted_s=600) as running:
        at_once = max(8, os.cpu_count() or 1)
        assert running.engine._models["batched"].decodes == at_once
        [worker] = running.engine._models["batched"].recognizer._pool._ready
        assert worker._lanes.qsize() == at_once
        # Of warming up, an interim and a final: once by the worker and once by the server.
        assert running.engine.batch_sizes == {"batched": {1: 4}}
        os.kill(worker.pid, signal.SIGKILL)
        await until(lambda: running.roster.ready["batched"] - {worker.pid})
        assert running.engine.batch_sizes == {"batched": {1: 4}}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_model_that_cannot_be_loaded_stops_the_start(workers):
    """Exit status 3 and the recognizer's own sentence, in whichever process it is to decode."""
    command = [sys.executable, "-m", "service", *SCRIPTED, "--model", "scripted:nothing"]
    command += ["--workers", workers]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert "scripted takes no argument" in ended.stderr


def _family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_no_worker_outlives_its_server(number):
    """However the server ends, its workers do; asked to stop, it is with status 0."""
    with service("--workers", "2", module="service") as process:
        workers = _family(process.popen.pid)
        assert len(workers) == 2
        assert text((await recognize(process.address, chunks("alfa"))).transcripts) == "alfa"
        process.popen.send_signal(number)
        status = await asyncio.to_thread(process.wait)
        assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive


@contextmanager
def _hanging_while_it_loads(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server that has begun to load its model, which will never end."""
    with tempfile.NamedTemporaryFile() as spoiled:
        command = [sys.executable, "-m", "tests.workers.faulty_service", *SCRIPTED, *options]
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {SPOILED: spoiled.name},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stderr is not None
                assert "loading model" in process.stderr.readline()
                yield process
            finally:
                process.kill()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_that_still_loads_stops_at_once(workers, number):
    """Status 0 although loading a model never ends; it was never ready, and no worker is left."""
    with _hanging_while_it_loads("--workers", str(workers)) as process:
        if workers:
            # The first one loads before the others.
            await until(lambda: _family(process.pid))
        family = _family(process.pid)
        process.send_signal(number)
        assert await asyncio.to_thread(process.wait, 50) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
        assert not psutil.wait_procs(family, timeout=30)[1]


async def test_workers_leave_ctrl_c_to_the_server():
    """A signal to all processes, as from a terminal: what was said is final, then all end."""
    with service("--workers", "2", module="service") as process:
        workers = _family(process.popen.pid)
        async with client_of(process.address) as client, client.stream() as stream:
            for block in chunks("alfa golf"):
                await stream.send(block)
            for worker in workers:
                worker.send_signal(signal.SIGINT)
                worker.send_signal(signal.SIGTERM)
            process.popen.send_signal(signal.SIGINT)
            await stream.finish()
            outcome = await finish(stream, Outcome())
        assert (outcome.code, text(outcome.transcripts)) == ("OK", "alfa golf")
        assert await asyncio.to_thread(process.wait) == 0
        assert not psutil.wait_procs(workers, timeout=30)[1]


async def test_a_model_that_stays_without_workers_ends_the_process(tmp_path, monkeypatch):
    """Not ready at once, new streams refused; with status 1 once it has lasted."""
    spoiled = tmp_path / "spoiled"
    monkeypatch.setenv(SPOILED, str(spoiled))
    options = ("--workers", "1", "--max-deserted-s", "2", "--log-level", "info")
    with service(*options, module="tests.workers.faulty_service") as process:
        async with grpc.aio.insecure_channel(process.address) as channel:
            request = health_pb2.HealthCheckRequest(service="readiness")
            watch = health_pb2_grpc.HealthStub(channel).Watch(request)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            spoiled.write_text("9", encoding="utf-8")
            [worker] = _family(process.popen.pid)
            worker.kill()
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            watch.cancel()
        assert await asyncio.to_thread(process.wait) == 1
        log = process.log.read_text(encoding="utf-8")
        assert "has had no worker for 2 s" in log
        assert "ended with status 9" in log


async def test_audio_that_kills_each_worker_does_not_end_the_server():
    """A worker that becomes ready is sound: what clients send costs their own streams."""
    options = ("--workers", "1", "--max-deserted-s", "60")
    with service(*options, module="tests.workers.faulty_service") as process:
        losses = 0
        while losses < 4:
            failed = await recognize(process.address, chunks(f"alfa {IS_KILLED}"))
            assert (failed.code, failed.reason) == ("UNAVAILABLE", "WORKER_FAILED")
            losses = sum("a worker has failed" in line["event"] for line in process.lines())
        await until(lambda: "was replaced" in process.lines()[-1]["event"])
        assert text((await recognize(process.address, chunks("alfa"))).transcripts) == "alfa"
        assert process.is_alive


async def test_what_a_worker_raises_is_logged_with_its_stack():
    """INTERNAL with an id for the client; the worker's stack under that id in the log."""
    with service("--workers", "1", "--decodes", "1", module="tests.workers.faulty_service") as run:
        outcome = await recognize(run.address, chunks("alfa oscar"))
        assert (outcome.code, outcome.reason) == ("INTERNAL", "INTERNAL")
        await until(lambda: any("error_id" in line for line in run.lines()))
        [line] = [line for line in run.lines() if "error_id" in line]
        assert "faulty_worker.py" in line["exception"]


async def test_metrics_count_workers(serve):
    """How many are ready, how many were lost, and the memory of all processes together."""
    async with serve(metrics_listen="127.0.0.1:0", **OPTIONS) as running:
        found = await samples(running.metrics_address)
        assert found["asr_workers_ready", MODEL] == 2
        assert found["asr_workers_lost_total", MODEL] == 0
        workers = map(psutil.Process, running.roster.ready[MODEL])
        assert found["asr_memory_bytes",] > sum(w.memory_full_info().pss for w in workers)
        os.kill(min(running.roster.ready[MODEL]), signal.SIGKILL)
        await until(lambda: running.roster.losses[MODEL] == 1)
        await _both_are_back(running)
        found = await samples(running.metrics_address)
        assert found["asr_workers_lost_total", MODEL] == 1
        async with stub_for(running.address) as stub:
            assert text(await answers(stub, [config(), *audio(pcm(tones("alfa")))])) == "alfa"
