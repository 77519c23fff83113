"""A bare grpc.aio server that answers each message: what the transport alone can do.

python -m benchmarks.echo_server

Speaks the contract's StreamingRecognize and recognizes nothing: a flush is answered with
its FlushDone, any other message with cursors alone.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import grpc
import uvloop

from protos.asr.v1 import asr_pb2, asr_pb2_grpc


class Echo(asr_pb2_grpc.SpeechServiceServicer):
    """Answers."""

    async def StreamingRecognize(  # noqa: N802
        self,
        request_iterator: AsyncIterator[asr_pb2.AudioChunk],
        context: object,  # noqa: ARG002
    ) -> AsyncIterator[asr_pb2.Transcript]:
        """Answer each message."""
        async for message in request_iterator:
            if message.HasField("flush"):
                yield asr_pb2.Transcript(flush_done=asr_pb2.FlushDone(id=message.flush.id))
            else:
                yield asr_pb2.Transcript()


async def serve() -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    asr_pb2_grpc.add_SpeechServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(serve())
