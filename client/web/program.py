"""Starts the page, and the server beside it where one is wanted."""

import argparse
import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

# Gradio reads these when it is imported. The page asks nothing of the network.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from client.access import AccessError
from client.cli import ExitCode, connection
from client.serving import ServerError, serving
from client.stream import Client
from client.web import page, theme
from client.web.socket import routes
from client.web.tickets import Tickets

LARGEST_FILE = "1gb"
"""Of an upload: an hour and a half of stereo WAV at 44.1 kHz."""


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C or SIGTERM; returns the exit code."""
    stop = threading.Event()
    try:
        # A server that is still loading may take minutes, and there is no page to close yet.
        _on_signals(signal.default_int_handler)
        with _server(options) as address:
            _on_signals(lambda *_: stop.set())
            return _serve(options, address, stop)
    except KeyboardInterrupt:
        return ExitCode.OK
    except ServerError as error:
        print(f"client.web: {error}", file=sys.stderr)
        return ExitCode.SERVER_AWAY
    except AccessError as error:
        print(f"client.web: {error}", file=sys.stderr)
        return ExitCode.USAGE


def _on_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


@contextlib.contextmanager
def _server(options: argparse.Namespace) -> Iterator[str]:
    """Run a server beside the page if one is wanted; gives the address of the one to use."""
    if not options.embedded:
        yield options.server
        return
    print("starting a server …", file=sys.stderr)
    models = [part for spec in options.model for part in ("--model", spec)]
    command = [sys.executable, "-m", "service", "--listen", "127.0.0.1:0"]
    command += ["--log-level", "warning", *models]
    with serving(command, Path.cwd(), sys.stderr) as running:
        yield running.address


def _serve(options: argparse.Namespace, server: str, stop: threading.Event) -> int:
    with tempfile.TemporaryDirectory(prefix="speech-") as folder:
        # What visitors upload goes with the page; Gradio would leave it in the machine's folder.
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder, "uploads"))
        return _launch(options, server, Path(folder), stop)


def _launch(options: argparse.Namespace, server: str, folder: Path, stop: threading.Event) -> int:
    host: str = options.host.strip("[]")
    try:
        port = _open_port(host, options.port)
    except OSError as error:
        return _cannot_serve(host, options.port, error.strerror or "it is no address")
    tickets = Tickets()

    def connect() -> Client:
        return connection(options, server)

    connect()  # A certificate or a token that cannot be used is known before the page is.
    demo = page.build(connect, tickets, folder)
    try:
        # What Gradio says of its tunnel is not what the program is asked for.
        with contextlib.redirect_stdout(sys.stderr):
            _, local, shared = demo.launch(
                # Of an address with colons Gradio makes a link only in brackets.
                server_name=f"[{host}]" if ":" in host else host,
                server_port=port,
                share=options.share,
                auth=options.auth,
                inbrowser=options.open,
                prevent_thread_lock=True,
                quiet=True,
                footer_links=[],
                allowed_paths=[str(folder)],
                max_file_size=LARGEST_FILE,
                ssr_mode=False,
                app_kwargs={"routes": routes(connect, tickets)},
                theme=theme.make(),
                css_paths=theme.STYLE,
                head=theme.HEAD,
            )
    except OSError:
        # Gradio wants the port of 127.0.0.1 as well, and does not say what it met.
        return _cannot_serve(host, port, "Gradio finds the port taken")
    if options.share and not shared:
        sentence = "Gradio's tunnel cannot be reached, so there is no link; the page is here alone"
        print(f"client.web: {sentence}", file=sys.stderr)
    print(f"open {shared or local} (server: {server}); Ctrl-C ends", flush=True)
    stop.wait()
    demo.close(verbose=False)
    return ExitCode.OK


def _open_port(host: str, port: int) -> int:
    """Find a port on which the page can be served: this one, or for 0 a free one.

    Raises:
        OSError: There is none; the host is unknown or not this machine, or the port is taken.
    """
    (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    )
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        opened: int = probe.getsockname()[1]
        return opened


def _cannot_serve(host: str, port: int, reason: str) -> ExitCode:
    print(
        f"client.web: the page cannot be served on {host}, port {port} ({reason}); "
        "choose with --host and --port",
        file=sys.stderr,
    )
    return ExitCode.NOT_AUDIO
