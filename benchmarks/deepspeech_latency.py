"""How late finals are: one stream at the pace of speech.

Used by benchmarks.deepspeech.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from benchmarks.support import RATE_HZ, Clip, Server
from client.stream import Client, StreamingConfig, to_seconds
from service.core.decoding import JobKind
from service.recognizers.base import Recognizer
from tests.driver import Driver

SILENCE_S = 0.8
MESSAGE_S = 0.02


async def latencies(server: Server, clips: Sequence[Clip]) -> tuple[list[float], list[float]]:
    """Return the seconds to each final: after the silence that ends it, after a half-close."""
    endpoints: list[float] = []
    closes: list[float] = []
    async with Client(server.address) as client:
        for clip in clips:
            endpoints += await _after_silence(client, clip)
            closes += await _after_close(client, clip)
    return endpoints, closes


async def _after_silence(client: Client, clip: Clip) -> list[float]:
    """Return the seconds from the end of each segment's silence to its final."""
    data = clip.pcm + bytes(2 * round((SILENCE_S + 0.6) * RATE_HZ))
    sent_s: list[float] = []
    ended_s: list[float] = []
    late: list[float] = []
    async with client.stream(StreamingConfig()) as stream:
        sending = asyncio.create_task(_send_paced(stream.send, data, sent_s))
        async for transcript in stream:
            match transcript.WhichOneof("event"):
                case "speech_ended":
                    ended_s.append(to_seconds(transcript.speech_ended.offset))
                case "final_result":
                    message = int((ended_s[-1] + SILENCE_S) / MESSAGE_S)
                    if message < len(sent_s):
                        late.append(time.monotonic() - sent_s[message])
                    break
        await sending
    return late


async def _after_close(client: Client, clip: Clip) -> list[float]:
    """Return the seconds from the half-close to the last final."""
    async with client.stream(StreamingConfig()) as stream:

        async def send() -> float:
            await _send_paced(stream.send, clip.pcm, [])
            await stream.finish()
            return time.monotonic()

        sending = asyncio.create_task(send())
        final_s = [
            time.monotonic() async for transcript in stream if transcript.HasField("final_result")
        ]
        closed_s = await sending
    return [max(0.0, final_s[-1] - closed_s)] if final_s else []


async def _send_paced(send: Callable[..., object], data: bytes, sent_s: list[float]) -> None:
    """Send each message when its last sample would have been spoken; note when it was sent."""
    began_s, size = time.monotonic(), round(MESSAGE_S * RATE_HZ) * 2
    for index, begin in enumerate(range(0, len(data), size), start=1):
        await asyncio.sleep(max(0.0, began_s + index * MESSAGE_S - time.monotonic()))
        sent_s.append(time.monotonic())
        await send(data[begin : begin + size])


def cpu_left(recognizer: Recognizer, clips: Sequence[Clip]) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of each final, after a silence and after a half-close.

    In virtual time: everything that can be heard before has been heard. It is what of the
    lateness does not depend on who else uses the machine.
    """
    after_silence = [
        _final_cpu_s(recognizer, clip.pcm + bytes(2 * round((SILENCE_S + 0.6) * RATE_HZ)))
        for clip in clips
    ]
    after_close = [_final_cpu_s(recognizer, clip.pcm) for clip in clips]
    return after_silence, after_close


def _final_cpu_s(recognizer: Recognizer, data: bytes) -> float:
    """Return the CPU seconds of the slowest final of a stream that ends without silence."""
    driver = Driver(recognizer=recognizer, interim_results=False, hears_ahead=True)
    spent_s = 0.0
    size = round(MESSAGE_S * RATE_HZ) * 2
    for begin in range(0, len(data) + size, size):
        if begin < len(data):
            driver.session.feed(data[begin : begin + size])
        else:
            driver.session.finish()
        while (kind := driver.session.wanted()) is not None:
            begin_s = time.process_time()
            driver.work_once()
            if kind is JobKind.FINAL:
                spent_s = max(spent_s, time.process_time() - begin_s)
    driver.close()
    return spent_s
