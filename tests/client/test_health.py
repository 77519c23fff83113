"""The health command against real servers on loopback."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from client import health as health_command

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def servicer() -> health.HealthServicer:
    return health.HealthServicer()


@pytest.fixture
def server(servicer) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_serving_server_exits_with_0(server, capsys):
    """A server that is SERVING gives 0 and says so on standard output."""
    assert health_command.main(["--server", server]) == 0
    assert capsys.readouterr().out == f"{server} is SERVING.\n"


def test_a_proxy_does_not_stand_before_this_machine(server, monkeypatch):
    """A proxy for the network, as containers have one, is not asked for a server on loopback."""
    for name in ("no_proxy", "NO_PROXY", "grpc_proxy", "no_grpc_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert health_command.main(["--server", server]) == 0


def test_the_help_tells_the_exit_codes(capsys):
    """Whoever writes a health check finds the exit codes, and what each option does."""
    with pytest.raises(SystemExit):
        health_command.main(["--help"])
    told = capsys.readouterr().out
    assert all(f"\n  {code}    " in told for code in (0, 1, 2))


def test_a_server_that_is_not_ready_exits_with_1(server, servicer, capsys):
    """A server that drains or still starts gives 1 and its status."""
    servicer.set("", NOT_SERVING)
    assert health_command.main(["--server", server]) == 1
    assert capsys.readouterr().err == f"{server} is NOT_SERVING.\n"


def test_one_service_is_told_from_the_whole_server(server, servicer, capsys):
    """--service asks about that service alone."""
    servicer.set("asr.v1.SpeechService", NOT_SERVING)
    assert health_command.main(["--server", server]) == 0
    arguments = ["--server", server, "--service", "asr.v1.SpeechService"]
    assert health_command.main(arguments) == 1
    assert "asr.v1.SpeechService at" in capsys.readouterr().err


def test_an_unknown_service_is_named(server):
    """A service that the server does not have is a sentence with its name."""
    assert health_command.check(server, "no.such.Service") == (
        False,
        f"{server} does not know a service named 'no.such.Service'.",
    )


def test_nobody_there(closed_port):
    """A refused connection is a sentence with the address."""
    healthy, sentence = health_command.check(closed_port)
    assert not healthy
    assert sentence == f"Nothing answers at {closed_port}; is the server running there?"


def test_a_server_that_never_answers(silent_server):
    """The time-out covers a connection that says nothing."""
    healthy, sentence = health_command.check(silent_server, timeout_s=0.5)
    assert not healthy
    assert silent_server in sentence


def test_a_server_without_health():
    """Another gRPC server on the port is told from one that is down."""
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    healthy, sentence = health_command.check(f"127.0.0.1:{port}")
    server.stop(None).wait()
    assert not healthy
    assert "no health service" in sentence
