"""The runner of servers, with small programs in the server's place."""

import signal
import sys
import time

import pytest

from client.serving import STOP_S, ServerError, serving

READY_AND_WAIT = "print('listening on 127.0.0.1:4711, models: x')\n" + "import time\ntime.sleep(60)"


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def log(tmp_path):
    with (tmp_path / "log").open("w+") as file:
        yield file


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt: what runs in the background of a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_it_waits_for_the_address(tmp_path, log):
    """The address is what the ready line names; SIGINT ends the server, and 0 is well."""
    code = "import signal, sys\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(0))\n"
    with serving(program(code + READY_AND_WAIT), tmp_path, log) as running:
        assert running.address == "127.0.0.1:4711"


def test_it_may_be_stopped_as_a_container_is(tmp_path, log):
    """The server is sent the signal that the caller names, and no other."""
    code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    with serving(program(code + READY_AND_WAIT), tmp_path, log, signal.SIGTERM):
        pass


def test_a_server_that_ends_badly(tmp_path, log):
    """The exit code of a server that failed while stopping is told."""
    code = "import signal, sys\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(7))\n"
    with (
        pytest.raises(ServerError, match="ended with code 7") as caught,
        serving(program(code + READY_AND_WAIT), tmp_path, log),
    ):
        pass
    assert caught.value.code == 7


def test_a_server_that_does_not_start(tmp_path, log):
    """A server that ends before it is ready fails with its code; its words are in the log."""
    # Each line at once, lest one comes into the middle of the other.
    lines = "import os\nos.write(1, b'no model\\n')\nos.write(2, b'help\\n')\n"
    code = lines + "raise SystemExit(3)"
    with (
        pytest.raises(ServerError, match="at start-up with code 3") as caught,
        serving(program(code), tmp_path, log),
    ):
        pytest.fail("there is no server")
    assert caught.value.code == 3
    log.seek(0)
    assert sorted(log.read().split()) == ["help", "model", "no"]


@pytest.mark.usefixtures("interruptible")
def test_a_server_that_is_still_loading_is_not_waited_for(tmp_path, log):
    """Ctrl-C while the server starts ends the wait and the server, whatever that is at."""
    code = (
        "import os, signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)"
    )
    began_s = time.monotonic()
    with (
        pytest.raises(KeyboardInterrupt),
        serving(program(code), tmp_path, log),
    ):
        pytest.fail("there is no server")
    assert time.monotonic() - began_s < STOP_S


def test_a_failure_of_the_caller_stops_the_server(tmp_path, log):
    """The caller's exception passes through, with the server stopped."""
    with (
        pytest.raises(ZeroDivisionError),
        serving(program(READY_AND_WAIT), tmp_path, log),
    ):
        _ = 1 / 0
