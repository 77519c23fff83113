"""What is left of a stream that has ended."""

from __future__ import annotations

import gc

import grpc
import pytest

from protos.asr.v1 import asr_pb2
from service.core.session import RecognitionSession
from tests.rpc.streams import audio, config, flush, recognize, until
from tests.tones import pcm, tones

SPOKEN = [
    config(interim_results=True),
    *audio(pcm(tones("alfa bravo"))),
    flush(),
    *audio(pcm(tones("charlie"))),
]


async def half_closes(stub) -> None:
    await recognize(stub, SPOKEN)


async def breaks_the_contract(stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="INVALID_ARGUMENT"):
        await recognize(stub, [*SPOKEN, asr_pb2.AudioChunk()])


async def cancels(stub) -> None:
    call = stub.StreamingRecognize()
    for message in SPOKEN:
        await call.write(message)
    await call.read()
    call.cancel()


WAYS = {way.__name__: way for way in (half_closes, breaks_the_contract, cancels)}


@pytest.mark.parametrize("ends", WAYS.values(), ids=WAYS)
async def test_a_stream_that_has_ended_is_freed_at_once(server, stub, ends):
    """Its audio, and what models keep of it, do not wait for the garbage collector.

    That comes by seldom: until then a busy server held some hundred megabytes for nobody.
    """
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            await ends(stub)
        await server.engine.slots.wait_until_free(50)
        # grpc itself keeps a failed one until the next call.
        await until(lambda: len(_sessions()) <= 1)
    finally:
        gc.enable()


def _sessions() -> list[RecognitionSession]:
    # Asking some objects for their class, as isinstance does, gives warnings.
    return [known for known in gc.get_objects() if type(known) is RecognitionSession]
