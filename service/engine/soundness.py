"""Whether a model still decodes at all: one whose every decode raises must not look well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from service.core.decoding import JobKind
from service.recognizers.doubt import Doubt

log = structlog.get_logger()


class Soundness:
    """Counts the failures of one model. Belongs to the event loop.

    A decode that raises ends its stream, and no more: it may have been the audio. After some in
    a row with none that worked, the model is tried on audio of our own. Only if that fails is
    the model unsound: what clients send must never end the process.
    """

    def __init__(
        self, try_out: Callable[[], Awaitable[None]], on_unsound: Callable[[], None]
    ) -> None:
        """Watch a model.

        Args:
            try_out: Decodes what every sound model can; raises where it cannot.
            on_unsound: Called once, when that has failed.
        """
        self._try_out = try_out
        self._on_unsound = on_unsound
        self._doubt = Doubt()
        self._trying: asyncio.Task[None] | None = None
        self._is_unsound = False

    def decoded(self, kind: JobKind, error: BaseException | None) -> None:
        """Note what became of a decode."""
        is_due = self._doubt.decoded(
            is_interim=kind is JobKind.INTERIM, has_failed=error is not None
        )
        if is_due and self._trying is None and not self._is_unsound:
            self._trying = asyncio.create_task(self._try())

    async def _try(self) -> None:
        try:
            await self._try_out()
        except Exception:
            log.exception("the model fails on audio of our own as well")
            self._is_unsound = True
            self._on_unsound()
        else:
            log.warning("decodes fail, but the model is sound")
            self._doubt.clear()
        finally:
            self._trying = None
