"""By how much the event loop is late: what everything else waits for as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

INTERVAL_S = 0.25


@asynccontextmanager
async def measuring_lag(observe: Callable[[float], None]) -> AsyncIterator[None]:
    """Tell every INTERVAL_S by how many seconds a timer was late, while the block runs."""
    task = asyncio.create_task(_measure(observe))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _measure(observe: Callable[[float], None]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + INTERVAL_S
        await asyncio.sleep(INTERVAL_S)
        observe(max(0.0, loop.time() - due_s))
