"""The obvious way, to compare with: decode all audio so far, again and again.

python -m benchmarks.naive_server

Speaks the contract's StreamingRecognize with the default recognizer's weights: every
second of new audio, faster-whisper transcribes everything since the last flush, and a
flush or the half-close once more for the final. Nothing is agreed on or cut.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faster_whisper
import grpc
import numpy as np
import uvloop

from benchmarks.support import RATE_HZ
from client.messages import to_duration
from protos.asr.v1 import asr_pb2, asr_pb2_grpc
from service.recognizers.whisper_folder import bundled_folder

INTERVAL_BYTES = 2 * RATE_HZ
"""New audio between two interims: a second."""


class Naive(asr_pb2_grpc.SpeechServiceServicer):
    """Growing windows."""

    def __init__(self, workers: int) -> None:
        """Load the weights, for so many decodes at once."""
        self._pool = ThreadPoolExecutor(workers)
        self._model = faster_whisper.WhisperModel(
            str(bundled_folder()),
            device="cpu",
            compute_type="int8",
            cpu_threads=1,
            num_workers=workers,
        )

    async def StreamingRecognize(  # noqa: N802
        self,
        request_iterator: AsyncIterator[asr_pb2.AudioChunk],
        context: object,  # noqa: ARG002
    ) -> AsyncIterator[asr_pb2.Transcript]:
        """Recognize."""
        done_bytes, segment_id = 0, 0
        audio = bytearray()
        decoded_bytes = 0
        interims = False
        async for message in request_iterator:
            interims = interims or message.config.interim_results
            audio += message.audio
            if message.HasField("flush"):
                yield asr_pb2.Transcript(
                    final_result=await self._result(audio, done_bytes, segment_id)
                )
                yield asr_pb2.Transcript(flush_done=asr_pb2.FlushDone(id=message.flush.id))
                done_bytes, segment_id = done_bytes + len(audio), segment_id + 1
                decoded_bytes = 0
                audio.clear()
            elif interims and len(audio) - decoded_bytes >= INTERVAL_BYTES:
                decoded_bytes = len(audio)
                yield asr_pb2.Transcript(
                    interim_result=await self._result(audio, done_bytes, segment_id)
                )
        yield asr_pb2.Transcript(final_result=await self._result(audio, done_bytes, segment_id))

    async def _result(self, audio: bytearray, begin_bytes: int, segment_id: int) -> asr_pb2.Result:
        samples = np.frombuffer(bytes(audio), dtype="<i2").astype(np.float32) / 32_768
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(self._pool, self._transcribe, samples)
        return asr_pb2.Result(
            segment_id=segment_id,
            text=text,
            start_offset=to_duration(begin_bytes / 2 / RATE_HZ),
            end_offset=to_duration((begin_bytes + len(audio)) / 2 / RATE_HZ),
        )

    def _transcribe(self, samples: Any) -> str:  # noqa: ANN401
        segments, _ = self._model.transcribe(samples, beam_size=1, temperature=0.0)
        return " ".join(segment.text.strip() for segment in segments)


async def serve() -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    asr_pb2_grpc.add_SpeechServiceServicer_to_server(Naive(os.cpu_count() or 1), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on 127.0.0.1:{port}, models: naive", flush=True)
    await stopped.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(serve())
