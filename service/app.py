"""The composition root: loads, wires, serves, and stops in good order."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog
import uvloop
from grpc_reflection.v1alpha import reflection

from service.engine.callers import Callers
from service.engine.engine import Engine
from service.engine.refusals import DrainingError, EngineFailedError
from service.engine.supervision import Supervisor, Watch
from service.loading import load_engine
from service.memory import giving_back, memory_bytes, one_heap
from service.monitoring import monitoring
from service.options import SettingsError, load_settings
from service.ports import SideAddresses, bind, side_servers
from service.process import (
    ExitStatus,
    StartError,
    complain,
    exit_blocked,
    exit_now,
    exit_within,
    say,
    stop_on_signals,
)
from service.rpc.door import Door
from service.rpc.guard import Guard
from service.rpc.health import HEALTH_SERVICE, LIVENESS, READINESS, Health
from service.rpc.limits import Limits
from service.rpc.record import Ledger
from service.rpc.servicer import SERVICE, SpeechServicer
from service.rpc.tls import ServerTls
from service.rpc.transport import server_options
from service.security import authentication, server_tls
from service.settings import Settings
from service.telemetry import LineWriter, configure_logging
from service.watched import FileError
from service.workers.roster import Roster

if TYPE_CHECKING:
    from service.observability.prometheus import Facts

LAST_FINALS_S = 5.0
"""Time to decode and send the finals of streams that were cut at the end of the grace."""

LAST_WORDS_S = 2.0
"""In which a server whose engine has failed still answers, with the truth."""

CLOSING_S = 20.0
"""Time to free everything when all streams have ended."""

TAKES_STREAMS = ("", SERVICE, READINESS)
"""Names of the health service that tell whether new streams are welcome."""

log = structlog.get_logger()


def main(arguments: Sequence[str]) -> ExitStatus:
    """Serve until a signal; return the exit status."""
    one_heap()
    try:
        settings = load_settings(arguments)
        lines = configure_logging(settings.log_level, settings.log_format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(settings, lines))
    except SettingsError as error:
        complain(error)
        return ExitStatus.WRONG_SETTINGS
    except StartError as error:
        complain(error)
        return error.status
    except KeyboardInterrupt:
        return ExitStatus.STOPPED


async def serve(settings: Settings, lines: LineWriter) -> ExitStatus:
    """Load, serve, and stop when told to. Ends the process itself when something hangs.

    Raises:
        StartError: a model cannot be loaded, or the address not be listened on.
    """
    stop = stop_on_signals(lambda number: log.info("stopping", signal=number.name))

    def stop_loading(_: asyncio.Future[signal.Signals]) -> NoReturn:
        # A model that is being loaded cannot be interrupted, and nobody is served yet.
        exit_now(ExitStatus.STOPPED, lines.drain)

    stop.add_done_callback(stop_loading)
    async with run_server(settings, lambda: lines.lost) as running:
        stop.remove_done_callback(stop_loading)
        # A decode that hangs in a worker ends with the worker, before it could be found here.
        max_decode_s = settings.max_decode_s * (2 if settings.workers else 1)
        failure = running.engine.failure
        watch = Watch(
            running.engine.schedulers,
            max_decode_s,
            settings.max_block_s,
            lambda: running.roster.deserted,
            settings.max_deserted_s,
        )
        supervisor = Supervisor(watch, running.engine.give_up, lambda: exit_blocked(lines.drain))
        models = ", ".join(running.engine.capabilities)
        how = "with TLS" if settings.tls_cert else "without TLS"
        say(
            f"listening on {running.address}, {how}, models: {models}, "
            f"at most {settings.max_streams} streams"
        )
        # What is there now stays: without it a full collection stops the loop for a moment only.
        gc.collect()
        gc.freeze()
        await _either(stop, failure)
        if not failure.done():
            # Ctrl-C is a person's, and no load balancer has to be told.
            lame_duck_s = settings.lame_duck_s if stop.result() is signal.SIGTERM else 0.0
            draining = asyncio.create_task(
                running.drain(settings.grace_s, lame_duck_s, settings.notice_s)
            )
            await _either(draining, failure)
        if failure.done():
            log.critical("recognition has failed; stopping", problem=failure.result())
            await running.fail()
            exit_now(ExitStatus.FAILED, lines.drain)
        supervisor.close()
        # What is left to close may hang; every stream has had its answer.
        exit_within(CLOSING_S, lambda: exit_now(ExitStatus.FAILED, lines.drain))
    return ExitStatus.STOPPED


async def _either(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that takes streams."""

    address: str
    """HOST:PORT."""
    sides: SideAddresses
    """Of the ports for probes and administration."""
    metrics_address: str
    """Of the port for metrics, or empty."""
    engine: Engine
    server: grpc.aio.Server
    health: Health
    servicer: SpeechServicer
    roster: Roster
    """The workers, if there are any."""

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

    async def fail(self) -> None:
        """Tell everyone that nothing is recognized here any more, and leave time to hear it."""
        self.health.set((*TAKES_STREAMS, LIVENESS), is_serving=False)
        self.engine.fail(EngineFailedError)
        await asyncio.sleep(LAST_WORDS_S)


@asynccontextmanager
async def run_server(
    settings: Settings, lines_lost: Callable[[], int] = int
) -> AsyncIterator[RunningServer]:
    """Serve while the block runs: ready, with every model warm, when it is entered.

    Until then streams are refused with LOADING, and health says that it lives but is not
    ready.

    Raises:
        StartError: a model cannot be loaded, or the address not be listened on.
    """
    try:
        tls, door = server_tls(settings), Door(authentication(settings))
    except FileError as error:
        raise StartError(ExitStatus.WRONG_SETTINGS, str(error)) from error
    health = Health((*TAKES_STREAMS, LIVENESS))
    async with monitoring(settings) as monitors, side_servers(settings, health) as sides:
        server = grpc.aio.server(interceptors=[Guard(door)], options=server_options(settings))
        address = bind(server, settings.listen, tls)
        servicer = SpeechServicer(
            _limits(settings),
            Callers(settings.max_streams_per_caller, settings.max_starts_per_caller),
            door,
            Ledger(monitors.observers),
        )
        _mount(server, servicer, health, settings)
        roster = _roster(health)
        engine: Engine | None = None
        try:
            health.set((LIVENESS,), is_serving=True)
            await server.start()
            engine = await load_engine(settings, roster)
            await engine.warm_up()
            monitors.watch(partial(_facts, settings, engine, health, tls, lines_lost, roster))
            servicer.serve(engine)
            health.set(TAKES_STREAMS, is_serving=True)
            with giving_back():
                yield RunningServer(
                    address, sides, monitors.address, engine, server, health, servicer, roster
                )
        finally:
            await server.stop(0)
            if engine is not None:
                engine.close()


def _facts(
    settings: Settings,
    engine: Engine,
    health: Health,
    tls: ServerTls | None,
    lines_lost: Callable[[], int],
    roster: Roster,
) -> Facts:
    from service.observability.prometheus import Facts

    return Facts(
        slots_taken=lambda: engine.slots.taken,
        is_ready=lambda: health.is_serving(READINESS),
        log_lines_lost=lines_lost,
        certificate_expires_at=tls.expiry_timestamp_s if tls else None,
        slots=settings.max_streams,
        model_memory_bytes=engine.memory_bytes,
        batch_sizes=lambda: engine.batch_sizes,
        memory_bytes=lambda: memory_bytes(frozenset().union(*roster.ready.values())),
        workers_ready=lambda: {name: len(pids) for name, pids in roster.ready.items()},
        workers_lost=lambda: roster.losses,
    )


def _roster(health: Health) -> Roster:
    """Return where workers are noted; without one for each model no new streams are welcome."""
    loop = asyncio.get_running_loop()

    def tell() -> None:
        health.suspend(TAKES_STREAMS if roster.deserted else ())

    def tell_soon() -> None:
        # The loop is gone when a process ends with workers running.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell)

    roster = Roster(tell_soon)
    return roster


def _limits(settings: Settings) -> Limits:
    return Limits(
        audio_message_bytes=settings.max_audio_message_bytes,
        recording_bytes=settings.max_recording_bytes,
        first_message_s=settings.first_message_s,
        idle_s=settings.idle_s,
        stream_s=settings.max_stream_s,
        recognize_s=settings.max_recognize_s,
        notice_s=settings.notice_s,
        expired_s=settings.max_expired_s,
    )


def _mount(
    server: grpc.aio.Server, servicer: SpeechServicer, health: Health, settings: Settings
) -> None:
    server.add_generic_rpc_handlers((servicer.handler(), health.handler()))
    if settings.reflection:
        names = (SERVICE, HEALTH_SERVICE, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
