"""What the command line programs have in common: options, exit codes, Ctrl-C."""

import argparse
import asyncio
import contextlib
import ipaddress
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from enum import IntEnum
from types import TracebackType
from typing import Any, Self

# gRPC's own log would stand between our sentences, as when a server leaves. It reads this once,
# when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from client.access import add_tls_options, add_token_options, tls_of, token_of
from client.errors import RecognitionError
from client.output import OutputError, discard_standard_output
from client.stream import DEFAULT_SERVER, Client


class ExitCode(IntEnum):
    """How a program ends."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SERVER_AWAY = 3
    NOT_AUDIO = 4
    REJECTED = 5
    INTERRUPTED = 130


EXIT_CODES_HELP = """\
exit codes:
  0    done
  1    the server failed, or the output cannot be written
  2    the command line makes no sense
  3    no server answers, or the connection was lost
  4    {source}
  5    the server refused: unknown model, unknown language, no free slot, certificate, token
  130  {interrupted}"""

_SERVER_FAULTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "CANCELLED")


def program_parser(name: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Make the command line of `python -m client.NAME`; the epilog keeps its line breaks."""
    return argparse.ArgumentParser(
        prog=f"python -m client.{name}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say whom to ask for what."""
    parser.add_argument(
        "--server",
        metavar="HOST:PORT",
        type=server_address,
        default=DEFAULT_SERVER,
        help="where the server listens (default: %(default)s)",
    )
    parser.add_argument(
        "--model", metavar="NAME", default="", help="model to use (default: the server's first)"
    )
    parser.add_argument(
        "--language",
        metavar="TAG",
        default="",
        help='language that is spoken, such as "en" (default: the model\'s)',
    )
    add_tls_options(parser)
    add_token_options(parser)


def connection(options: argparse.Namespace, server: str | None = None) -> Client:
    """Make the client that the options describe, for another server where one is named.

    Raises:
        AccessError: a certificate or a token cannot be used.
    """
    server = server or options.server
    tls = tls_of(options)
    token = token_of(options, server, dict(os.environ), is_encrypted=tls is not None)
    return Client(server, tls=tls, token=token)


def exit_code_of(error: RecognitionError) -> ExitCode:
    """Say how a program ends that met this error."""
    if error.server_away:
        return ExitCode.SERVER_AWAY
    return ExitCode.FAILED if error.code in _SERVER_FAULTS else ExitCode.REJECTED


async def explain(error: RecognitionError, client: Client) -> str:
    """Turn an error into a sentence; one about an unknown model names those that there are."""
    if error.code != "NOT_FOUND":
        return str(error)
    try:
        names = [model.name for model in await client.models()]
    except RecognitionError:
        return str(error)
    missing = [name for name in names if name not in error.message]
    return f"{error}; this server has: {', '.join(names)}" if missing else str(error)


class Interrupts:
    """Ctrl-C within a block: once finishes, twice leaves at once."""

    def __init__(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Call `finish` at the first Ctrl-C and cancel the block's task at the second."""
        self._finish = finish
        self._finishing: asyncio.Task[None] | None = None
        self._task: asyncio.Task[Any] | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._finishing is not None

    def __enter__(self) -> Self:
        """Begin to listen for Ctrl-C."""
        self._task = asyncio.current_task()
        # Where the loop cannot listen for signals, Ctrl-C leaves at once.
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave Ctrl-C to Python again, if it was taken."""
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

    def _on_signal(self) -> None:
        if self._finishing is None:
            self._finishing = asyncio.ensure_future(self._run_finish())
        elif self._task is not None:
            self._task.cancel()

    async def _run_finish(self) -> None:
        await self._finish()


def run(main: Coroutine[Any, Any, int], program: str) -> int:
    """Run a program; Ctrl-C and output that cannot be written are no tracebacks.

    Args:
        main: What it does; returns the exit code.
        program: What stands before its complaints.
    """
    try:
        return asyncio.run(main)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output had enough.
        discard_standard_output()
        return ExitCode.OK
    except OutputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        if sys.stdout is not None:
            discard_standard_output()
        return ExitCode.FAILED


def integer(least: int, most: int) -> Callable[[str], int]:
    """Make a reader of integers within bounds, for argparse."""

    def read(text: str) -> int:
        if text.isdecimal() and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer from {least} to {most}")

    return read


def server_address(text: str) -> str:
    """Read HOST:PORT, or another kind of address that gRPC knows, for argparse."""
    if text.startswith(("unix:", "dns:", "ipv4:", "ipv6:")):
        return text
    host, _, port = text.rpartition(":")
    if not _is_host(host):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as {DEFAULT_SERVER}")
    try:
        integer(1, 65_535)(port)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"the port of {text!r}: {error}") from None
    return text


def _is_host(text: str) -> bool:
    """Whether this is a name, an IPv4 address, or an IPv6 address in brackets."""
    try:
        if text.startswith("[") and text.endswith("]"):
            ipaddress.IPv6Address(text[1:-1])
            return True
        # A name is made of labels of 1 to 63 letters.
        return bool(text.encode("idna")) and re.search(r"[\s:/@]", text) is None
    except ValueError:
        return False
