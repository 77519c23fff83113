"""python -m client.health: whether a server is ready to serve.

For container health checks and scripts: says one sentence and exits with 0 if
the server is SERVING, with 1 if it is not or does not answer.
"""

import asyncio
import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from client.access import AccessError, Tls, add_tls_options, tls_of
from client.channel import KeepAlive, channel_options
from client.cli import program_parser, server_address
from client.diagnosis import diagnose
from client.stream import DEFAULT_SERVER

_EPILOG = """\
exit codes:
  0    the server, or the service, is SERVING
  1    it is not, or nothing answers in time
  2    the command line makes no sense"""


def check(
    server: str, service: str = "", timeout_s: float = 5.0, tls: Tls | None = None
) -> tuple[bool, str]:
    """Ask the health service; return whether all is well and a sentence about it.

    Args:
        server: Address as HOST:PORT.
        service: Full name of a gRPC service; empty asks about the server as a whole.
        timeout_s: How long to wait for a connection and the answer together.
        tls: How to encrypt; None means plain text.
    """
    subject = f"{service} at {server}" if service else server
    with _channel(server, tls) as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout_s
            )
        except grpc.RpcError as error:
            refusal = None
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                refusal = asyncio.run(diagnose(server, tls, timeout_s))
            sentence = f"{refusal}." if refusal else ""
            return False, sentence or _explain(error, server, service, timeout_s)
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
    return response.status == health_pb2.HealthCheckResponse.SERVING, f"{subject} is {status}."


def _channel(server: str, tls: Tls | None) -> grpc.Channel:
    options = channel_options(server, KeepAlive())
    if tls is None:
        return grpc.insecure_channel(server, options)
    return grpc.secure_channel(server, grpc.ssl_channel_credentials(*tls.pem()), options)


def _explain(error: grpc.RpcError, server: str, service: str, timeout_s: float) -> str:
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return f"Nothing answers at {server}; is the server running there?"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{server} did not answer within {timeout_s:g} s."
        case grpc.StatusCode.NOT_FOUND:
            return f"{server} does not know a service named {service!r}."
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"{server} answers, but has no health service; is this the right port?"
        case code:
            return f"{server} answered {code.name}: {error.details()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check once; 0 if the server is SERVING, else 1."""
    parser = program_parser("health", "Say whether a server is ready to serve.", _EPILOG)
    parser.add_argument(
        "--server",
        metavar="HOST:PORT",
        type=server_address,
        default=DEFAULT_SERVER,
        help="where the server listens (default: %(default)s)",
    )
    parser.add_argument(
        "--service",
        metavar="NAME",
        default="",
        help="one gRPC service, such as asr.v1.SpeechService (default: the whole server)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=5.0,
        help="for the connection and the answer together (default: %(default)g)",
    )
    add_tls_options(parser)
    options = parser.parse_args(arguments)
    try:
        tls = tls_of(options)
    except AccessError as error:
        parser.error(str(error))
    healthy, sentence = check(options.server, options.service, options.timeout, tls)
    print(sentence, file=sys.stdout if healthy else sys.stderr)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
