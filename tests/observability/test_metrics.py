"""Metrics of a server that does something."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.callers import Caller
from service.observability.collectors import BatchSizes
from service.observability.lag import INTERVAL_S, measuring_lag
from service.observability.prometheus import MAX_CALLERS, Metrics
from service.process import ExitStatus, StartError
from service.rpc.record import Ledger
from tests.conftest import stub_for
from tests.observability.scrape import samples, scrape
from tests.observability.speech import SPEECH_S, speak
from tests.rpc.streams import audio, config, finals, recognize, until

SMALL_CTC = Path(__file__).parent.parent / "recognizers" / "small_ctc"
METRICS = {"metrics_listen": "127.0.0.1:0"}


async def test_there_is_no_port_unless_it_is_asked_for(server):
    """Metrics cost nothing and tell nobody anything by default."""
    assert server.metrics_address == ""
    assert server.servicer.ledger._observers == ()


async def test_a_stream_in_figures(serve):
    """Audio, decodes by kind, what was decoded ahead, results and time are counted."""
    async with serve(**METRICS) as running, stub_for(running.address) as stub:
        transcripts = await recognize(stub, speak(running.metrics_address))
        found = await samples(running.metrics_address)
    assert len(finals(transcripts)) == 2
    assert found["asr_audio_seconds_total", "scripted"] == pytest.approx(SPEECH_S)
    assert found["asr_calls_total", "StreamingRecognize", "OK"] == 1
    assert found["asr_calls_open", "StreamingRecognize"] == 0
    assert found["asr_final_seconds_count", "scripted"] == 2
    assert 1 <= found["asr_first_interim_seconds_count", "scripted"] <= 2
    assert found["asr_real_time_factor_count", "scripted"] == 1
    assert found["asr_amplification_count", "scripted"] == 1
    assert found["asr_amplification_sum", "scripted"] >= 1
    assert found["asr_caller_calls_total", "anonymous"] == 1
    assert found["grpc_server_handled_total", "OK", "StreamingRecognize",
                 "asr.v1.SpeechService", "bidi_stream"] == 1  # fmt: skip
    kinds = {key[1]: value for key, value in found.items() if key[0] == "asr_decode_seconds_count"}
    heard = {
        key[1]: value for key, value in found.items() if key[0] == "asr_decoded_audio_seconds_total"
    }
    assert set(kinds) == set(heard)
    assert kinds["interim"] >= 1
    # Each segment became final by a decode of its own, or by one that was made ahead of time.
    used = found.get(("asr_speculative_finals_total", "scripted", "used"), 0)
    discarded = found.get(("asr_speculative_finals_total", "scripted", "discarded"), 0)
    assert kinds.get("final", 0) + used == 2
    assert used + discarded == kinds["speculative_final"] >= 1
    amplification = sum(heard.values()) / found["asr_audio_seconds_total", "scripted"]
    assert 1 < amplification < 10
    assert found["process_resident_memory_bytes",] > 1e7
    assert (found["asr_slots_taken",], found["asr_slots",], found["asr_ready",]) == (0, 32, 1)


async def test_audio_counts_while_it_comes(serve):
    """An endless stream is seen at once, not when it ends, and nothing is counted twice."""
    async with serve(**METRICS) as running, stub_for(running.address) as stub:
        call = stub.StreamingRecognize()
        await call.write(config())
        await call.read()
        seen = []
        for seconds in (1, 2):
            for message in audio(bytes(32_000)):
                await call.write(message)
            record = next(iter(running.servicer.ledger.open))
            await until(lambda: running.engine._streams)
            [live] = running.engine._streams
            await until(lambda live=live, seconds=seconds: live.received_s == seconds)
            found = await samples(running.metrics_address)
            seen.append(found["asr_audio_seconds_total", "scripted"])
            assert found["asr_slots_taken",] == found["asr_calls_open", record.method] == 1
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK
        found = await samples(running.metrics_address)
    assert [*seen, found["asr_audio_seconds_total", "scripted"]] == [1, 2, 2]


async def test_refusals_are_told_from_failures(serve):
    """What never had a slot is a refusal with its reason; what had one is an outcome alone."""
    async with serve(**METRICS, max_streams=1) as running, stub_for(running.address) as stub:
        call = stub.StreamingRecognize()
        await call.write(config())
        await call.read()
        for messages in ([config()], [config(model="?")]):
            with pytest.raises(grpc.aio.AioRpcError):
                await recognize(stub, messages)
        call.cancel()
        await running.engine.slots.wait_until_free(50)
        with pytest.raises(grpc.aio.AioRpcError):
            await recognize(stub, [config(), config()])
        found = await samples(running.metrics_address)
    refused = {key[1]: value for key, value in found.items() if key[0] == "asr_refusals_total"}
    assert refused == {"SERVER_FULL": 2}
    assert found["asr_calls_total", "StreamingRecognize", "CANCELLED"] == 1
    assert found["asr_calls_total", "StreamingRecognize", "PROTOCOL_VIOLATION"] == 1


async def test_sizes_of_batches(serve):
    """What a recognizer has counted is a histogram of its model; who batches nothing has none."""
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    batched = f"transformers:{SMALL_CTC}?precision=fp32&batch=4&name=batched"
    async with serve(**METRICS, model=["scripted", batched]) as running:
        sizes = running.engine.batch_sizes["batched"]
        found = await samples(running.metrics_address)
    # Two of warming up, an interim and a final, one after the other.
    assert sizes == {1: 2}
    assert found["asr_batch_size_count", "batched"] == 2
    assert found["asr_batch_size_sum", "batched"] == 2
    assert found["asr_batch_size_bucket", "1.0", "batched"] == 2
    assert ("asr_batch_size_count", "scripted") not in found


@given(st.dictionaries(st.integers(1, 300), st.integers(1, 1_000), max_size=20))
def test_a_histogram_of_batches_adds_up(sizes):
    """Buckets are cumulative, the last is the count, and the sum is that of all sizes."""
    [family] = BatchSizes(lambda: {"model": sizes}).collect()
    values = [one.value for one in family.samples if one.name.endswith("_bucket")]
    assert values == sorted(values)
    [total] = [one.value for one in family.samples if one.name.endswith("_sum")]
    assert total == sum(size * count for size, count in sizes.items())
    assert values[-1] == sum(sizes.values())
    [of_4] = [one.value for one in family.samples if one.labels.get("le") == "4.0"]
    assert of_4 == sum(count for size, count in sizes.items() if size <= 4)


def test_callers_have_so_many_names_and_no_more():
    """However many callers come, the number of series is bounded."""
    metrics = Metrics()
    ledger = Ledger([metrics])
    for number in range(3 * MAX_CALLERS):
        caller = Caller(f"token:{number}", f"token-{number}", is_proved=True)
        with ledger.record("ListModels", caller):
            pass
        with ledger.record("ListModels", Caller(f"ipv4:{number}", f"address-{number}")):
            pass
    [family] = [one for one in metrics.registry.collect() if one.name == "asr_caller_calls"]
    counts = {s.labels["caller"]: s.value for s in family.samples if s.name.endswith("_total")}
    assert len(counts) == MAX_CALLERS + 2
    assert counts["other"] == 2 * MAX_CALLERS
    assert counts["anonymous"] == 3 * MAX_CALLERS


async def test_lateness_of_the_loop_is_seen():
    """Who blocks the event loop shows up with the time that it took."""
    seen: list[float] = []
    async with measuring_lag(seen.append):
        await until(lambda: seen)
        first = len(seen)
        # The loop stands still: the very thing that is to be noticed.
        threading.Event().wait(2 * INTERVAL_S)
        await until(lambda: len(seen) > first)
    assert max(seen[first:]) >= INTERVAL_S * 0.9


async def test_a_port_that_is_taken_is_a_sentence(serve):
    """A metrics port that cannot be had stops the start, like every other address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match=f"cannot serve metrics on {address}") as refusal:
            async with serve(metrics_listen=address):
                pass
    assert refusal.value.status is ExitStatus.CANNOT_LISTEN


async def test_the_port_is_free_again(serve):
    """A server that has stopped leaves no listener and no thread behind."""
    async with serve(**METRICS) as running:
        address = running.metrics_address
        assert "asr_slots" in await scrape(address)
    with pytest.raises(OSError, match="refused"):
        await scrape(address)
    async with serve(metrics_listen=address) as running:
        readings = await asyncio.gather(*(scrape(running.metrics_address) for _ in range(5)))
        assert all("asr_ready" in reading for reading in readings)
