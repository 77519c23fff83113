"""Loading the models and what listens for speech."""

from __future__ import annotations

import asyncio
import os

import structlog

from service.core.vad import DetectorFactory, EnergyDetector
from service.detectors import silero
from service.engine.engine import Engine, Model
from service.engine.slots import Slots
from service.process import ExitStatus, StartError, resident_bytes
from service.recognizers import registry
from service.recognizers.base import ModelUnavailableError
from service.settings import Settings

log = structlog.get_logger()


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
            before_bytes = resident_bytes()
            recognizer = await asyncio.to_thread(registry.load, spec, settings.threads, workers)
        except ModelUnavailableError as error:
            problems.append(str(error))
            continue
        if any(model.name == spec.name for model in models):
            problems.append(f"two models are called {spec.name!r}; give one ?name=another")
        grown_bytes = max(0, resident_bytes() - before_bytes)
        decodes = settings.workers or max(workers, 2 * recognizer.capabilities.batch_size)
        models.append(Model(spec.name, recognizer, decodes, grown_bytes))
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
