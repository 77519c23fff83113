"""Stopping: nobody loses what was said, and everyone is told."""

from __future__ import annotations

import asyncio
import signal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from client.messages import to_seconds
from client.stream import RecognitionStream
from protos.asr.v1 import asr_pb2
from tests.faults.faulty_service import HANGS
from tests.faults.processes import Process, service
from tests.faults.streams import Outcome, chunks, client_of, finish, recognize
from tests.rpc.streams import text


async def _say(stream: RecognitionStream, words: str) -> None:
    for block in chunks(words):
        await stream.send(block)


async def _until_not_serving(watch) -> None:
    while (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING:
        pass


async def _next_ending(stream: RecognitionStream, outcome: Outcome) -> asr_pb2.StreamEnding:
    async for transcript in stream:
        outcome.transcripts.append(transcript)
        if transcript.HasField("stream_ending"):
            return transcript.stream_ending
    raise AssertionError("the stream ended untold")


async def _ends(process: Process) -> int:
    return await asyncio.to_thread(process.wait)


async def test_new_streams_are_taken_until_everyone_knows():
    """After SIGTERM health says NOT_SERVING at once, and streams are taken all the same."""
    with service("--lame-duck-s", "8", "--grace-s", "50") as process:
        async with grpc.aio.insecure_channel(process.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            process.popen.send_signal(signal.SIGTERM)
            await _until_not_serving(watch)
            assert text((await recognize(process.address, chunks("alfa"))).transcripts) == "alfa"
        assert await _ends(process) == 0


async def test_open_streams_are_told_and_then_ended_with_their_finals():
    """A stream that does not end by itself hears of the end, gets its final, then DRAINING."""
    with service("--grace-s", "8", "--notice-s", "6") as process:
        async with (
            client_of(process.address) as client,
            client.stream() as stays,
            client.stream() as ends,
        ):
            await _say(stays, "alfa bravo")
            await _say(ends, "charlie")
            process.popen.send_signal(signal.SIGTERM)
            outcome = Outcome()
            ending = await _next_ending(stays, outcome)
            assert ending.reason == "DRAINING"
            assert 0.0 <= to_seconds(ending.time_left) <= 6
            refused = await recognize(process.address, chunks("golf"))
            assert (refused.code, refused.reason) == ("UNAVAILABLE", "DRAINING")
            # What is said after the notice is heard as well.
            await _say(stays, "golf")
            await _say(ends, "delta")
            await ends.finish()
            ended = await finish(ends, Outcome())
            await finish(stays, outcome)
        assert (ended.code, text(ended.transcripts)) == ("OK", "charlie delta")
        assert (outcome.code, outcome.reason) == ("UNAVAILABLE", "DRAINING")
        assert text(outcome.transcripts) == "alfa bravo golf"
        assert await _ends(process) == 0


async def test_a_decode_that_hangs_does_not_keep_the_process():
    """Stopping ends although a decode does not; its stream is told."""
    with service("--grace-s", "0.5", "--max-decode-s", "3600") as process:
        hanging = asyncio.create_task(recognize(process.address, chunks(f"alfa {HANGS}")))
        async with client_of(process.address) as client, client.stream() as stream:
            await _say(stream, "alfa")
            await stream.flush()
            process.popen.send_signal(signal.SIGTERM)
            outcome = await finish(stream, Outcome())
        assert outcome.reason == "DRAINING"
        assert (await hanging).code == "UNAVAILABLE"
        assert await _ends(process) in (0, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_a_lame_duck_at_once(number):
    """While it waits, for whatever, a second signal ends the process."""
    with service("--lame-duck-s", "600", "--grace-s", "600") as process:
        async with grpc.aio.insecure_channel(process.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            process.popen.send_signal(signal.SIGTERM)
            await _until_not_serving(watch)
            process.popen.send_signal(number)
            assert await _ends(process) == 128 + number


async def test_ctrl_c_waits_for_no_load_balancer():
    """SIGINT stops an idle server at once, however long the lame duck would last."""
    with service("--lame-duck-s", "600") as process:
        process.popen.send_signal(signal.SIGINT)
        assert await _ends(process) == 0
