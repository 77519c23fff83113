"""Reading on a thread what would block the event loop."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator

DEPTH_BLOCKS = 4
"""Blocks that are read ahead. More would only move the waiting from the disk to memory."""


async def prefetched(
    open_blocks: Callable[[], Iterator[bytes]], depth: int = DEPTH_BLOCKS
) -> AsyncGenerator[bytes, None]:
    """Yield what a blocking iterator yields, read ahead on a thread of its own.

    The iterator is made, advanced and closed on that thread. The thread is a daemon, since a read
    of standard input may never return, and nothing may wait for it when the program is told to
    leave.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
    room = threading.Semaphore(depth)
    left = threading.Event()

    def put(item: bytes | Exception | None) -> None:
        # The loop may be closed by now; then nobody wants the item.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(arrived.put_nowait, item)

    def read() -> None:
        blocks = open_blocks()
        try:
            for block in blocks:
                room.acquire()
                if left.is_set():
                    break
                put(block)
            put(None)
        except Exception as error:  # noqa: BLE001 - the reader raises it
            put(error)
        finally:
            if (close := getattr(blocks, "close", None)) is not None:
                close()

    threading.Thread(target=read, name="audio-reader", daemon=True).start()
    try:
        while (item := await arrived.get()) is not None:
            if isinstance(item, Exception):
                raise item
            room.release()
            yield item
    finally:
        left.set()
        room.release()
