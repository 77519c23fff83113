"""The demo as users start it, once for all tests; each test runs its own server behind it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.client.programs import ROOT
from tests.client.web.browser import chromium
from tests.ports import free_address


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a test in a browser once more, visibly: pytest counts it as rerun.

    Gradio's page comes to life piece by piece, and Chromium's fake microphone stutters where the
    machine does. What is wrong with our page fails twice.
    """
    for item in items:
        if item.path.name.endswith("_browser.py"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@dataclass(frozen=True)
class Demo:
    """A page that is being served."""

    url: str
    server: str
    """HOST:PORT at which it looks for a server; none is there unless a test runs one."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Iterator[Demo]:
    chromium()
    server = free_address()
    log: Path = tmp_path_factory.mktemp("demo") / "log"
    command = [sys.executable, "-m", "client.web", "--port", "0", "--server", server]
    with (
        log.open("w") as complaints,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=complaints, text=True
        ) as process,
    ):
        try:
            opened = re.match(r"open (\S+) ", process.stdout.readline())
            assert opened, log.read_text()
            yield Demo(opened[1], server)
        finally:
            process.terminate()
        process.wait()
    assert "Traceback" not in log.read_text()
