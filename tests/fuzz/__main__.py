"""Bad input by the hundred thousand, over real connections.

python -m tests.fuzz [--messages 100000] [--connections 5000] [--seed 1]

Starts a server with the scripted recognizer. Every request's status must be one that the oracle
foretells from the contract; UNKNOWN and INTERNAL are never foretold. Exit status 1 on a surprise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

import psutil

from tests.faults.processes import service
from tests.fuzz.drive import send_garbage, send_messages
from tests.fuzz.oracle import Server

SHOWN = 10


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Bad input over real connections.")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    settings = ("--max-starts-per-caller", "0", "--log-level", "warning")
    with service(*settings, module="service") as process:
        server = psutil.Process(process.popen.pid)
        began_s = time.monotonic()
        report = asyncio.run(
            send_messages(process.address, options.messages, options.seed, Server())
        )
        took_s = time.monotonic() - began_s
        files = server.num_fds()
        asyncio.run(send_garbage(process.address, options.connections, options.seed))
        after = asyncio.run(send_messages(process.address, 100, options.seed + 1, Server()))
        for answer, count in report.answers.most_common():
            print(f"{count:8}  {answer}")
        print(f"{options.messages} requests in {took_s:.0f} s, {len(report.surprises)} surprises")
        print(
            f"{options.connections} garbage connections: the server is "
            f"{'alive' if process.is_alive else 'dead'}, "
            f"{server.num_fds() - files} descriptors more, {len(after.surprises)} surprises after"
        )
        surprises = report.surprises + after.surprises
        for surprise in surprises[:SHOWN]:
            print(surprise)
        return 1 if surprises or not process.is_alive else 0


if __name__ == "__main__":
    sys.exit(main())
