"""The command line of the browser demo."""

import argparse
from collections.abc import Sequence

from client.access import add_tls_options, add_token_options
from client.cli import EXIT_CODES_HELP, integer, program_parser, server_address
from client.stream import DEFAULT_SERVER

DEFAULT_PORT = 7860
"""Gradio's own."""

_DESCRIPTION = """\
Open a page in the browser on which one speaks and watches the words come, recognizes recordings,
and compares models. It shows what a speech recognition server gives, and needs one."""

_EPILOG = """\
examples:
  python -m client.web                             a server that runs on this machine already
  python -m client.web --embedded                  starts one with its default model
  python -m client.web --embedded --model whisper:base.en
  python -m client.web --server gpu.example:50051 --host 0.0.0.0 --auth team:secret
  python -m client.web --share --auth team:secret  a link for a team, through Gradio's tunnel

Browsers give the microphone only to pages on https or on the machine itself: from elsewhere use
--share, or a proxy with a certificate.

""" + EXIT_CODES_HELP.format(
    source="the page cannot be served there: the port is taken, or the host is not this machine",
    interrupted="never: Ctrl-C closes the page and ends with 0",
)


def make_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    parser = program_parser("web", _DESCRIPTION, _EPILOG)
    server = parser.add_argument_group("the speech recognition server")
    server.add_argument(
        "--server",
        metavar="HOST:PORT",
        type=server_address,
        default=DEFAULT_SERVER,
        help="where it listens (default: %(default)s)",
    )
    server.add_argument(
        "--embedded", action="store_true", help="start one beside the page, on a free port"
    )
    server.add_argument(
        "--model",
        metavar="SPEC",
        action="append",
        default=[],
        help="model of the embedded server; may be repeated, the first is the default",
    )
    add_tls_options(parser)
    add_token_options(parser)
    page = parser.add_argument_group("the page")
    page.add_argument(
        "--host", default="127.0.0.1", help="address to serve it on (default: %(default)s)"
    )
    page.add_argument(
        "--port",
        metavar="N",
        type=integer(0, 65_535),
        default=DEFAULT_PORT,
        help="port to serve it on; 0 takes a free one (default: %(default)s)",
    )
    page.add_argument(
        "--auth", metavar="USER:PASSWORD", type=_user, help="let in only who knows these"
    )
    page.add_argument(
        "--share", action="store_true", help="make a public link through Gradio's tunnel"
    )
    page.add_argument("--open", action="store_true", help="open the page in the browser")
    return parser


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; leaves with a message where it makes no sense."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.embedded and options.server != DEFAULT_SERVER:
        parser.error("--embedded starts a server of its own; drop it or --server")
    if options.embedded and (options.tls or options.ca or options.cert or options.key):
        parser.error("--embedded needs no encryption; drop it, or the options for it")
    if options.model and not options.embedded:
        parser.error("--model is for the server that --embedded starts; a page has a choice")
    return options


def _user(text: str) -> tuple[str, str]:
    user, separator, password = text.partition(":")
    if user and separator and password:
        return user, password
    raise argparse.ArgumentTypeError("it is not USER:PASSWORD")
