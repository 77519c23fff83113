"""The ways on which a worker is asked to decode: a pipe each, and memory for a window.

How many are needed is known when the model is loaded, by how many decodes it computes at once;
so they are sent to the worker then, over the pipe that it was started with.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle

from service.core.hypothesis import Samples
from service.workers.memory import NamelessFile

COUNT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Lane:
    """The way of one decode at a time."""

    connection: Connection
    samples: Samples


def send(control: Connection, pid: int, count: int, longest_window_s: float) -> list[Lane]:
    """Make so many and share them with a worker; return the server's ends.

    Raises:
        OSError: the worker has gone, or there are too many open files.
    """
    file = NamelessFile()
    pairs = [Pipe() for _ in range(count)]
    try:
        control.send_bytes(count.to_bytes(COUNT_BYTES))
        for number in (file.fileno(), *(theirs.fileno() for _, theirs in pairs)):
            send_handle(control, number, pid)
    finally:
        for _, theirs in pairs:
            theirs.close()
    windows = file.map(count, longest_window_s, is_writable=True)
    connections = [ours for ours, _ in pairs]
    return [Lane(*lane) for lane in zip(connections, windows, strict=True)]


def receive(control: Connection, longest_window_s: float) -> list[Lane]:
    """Return the worker's ends.

    Raises:
        EOFError, OSError: the server has gone.
    """
    count = int.from_bytes(control.recv_bytes())
    file = NamelessFile(recv_handle(control))
    connections = [Connection(recv_handle(control)) for _ in range(count)]
    windows = file.map(count, longest_window_s, is_writable=False)
    return [Lane(*lane) for lane in zip(connections, windows, strict=True)]
