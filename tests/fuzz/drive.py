"""Sends what the mutator makes, and holds the answers against the oracle."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import grpc

from client.errors import from_status
from tests.fuzz.mutate import Mutator
from tests.fuzz.oracle import Server, predict

AT_ONCE = 6
"""Requests under way; more would only wait for the processor."""


SHOWN_BYTES = 60
"""Of a message in a report."""


@dataclass
class Report:
    """What was answered."""

    answers: Counter[str] = field(default_factory=Counter)
    """By code and reason."""
    surprises: list[str] = field(default_factory=list)
    """Requests whose answer the oracle did not foretell, as text."""


async def send_messages(address: str, count: int, seed: int, server: Server) -> Report:
    """Make so many requests.

    From threads: the asyncio client of grpc replaces the server's status by an INTERNAL of its
    own where a write fails because the call has just ended.
    """
    report, mutator, lock = Report(), Mutator(seed), threading.Lock()
    left = iter(range(count))

    def work(channel: grpc.Channel) -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
                method, messages = mutator.request()
            code, reason = _answer(channel, method, messages)
            expected = predict(server, method, messages)
            with lock:
                report.answers[f"{code} {reason}".strip()] += 1
                if reason not in expected or code in ("UNKNOWN", "INTERNAL", "UNAVAILABLE"):
                    report.surprises.append(
                        f"{method}: {code} {reason}, not one of {sorted(expected)}: "
                        f"{[message[:SHOWN_BYTES] for message in messages]!r}"
                    )

    loop = asyncio.get_running_loop()
    # Threads of their own: a server in this process wants those of asyncio.
    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(AT_ONCE) as threads:
        workers = [loop.run_in_executor(threads, work, channel) for _ in range(AT_ONCE)]
        await asyncio.gather(*workers)
    return report


def _answer(channel: grpc.Channel, method: str, messages: list[bytes]) -> tuple[str, str]:
    # All kinds of call begin alike on the wire.
    call = channel.stream_stream(f"/asr.v1.SpeechService/{method}")(iter(messages), timeout=60)
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        failure = from_status("", call.code().name, "", call.trailing_metadata() or ())
        return failure.code, failure.reason
    return "OK", ""


async def send_garbage(address: str, count: int, seed: int) -> None:
    """Open so many connections, speak nonsense on each, and leave."""
    host, _, port = address.rpartition(":")
    mutator = Mutator(seed)
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(mutator.garbage())
                await writer.drain()
                writer.close()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
