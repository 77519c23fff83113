"""The microphone client on a real PortAudio device: one of ALSA's that plays a recording.

ALSA's file device over its null device brings the samples as fast as they are taken, over and
over; that is harder than a microphone, and needs no sound card.
"""

import asyncio
import ctypes.util
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from client.microphone import MAX_WAITING_S
from tests.client.fake_server import STARTED, fake_server, final
from tests.client.programs import outcome, run, start

pytest.importorskip(
    "sounddevice", reason="the package sounddevice is not installed", exc_type=Exception
)

ALSA_CONFIG = """
pcm.nothing {{ type null }}
pcm.player {{ type file slave.pcm nothing file /dev/null infile "{recording}" format raw }}
pcm.!default {{ type plug slave.pcm player }}
ctl.!default {{ type null }}
"""

LISTING = """
import sounddevice
print(*(entry["name"] for entry in sounddevice.query_devices() if entry["max_input_channels"]))
"""


def _microphones(**environment: str) -> str:
    """Return what PortAudio itself sees: nothing of ours decides that a test is skipped."""
    environment = {**os.environ, **environment}
    command = [sys.executable, "-c", LISTING]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def recording():
    """Return ten seconds of samples, each of which tells its place."""
    return np.arange(160_000, dtype="<u4").astype("<u2").view("<i2")


@pytest.fixture
async def alsa(tmp_path, recording):
    """Return an environment in which ALSA's devices play the recording; skip without ALSA."""
    if ctypes.util.find_library("asound") is None:
        pytest.skip("this machine has no ALSA")
    (tmp_path / "recording.raw").write_bytes(recording.tobytes())
    config = tmp_path / "asound.conf"
    config.write_text(ALSA_CONFIG.format(recording=tmp_path / "recording.raw"))
    environment = {"ALSA_CONFIG_PATH": str(config)}
    if "player" not in _microphones(**environment):
        pytest.skip("this machine's PortAudio was built without ALSA")
    code, output, complaints = await outcome(
        await start("client.mic", "--list-devices", **environment)
    )
    assert code == 0, complaints
    assert "player" in output
    return environment


async def test_capture_through_portaudio(alsa, recording):
    """Samples go through PortAudio to the server unchanged and in order, until Ctrl-C."""
    heard = bytearray()
    enough = asyncio.Event()

    async def listen(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
            heard.extend(request.audio)
            if server.audio_bytes >= 2 * 32_000:
                enough.set()
        yield final(f"{server.audio_bytes} bytes")

    async with fake_server(listen) as server:
        process = await start(
            "client.mic", "--server", server.address, "--device", "player", **alsa
        )
        await enough.wait()
        process.send_signal(signal.SIGINT)
        code, output, complaints = await outcome(process)
    assert (code, output) == (0, f"{len(heard)} bytes\n")
    assert complaints.startswith('listening to "player"')
    assert "Traceback" not in complaints
    # What comes faster than it is taken is dropped, but not before the buffer is full.
    safe_bytes = min(len(heard), round(MAX_WAITING_S * 32_000)) // 3200 * 3200
    assert safe_bytes >= 2 * 32_000
    assert heard[:safe_bytes] == recording.tobytes()[:safe_bytes]


async def test_no_devices():
    """A machine without microphones says so in one sentence."""
    if _microphones():
        pytest.skip("this machine has a microphone")
    code, output, complaints = await run("client.mic")
    assert (code, output) == (4, "")
    assert complaints.startswith("client.mic: no microphone was found")
    assert complaints.count("\n") == 1
