"""Clients of the soak: each runs as a process of its own and prints what it saw as JSON.

python -m benchmarks.soak_clients NAME ADDRESS COUNT [ARGUMENT]

`benchmarks.soak` starts them, so that only the server's part of the machine is measured there.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any

import grpc
import grpc.aio
import uvloop

from benchmarks.soak_support import SENTENCE, SPEECH
from client.call import GrpcCall
from client.errors import from_status
from client.stream import Client, RecognitionError, RecognitionStream, StreamingConfig
from protos.asr.v1 import asr_pb2, asr_pb2_grpc

PARALLEL = 10
BLOCK_BYTES = 3_200
BLOCK_S = 0.1
WORDS_BYTES = 32_000 * 11 // 10
"""Of the sentence, when its last word has almost been said."""
STALLED_PER_CONNECTION = 50
KNOCK_EVERY_S = 0.25
DOZE_S = 0.01
"""How often it is looked by how much a timer is late in the process that measures."""
DEADLINE_S = 0.02

EXPECTED = {
    "recognized": "OK",
    "empty": "OK",
    "cancelled": "OK",
    "late": "DEADLINE_EXCEEDED",
    "broken": "PROTOCOL_VIOLATION",
    "refused": "UNKNOWN_MODEL",
}
"""How each kind of a short stream must end, as its client sees it."""

ORDER = (
    *("recognized", "empty", "recognized", "cancelled", "recognized"),
    *("late", "recognized", "broken", "recognized", "refused"),
)


async def mixed(address: str, count: int, speech: bytes) -> object:
    """Run short streams that end in every way; the same speech must give the same text."""
    outcomes: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    numbers = iter(range(count))
    async with (
        Client(address, retry=False) as client,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = asr_pb2_grpc.SpeechServiceStub(channel)

        async def run() -> None:
            for number in numbers:
                kind = ORDER[number % len(ORDER)]
                try:
                    if kind == "late":
                        outcome = await _late(address, stub)
                    else:
                        outcome = await _short(client, kind, speech, texts)
                except RecognitionError as error:
                    outcome = error.reason or error.code
                outcomes[f"{kind} {outcome}"] += 1

        await asyncio.gather(*(run() for _ in range(PARALLEL)))
    wrong = {
        name: number
        for name, number in outcomes.items()
        if EXPECTED[name.split()[0]] != name.split()[1]
    }
    return {"outcomes": outcomes, "wrong": wrong, "texts": texts}


async def _short(client: Client, kind: str, speech: bytes, texts: Counter[str]) -> str:
    config = StreamingConfig(interim_results=True, model="no such model" * (kind == "refused"))
    async with client.stream(config) as stream:
        if kind != "empty":
            await stream.send(speech)
        if kind == "cancelled":
            return "OK"
        if kind == "broken":
            await stream.write(asr_pb2.AudioChunk())
        await stream.finish()
        heard = [t.final_result.text async for t in stream if t.HasField("final_result")]
    if kind == "recognized":
        texts[" ".join(heard)] += 1
    return "OK"


async def _late(address: str, stub: Any) -> str:  # noqa: ANN401 - the stub of asyncio has no type
    # As the client library does, so that a write which the deadline cuts does not hide the status.
    call = GrpcCall(address, stub.StreamingRecognize(timeout=DEADLINE_S))
    await call.write(asr_pb2.AudioChunk(config=StreamingConfig()))
    while await call.read() is not None:
        pass
    failure = await call.failure()
    return "OK" if failure is None else failure.code


async def stalled(address: str, count: int) -> object:
    """Open streams, say a sentence, and then neither send nor read until they have ended."""
    async with AsyncExitStack() as channels:
        calls = []
        for number in range(count):
            if number % STALLED_PER_CONNECTION == 0:
                options = [("grpc.use_local_subchannel_pool", 1)]
                channel = await channels.enter_async_context(
                    grpc.aio.insecure_channel(address, options)
                )
            call = asr_pb2_grpc.SpeechServiceStub(channel).StreamingRecognize()
            await call.write(asr_pb2.AudioChunk(config=StreamingConfig(interim_results=True)))
            await call.read()
            for begin in range(0, len(SENTENCE), BLOCK_BYTES):
                audio = SENTENCE[begin : begin + BLOCK_BYTES]
                await call.write(asr_pb2.AudioChunk(audio=audio))
            calls.append(call)
        print(json.dumps("ready"), flush=True)
        # The parent writes a line when the server has freed all slots.
        await asyncio.to_thread(sys.stdin.readline)
        return Counter([await _ended(address, call, Counter()) for call in calls])


async def never_reads(address: str, seconds: int, patience_s: float) -> object:
    """Send so much speech as fast as it is taken, and read only when no more is."""
    sent = 0
    kinds: Counter[str] = Counter()
    async with grpc.aio.insecure_channel(address) as channel:
        call = asr_pb2_grpc.SpeechServiceStub(channel).StreamingRecognize()
        await call.write(asr_pb2.AudioChunk(config=StreamingConfig(interim_results=True)))
        message = asr_pb2.AudioChunk(audio=SENTENCE)
        while sent < seconds * 32_000:
            writing = asyncio.ensure_future(call.write(message))
            done, _ = await asyncio.wait({writing}, timeout=patience_s)
            if not done or writing.exception() is not None:
                break
            sent += len(SENTENCE)
        print(json.dumps(sent / 32_000), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        status = await _ended(address, call, kinds)
        await asyncio.gather(writing, return_exceptions=True)
    return {"status": status, "read at last": kinds}


async def _ended(address: str, call: Any, kinds: Counter[str]) -> str:  # noqa: ANN401
    """Read what a call has left and return its status."""
    try:
        while (transcript := await call.read()) is not grpc.aio.EOF:
            kinds[transcript.WhichOneof("event")] += 1
    except (grpc.RpcError, asyncio.InvalidStateError):
        pass
    code, details, trailers = (
        await call.code(),
        await call.details(),
        await call.trailing_metadata(),
    )
    error = from_status(address, code.name, details or "", tuple(trailers or ()))
    return error.reason or error.code


async def paced(address: str, count: int, seconds: float) -> object:
    """Speak at the pace of speech; return the times from each flush to its answer."""
    took_s: list[float] = []
    end_s = time.monotonic() + seconds

    async def speak(stream: RecognitionStream, number: int) -> None:
        # Spread over a sentence, as callers would be.
        due_s = time.monotonic() + number / count * len(SENTENCE) / 32_000
        while due_s < end_s:
            for begin in range(0, len(SENTENCE), BLOCK_BYTES):
                await asyncio.sleep(due_s - time.monotonic())
                await stream.send(SENTENCE[begin : begin + BLOCK_BYTES])
                due_s += BLOCK_S
                # In the last word: later the final would have been decoded ahead of time.
                if begin <= WORDS_BYTES < begin + BLOCK_BYTES:
                    began_s = time.perf_counter()
                    await stream.flush("sentence")
                    async for transcript in stream:
                        if transcript.HasField("flush_done"):
                            break
                    took_s.append(time.perf_counter() - began_s)

    async with Client(address) as client, AsyncExitStack() as streams:
        config = StreamingConfig(interim_results=True)
        opened = [await streams.enter_async_context(client.stream(config)) for _ in range(count)]
        print(json.dumps("ready"), flush=True)
        await asyncio.gather(*(speak(stream, number) for number, stream in enumerate(opened)))
    return took_s


async def knocking(address: str, count: int, seconds: float) -> object:
    """Ask for streams again and again; return the times to each refusal, and the own lag."""
    refused_s: list[float] = []
    lag_s: list[float] = []
    reasons: Counter[str] = Counter()
    end_s = time.monotonic() + seconds

    async def doze() -> None:
        while True:
            began_s = time.perf_counter()
            await asyncio.sleep(DOZE_S)
            lag_s.append(time.perf_counter() - began_s - DOZE_S)

    async def knock(client: Client, number: int) -> None:
        await asyncio.sleep(number / count * KNOCK_EVERY_S)
        while time.monotonic() < end_s:
            began_s = time.perf_counter()
            try:
                async with client.stream():
                    reasons["admitted"] += 1
            except RecognitionError as error:
                refused_s.append(time.perf_counter() - began_s)
                reasons[error.reason or error.code] += 1
            await asyncio.sleep(KNOCK_EVERY_S)

    async with Client(address, retry=False) as client:
        # The first time a process does anything it is slow.
        with suppress(RecognitionError):
            async with client.stream():
                pass
        dozing = asyncio.create_task(doze())
        await asyncio.gather(*(knock(client, number) for number in range(count)))
        dozing.cancel()
    return {"refused_s": refused_s, "reasons": reasons, "lag_s": lag_s}


async def mixed_of(address: str, count: int, recording: str) -> object:
    """Run `mixed` with a recording, or with what the scripted recognizer hears."""
    if not recording:
        return await mixed(address, count, SPEECH)
    import soundfile

    samples, _ = soundfile.read(recording, dtype="int16")
    return await mixed(address, count, samples.tobytes())


def main() -> None:
    """Be one of them."""
    name, address, count, *rest = sys.argv[1:]
    clients: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "mixed": lambda: mixed_of(address, int(count), *rest),
        "stalled": lambda: stalled(address, int(count)),
        "never-reads": lambda: never_reads(address, int(count), float(rest[0])),
        "paced": lambda: paced(address, int(count), float(rest[0])),
        "knocking": lambda: knocking(address, int(count), float(rest[0])),
    }
    print(json.dumps(uvloop.run(clients[name]())), flush=True)


if __name__ == "__main__":
    main()
