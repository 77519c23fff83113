"""Loading the models and what listens for speech."""

from __future__ import annotations

import asyncio
import math
import os
from functools import partial

import structlog

from service.core.capabilities import Capabilities
from service.core.vad import DetectorFactory, EnergyDetector
from service.detectors import silero
from service.engine.engine import Engine, Model
from service.engine.slots import Slots
from service.memory import resident_bytes
from service.process import ExitStatus, StartError
from service.recognizers import registry
from service.recognizers.base import ModelUnavailableError, Recognizer
from service.settings import Settings
from service.workers.pool import WorkerPool
from service.workers.remote import RemoteRecognizer
from service.workers.roster import Roster
from service.workers.worker import Launch

log = structlog.get_logger()


async def load_engine(settings: Settings, roster: Roster | None = None) -> Engine:
    """Load every model and the voice activity detector.

    Args:
        settings: What to load, and into which processes.
        roster: Told of the workers, if there are any.

    Raises:
        StartError: some cannot be loaded; names them all.
    """
    problems: list[str] = []
    models: list[Model] = []
    for text in settings.model:
        try:
            spec = registry.parse_spec(text)
            log.info("loading model", model=spec.name)
            if settings.workers:
                pool = await asyncio.to_thread(
                    _start_workers, settings, spec.name, text, roster or Roster()
                )
                recognizer: Recognizer = RemoteRecognizer(pool)
                grown_bytes = pool.memory_bytes
            else:
                before_bytes = resident_bytes()
                recognizer = await asyncio.to_thread(
                    registry.load, spec, settings.threads, _decodes(settings)
                )
                grown_bytes = max(0, resident_bytes() - before_bytes)
        except ModelUnavailableError as error:
            problems.append(str(error))
            continue
        if any(model.name == spec.name for model in models):
            problems.append(f"two models are called {spec.name!r}; give one ?name=another")
        at_once = _decodes(settings, recognizer.capabilities)
        models.append(Model(spec.name, recognizer, at_once, grown_bytes, not settings.workers))
    new_detector: DetectorFactory = EnergyDetector
    if settings.voice_activity == "silero":
        try:
            new_detector = silero.load()
        except silero.SileroUnavailableError as error:
            problems.append(str(error))
    if problems:
        for model in models:
            model.recognizer.close()
        raise StartError(ExitStatus.NO_MODEL, "\n".join(problems))
    return Engine(
        models,
        new_detector,
        Slots(settings.max_streams),
        settings.interim_interval_ms / 1000,
        settings.max_backlog_s,
    )


def _decodes(settings: Settings, capabilities: Capabilities | None = None) -> int:
    """Return how many decodes of a model there are to be at once, in all its processes.

    Args:
        settings: Where it may be said.
        capabilities: Of the model, once they are known.
    """
    if settings.decodes:
        return settings.decodes
    cores = os.cpu_count() or 1
    if capabilities is None or capabilities.batch_size == 1:
        return cores
    # While a batch is computed, the next one gathers; each process has its own.
    return max(cores, 2 * capabilities.batch_size * max(1, settings.workers))


def _lanes(settings: Settings, capabilities: Capabilities | None = None) -> int:
    """Return how many decodes a worker is to have room for.

    Twice its share: streams whose state is there stay there, and when another worker dies this
    one takes its decodes as well.
    """
    decodes = _decodes(settings, capabilities)
    return min(decodes, 2 * math.ceil(decodes / settings.workers))


def _start_workers(settings: Settings, name: str, text: str, roster: Roster) -> WorkerPool:
    launch = Launch(
        spec=text,
        threads=settings.threads,
        decodes=_lanes(settings),
        lanes=partial(_lanes, settings),
        max_decode_s=settings.max_decode_s,
        max_reload_s=settings.max_deserted_s,
        log_level=settings.log_level,
        log_format=settings.log_format,
    )
    return WorkerPool(name, launch, settings.workers, roster)
