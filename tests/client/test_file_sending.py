"""`python -m client.file`: what is sent, and how fast."""

import asyncio
import time

import numpy as np
import soundfile

from protos.asr.v1.asr_pb2 import AudioEncoding
from tests.client.fake_server import STARTED, count_bytes, fake_server, final
from tests.client.programs import outcome, start, transcribe, write_tone


async def test_an_hour_of_raw_samples(tmp_path):
    """An hour on standard input goes through as fast as the server takes it, without deadlock,
    though the server answers every message at length."""
    hour_bytes = 3600 * 32_000
    path = tmp_path / "hour.raw"
    with path.open("wb") as file:
        file.truncate(hour_bytes)

    async def chatty(server, requests, context):
        async for transcript in count_bytes(server, requests, context):
            yield transcript
            yield final("what has been said so far " * 20)

    async with fake_server(chatty) as server:
        with path.open("rb") as file:
            code, output, complaints = await transcribe(server, "-", stdin=file)
    assert (code, complaints) == (0, "")
    assert server.audio_bytes == hour_bytes
    assert output.count("\n") > 3600 * 32_000 / 16_000


async def test_raw_options(tmp_path):
    """Raw samples are described to the server as the options say."""
    path = tmp_path / "raw"
    path.write_bytes(bytes(1000))
    options = ("--rate", "8000", "--channels", "2", "--encoding", "mulaw", "-")
    async with fake_server() as server:
        with path.open("rb") as file:
            code, output, _ = await transcribe(server, *options, stdin=file)
    assert (code, output) == (0, "1000 bytes\n")
    audio_format = server.config.audio_format
    assert audio_format.encoding == AudioEncoding.AUDIO_ENCODING_MULAW
    assert (audio_format.sample_rate_hertz, audio_format.channel_count) == (8000, 2)


async def test_a_slow_server_sets_the_pace(tmp_path):
    """Without --realtime a server that reads slowly gets everything all the same."""
    samples = np.zeros((192_000 * 20, 2), dtype=np.int16)
    soundfile.write(tmp_path / "large.wav", samples, 192_000)
    wake = asyncio.Event()

    async def slow(server, requests, _):
        yield STARTED
        await wake.wait()
        async for request in requests:
            server.note(request)
        yield final(f"{server.audio_bytes}")

    async with fake_server(slow) as server:
        process = await start(
            "client.file", "--server", server.address, str(tmp_path / "large.wav")
        )
        ending = asyncio.create_task(outcome(process))
        done, _ = await asyncio.wait([ending], timeout=1.0)
        assert not done
        wake.set()
        assert await ending == (0, f"{samples.nbytes}\n", "")


async def test_realtime(tmp_path):
    """With --realtime a second takes a second, in messages of 100 ms."""
    path = write_tone(tmp_path / "tone.wav", 1.0)
    arrivals_s = []

    async def watch(server, requests, _):
        arrivals_s.append(time.monotonic())
        yield STARTED
        async for request in requests:
            server.note(request)
            if request.HasField("audio"):
                arrivals_s.append(time.monotonic())
        yield final("done")

    async with fake_server(watch) as server:
        code, output, _ = await transcribe(server, "--realtime", path)
    assert (code, output, len(arrivals_s)) == (0, "done\n", 11)
    # The last is due 0.9 s after the first, which waits for the beginning.
    assert arrivals_s[-1] - arrivals_s[0] >= 0.9


async def test_realtime_tells_lateness(tmp_path):
    """A server that cannot keep up with --realtime is named as the reason for the delay."""
    soundfile.write(tmp_path / "large.wav", np.zeros((192_000 * 4, 8), dtype=np.int16), 192_000)
    begun, wake = asyncio.Event(), asyncio.Event()

    async def slow(server, requests, _):
        yield STARTED
        begun.set()
        await wake.wait()
        async for request in requests:
            server.note(request)

    async with fake_server(slow) as server:
        process = await start(
            "client.file", "--server", server.address, "--realtime", str(tmp_path / "large.wav")
        )
        ending = asyncio.create_task(outcome(process))
        await begun.wait()
        # Buffers on the way hold some 5 MB, which are spoken in less than 2 s.
        await asyncio.wait([ending], timeout=10)
        wake.set()
        code, _, complaints = await ending
    assert code == 0
    assert "behind real time; the server took audio more slowly" in complaints
