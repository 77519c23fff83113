"""From settings to metrics and traces; without either nothing of theirs is loaded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from service.observability.lag import measuring_lag
from service.process import ExitStatus, StartError
from service.rpc.record import Observer
from service.settings import Settings

if TYPE_CHECKING:
    from service.observability.prometheus import Facts, Metrics

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What watches the server."""

    observers: tuple[Observer, ...] = ()
    metrics: Metrics | None = None
    address: str = ""
    """HOST:PORT of the metrics, or empty."""

    def watch(self, facts: Callable[[], Facts]) -> None:
        """Show these facts, once they are there."""
        if self.metrics is not None:
            self.metrics.watch(facts())


@asynccontextmanager
async def monitoring(settings: Settings) -> AsyncIterator[Monitoring]:
    """Serve metrics and send traces while the block runs, as far as they are asked for.

    Raises:
        StartError: the port cannot be had, or the libraries are not installed.
    """
    async with AsyncExitStack() as stack:
        observers: list[Observer] = []
        metrics, address = None, ""
        if settings.metrics_listen:
            from service.observability.prometheus import Metrics

            metrics = Metrics()
            address = _serve_metrics(metrics, settings.metrics_listen, stack)
            await stack.enter_async_context(measuring_lag(metrics.lag.observe))
            observers.append(metrics)
        if settings.otlp_endpoint:
            observers.append(_tracing(settings.otlp_endpoint, stack))
        yield Monitoring(tuple(observers), metrics, address)


def _serve_metrics(metrics: Metrics, listen: str, stack: AsyncExitStack) -> str:
    """Listen in a thread, so that a loop that hangs can still be seen to."""
    from prometheus_client import start_http_server

    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), metrics.registry)
    except OSError as error:
        raise StartError(
            ExitStatus.CANNOT_LISTEN,
            f"cannot serve metrics on {listen}: {error.strerror}; choose another HOST:PORT",
        ) from error

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    stack.callback(close)
    address = f"{host}:{server.server_port}"
    log.info("serving metrics", url=f"http://{address}/metrics")
    return address


def _tracing(endpoint: str, stack: AsyncExitStack) -> Observer:
    try:
        from service.observability.tracing import Tracing, otlp_processor

        tracing = Tracing(otlp_processor(endpoint))
    except ImportError as error:
        raise StartError(
            ExitStatus.WRONG_SETTINGS,
            f"--otlp-endpoint needs OpenTelemetry ({error.name}); "
            "install it with: python -m pip install -c constraints.txt -e '.[otel]'",
        ) from error
    stack.callback(tracing.close)
    return tracing
