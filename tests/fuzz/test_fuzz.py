"""A slice of the fuzzing; all of it is `python -m tests.fuzz`."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.fuzz.drive import send_garbage, send_messages
from tests.fuzz.mutate import Mutator
from tests.fuzz.oracle import Server, predict

MESSAGES = 2_000
CONNECTIONS = 300


@pytest.mark.parametrize("seed", [11, 12])
async def test_bad_messages_have_the_status_of_the_contract(serve, seed):
    """Every answer is one that the contract foretells, and no slot is left taken."""
    async with serve(max_starts_per_caller=0) as running:
        report = await send_messages(running.address, MESSAGES // 2, seed, Server())
        await running.engine.slots.wait_until_free(50)
        assert running.engine.slots.taken == 0
    assert not report.surprises
    assert len(report.answers) >= 6
    assert report.answers["OK"] > MESSAGES // 50


async def test_garbage_connections_do_no_harm(serve):
    """After any nonsense on the port the server is well and serves."""
    async with serve(max_starts_per_caller=0) as running:
        await send_garbage(running.address, CONNECTIONS, 13)
        async with grpc.aio.insecure_channel(running.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            response = await health.Check(health_pb2.HealthCheckRequest())
            assert response.status == health_pb2.HealthCheckResponse.SERVING
        report = await send_messages(running.address, 50, 14, Server())
    assert not report.surprises


def test_the_mutator_reaches_every_rule():
    """What is sent breaks each rule that a request can break, and often breaks none."""
    mutator = Mutator(15)
    requests = [mutator.request() for _ in range(3_000)]
    foretold = set().union(*(predict(Server(), *request) for request in requests))
    assert foretold == {
        "",
        "INVALID_AUDIO",
        "INVALID_FIELD",
        "MALFORMED_MESSAGE",
        "PROTOCOL_VIOLATION",
        "UNKNOWN_MODEL",
    }
