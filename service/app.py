"""The composition root: loads, wires, serves, and stops in good order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from service.core.vad import DetectorFactory, EnergyDetector
from service.detectors import silero
from service.engine.engine import Engine, Model
from service.engine.slots import DrainingError, Slots
from service.recognizers import registry
from service.recognizers.base import ModelUnavailableError
from service.rpc.servicer import SERVICE, Limits, SpeechServicer
from service.settings import Settings, SettingsError, load_settings
from service.telemetry import configure_logging

HEALTH_INTERVAL_S = 1.0
"""How often it is seen to that the engine still runs."""

LAST_FINALS_S = 5.0
"""Time to decode and send the finals of streams that were cut at the end of the grace."""

MESSAGE_OVERHEAD_BYTES = 65_536
"""Of a recording's message, beside the recording: config and field headers."""

log = structlog.get_logger()


class ExitStatus(IntEnum):
    """What the process says when it ends; documented in --help."""

    STOPPED = 0
    FAILED = 1
    WRONG_SETTINGS = 2
    NO_MODEL = 3
    CANNOT_LISTEN = 4


class StartError(Exception):
    """The server cannot start; the message says what to do."""

    def __init__(self, status: ExitStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def main(arguments: Sequence[str]) -> ExitStatus:
    """Serve until a signal; return the exit status."""
    try:
        settings = load_settings(arguments)
        configure_logging(settings.log_level, settings.log_format)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(serve(settings))
    except SettingsError as error:
        _complain(error)
        return ExitStatus.WRONG_SETTINGS
    except StartError as error:
        _complain(error)
        return error.status
    except KeyboardInterrupt:
        return ExitStatus.STOPPED


async def serve(settings: Settings) -> ExitStatus:
    """Load, serve, and stop when told to.

    Raises:
        StartError: a model cannot be loaded, or the address not be listened on.
    """
    stop = _stop_on_signals()
    async with run_server(settings) as running:
        models = ", ".join(running.engine.capabilities)
        _say(
            f"listening on {running.address}, models: {models}, "
            f"at most {settings.max_streams} streams"
        )
        is_well = await _watch(running.engine, stop)
        if not is_well:
            log.error("a decoding thread died; stopping")
        await running.drain(settings.grace_s if is_well else 0.0)
    return ExitStatus.STOPPED if is_well else ExitStatus.FAILED


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that takes streams."""

    address: str
    """HOST:PORT."""
    engine: Engine
    server: grpc.aio.Server
    health: health.aio.HealthServicer

    async def drain(self, grace_s: float) -> None:
        """Admit no more, let streams end, then make final what the remaining ones have heard."""
        await _set_health(self.health, health_pb2.HealthCheckResponse.NOT_SERVING)
        self.engine.slots.drain()
        await self.engine.slots.wait_until_free(grace_s)
        self.engine.interrupt(
            DrainingError("the server is stopping; go on with another one, or shortly")
        )
        await self.server.stop(LAST_FINALS_S)


@asynccontextmanager
async def run_server(settings: Settings) -> AsyncIterator[RunningServer]:
    """Serve while the block runs: ready, with every model warm, when it is entered.

    Raises:
        StartError: a model cannot be loaded, or the address not be listened on.
    """
    server = _new_server(settings)
    port = _bind(server, settings.listen)
    engine = await load_engine(settings)
    try:
        health_servicer = _add_services(server, engine, settings)
        await engine.warm_up()
        await server.start()
        await _set_health(health_servicer, health_pb2.HealthCheckResponse.SERVING)
        host = settings.listen.rpartition(":")[0]
        yield RunningServer(f"{host}:{port}", engine, server, health_servicer)
    finally:
        await server.stop(0)
        engine.close()


async def load_engine(settings: Settings) -> Engine:
    """Load every model and the voice activity detector.

    Raises:
        StartError: some cannot be loaded; names them all.
    """
    problems: list[str] = []
    models: list[Model] = []
    workers = settings.workers or os.cpu_count() or 1
    for text in settings.model:
        try:
            spec = registry.parse_spec(text)
            log.info("loading model", model=spec.name)
            recognizer = await asyncio.to_thread(registry.load, spec, settings.threads, workers)
        except ModelUnavailableError as error:
            problems.append(str(error))
            continue
        if any(model.name == spec.name for model in models):
            problems.append(f"two models are called {spec.name!r}; give one ?name=another")
        models.append(Model(spec.name, recognizer, workers))
    new_detector: DetectorFactory = EnergyDetector
    if settings.voice_activity == "silero":
        try:
            new_detector = silero.load()
        except silero.SileroUnavailableError as error:
            problems.append(str(error))
    if problems:
        raise StartError(ExitStatus.NO_MODEL, "\n".join(problems))
    return Engine(
        models, new_detector, Slots(settings.max_streams), settings.interim_interval_ms / 1000
    )


def _add_services(
    server: grpc.aio.Server, engine: Engine, settings: Settings
) -> health.aio.HealthServicer:
    """Mount speech, health and reflection; health says NOT_SERVING until it is set."""
    limits = Limits(settings.max_audio_message_bytes, settings.max_recording_bytes)
    server.add_generic_rpc_handlers((SpeechServicer(engine, limits).handler(),))
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if settings.reflection:
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    return health_servicer


def _new_server(settings: Settings) -> grpc.aio.Server:
    return grpc.aio.server(
        options=[
            (
                "grpc.max_receive_message_length",
                settings.max_recording_bytes + MESSAGE_OVERHEAD_BYTES,
            ),
            # Without these two a stream that is not read buffers two minutes of audio.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", 16_384),
            # All three, or a peer that is gone is noticed after a minute only.
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.http2.ping_timeout_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.server_handshake_timeout_ms", 5_000),
            # A second server on the same port is to fail, not to share it unnoticed.
            ("grpc.so_reuseport", 0),
        ]
    )


def _bind(server: grpc.aio.Server, address: str) -> int:
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise StartError(
            ExitStatus.CANNOT_LISTEN,
            f"cannot listen on {address}: it is taken or not an address of this machine; "
            "choose another with --listen HOST:PORT",
        ) from error


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.Loop


def _say(line: str) -> None:
    """Tell whoever started the server, or a script that waits for the line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(error: Exception) -> None:
    sys.stderr.write(f"error: {error}\n")


def _stop_on_signals() -> asyncio.Event:
    """Return what the first SIGTERM or SIGINT sets; the second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("stopping", signal=number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


async def _watch(engine: Engine, stop: asyncio.Event) -> bool:
    """Wait until the process is told to stop, or the engine dies; return whether it is well."""
    while engine.is_healthy:
        try:
            await asyncio.wait_for(stop.wait(), HEALTH_INTERVAL_S)
        except TimeoutError:
            continue
        return True
    return False


async def _set_health(
    servicer: health.aio.HealthServicer, status: health_pb2.HealthCheckResponse.ServingStatus
) -> None:
    for name in ("", SERVICE):
        await servicer.set(name, status)
