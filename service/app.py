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
from grpc_reflection.v1alpha import reflection

from service.core.vad import DetectorFactory, EnergyDetector
from service.detectors import silero
from service.engine.callers import Callers
from service.engine.engine import Engine, Model
from service.engine.refusals import DrainingError
from service.engine.slots import Slots
from service.recognizers import registry
from service.recognizers.base import ModelUnavailableError
from service.rpc.guard import Guard
from service.rpc.health import HEALTH_SERVICE, LIVENESS, READINESS, Health
from service.rpc.limits import Limits
from service.rpc.servicer import SERVICE, SpeechServicer
from service.rpc.transport import server_options
from service.settings import Settings, SettingsError, load_settings
from service.telemetry import configure_logging

HEALTH_INTERVAL_S = 1.0
"""How often it is seen to that the engine still runs."""

LAST_FINALS_S = 5.0
"""Time to decode and send the finals of streams that were cut at the end of the grace."""

TAKES_STREAMS = ("", SERVICE, READINESS)
"""Names of the health service that tell whether new streams are welcome."""

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
        if is_well:
            # Ctrl-C is a person's, and no load balancer has to be told.
            lame_duck_s = settings.lame_duck_s if stop.result() is signal.SIGTERM else 0.0
            await running.drain(settings.grace_s, lame_duck_s, settings.notice_s)
        else:
            log.error("a decoding thread died; stopping")
            await running.drain(0.0)
    return ExitStatus.STOPPED if is_well else ExitStatus.FAILED


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that takes streams."""

    address: str
    """HOST:PORT."""
    health_address: str
    """Of the port for health checks alone, or empty."""
    engine: Engine
    server: grpc.aio.Server
    health: Health
    servicer: SpeechServicer

    async def drain(self, grace_s: float, lame_duck_s: float = 0.0, notice_s: float = 0.0) -> None:
        """Stop in good order; returns within the sum of the times and LAST_FINALS_S.

        1. Health says NOT_SERVING; new streams are still taken for ``lame_duck_s``, since
           whoever sends them has not heard of it yet.
        2. New streams are refused. Open ones have ``grace_s`` to end.
        3. ``notice_s`` before that is over, the remaining ones are told.
        4. What they have said is made final, and they end with UNAVAILABLE.
        """
        slots = self.engine.slots
        self.health.set(TAKES_STREAMS, is_serving=False)
        await asyncio.sleep(lame_duck_s)
        slots.drain()
        told_s = min(notice_s, grace_s)
        is_free = await slots.wait_until_free(grace_s - told_s)
        if told_s and not is_free:
            self.engine.warn(DrainingError.reason, told_s)
            await slots.wait_until_free(told_s)
        self.engine.interrupt(DrainingError())
        self.health.close()
        await self.server.stop(LAST_FINALS_S)


@asynccontextmanager
async def run_server(settings: Settings) -> AsyncIterator[RunningServer]:
    """Serve while the block runs: ready, with every model warm, when it is entered.

    Until then streams are refused with LOADING, and health says that it lives but is not
    ready.

    Raises:
        StartError: a model cannot be loaded, or the address not be listened on.
    """
    server = grpc.aio.server(interceptors=[Guard()], options=server_options(settings))
    address = _bind(server, settings.listen)
    # Of its own, so that probes get through when all connections are taken.
    health_server = grpc.aio.server(interceptors=[Guard()], options=[("grpc.so_reuseport", 0)])
    health_address = _bind(health_server, settings.health_listen) if settings.health_listen else ""
    health = Health((*TAKES_STREAMS, LIVENESS))
    servicer = SpeechServicer(
        _limits(settings), Callers(settings.max_streams_per_caller, settings.max_starts_per_caller)
    )
    _mount(server, servicer, health, settings)
    health_server.add_generic_rpc_handlers((health.handler(),))
    engine: Engine | None = None
    try:
        health.set((LIVENESS,), is_serving=True)
        await server.start()
        await health_server.start()
        engine = await load_engine(settings)
        await engine.warm_up()
        servicer.serve(engine)
        health.set(TAKES_STREAMS, is_serving=True)
        yield RunningServer(address, health_address, engine, server, health, servicer)
    finally:
        await server.stop(0)
        await health_server.stop(0)
        if engine is not None:
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
        models,
        new_detector,
        Slots(settings.max_streams),
        settings.interim_interval_ms / 1000,
        settings.max_backlog_s,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        audio_message_bytes=settings.max_audio_message_bytes,
        recording_bytes=settings.max_recording_bytes,
        first_message_s=settings.first_message_s,
        idle_s=settings.idle_s,
        stream_s=settings.max_stream_s,
        notice_s=settings.notice_s,
    )


def _mount(
    server: grpc.aio.Server, servicer: SpeechServicer, health: Health, settings: Settings
) -> None:
    server.add_generic_rpc_handlers((servicer.handler(), health.handler()))
    if settings.reflection:
        names = (SERVICE, HEALTH_SERVICE, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)


def _bind(server: grpc.aio.Server, address: str) -> str:
    """Take an address; returns it with the port that was got for port 0."""
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise StartError(
            ExitStatus.CANNOT_LISTEN,
            f"cannot listen on {address}: it is taken or not an address of this machine; "
            "choose another HOST:PORT",
        ) from error
    return f"{address.rpartition(':')[0]}:{port}"


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


def _stop_on_signals() -> asyncio.Future[signal.Signals]:
    """Return what the first SIGTERM or SIGINT sets; the second one ends the process at once."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        if stop.done():
            os._exit(128 + number)
        log.info("stopping", signal=number.name)
        stop.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


async def _watch(engine: Engine, stop: asyncio.Future[signal.Signals]) -> bool:
    """Wait until the process is told to stop, or the engine dies; return whether it is well."""
    while engine.is_healthy:
        done, _ = await asyncio.wait({stop}, timeout=HEALTH_INTERVAL_S)
        if done:
            return True
    return False
