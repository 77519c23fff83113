"""What the benchmarks share: recordings, a server of their own, words, percentiles."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import psutil
import soundfile
import soxr
from numpy.typing import NDArray
from whisper_normalizer.english import EnglishTextNormalizer

from client.serving import serving

ROOT = Path(__file__).resolve().parent.parent
RATE_HZ = 16_000
FRAME_SAMPLES = RATE_HZ // 50
"""A frame of 20 ms."""

_normalize = EnglishTextNormalizer()


@dataclass(frozen=True)
class Clip:
    """A recording and what is said in it; empty text is noise or silence."""

    path: Path
    text: str
    samples: NDArray[np.float32]
    """Mono, 16 kHz."""

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return len(self.samples) / RATE_HZ

    @property
    def pcm(self) -> bytes:
        """The recording as PCM_S16LE."""
        return np.round(np.clip(self.samples, -1, 1) * 32_767).astype("<i2").tobytes()


def read_clips(manifests: Sequence[Path]) -> list[Clip]:
    """Read manifests: JSON lines with audio, a path beside the manifest, and text."""
    clips = []
    for manifest in manifests:
        for line in manifest.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            path = manifest.parent / entry["audio"]
            samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
            mono = soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ)
            clips.append(Clip(path, entry["text"], mono.astype(np.float32)))
    return clips


def manifest_arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser that takes manifests, the project's own by default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "manifests",
        nargs="*",
        type=Path,
        default=[ROOT / "samples" / "manifest.jsonl"],
        metavar="MANIFEST",
        help="JSON lines with audio and text (default: the project's own samples)",
    )
    return parser


def frame_levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the level (root mean square) of each whole frame of FRAME_SAMPLES."""
    whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
    return np.sqrt(np.mean(np.square(whole.reshape(-1, FRAME_SAMPLES)), axis=1))


@dataclass(frozen=True)
class Errors:
    """Word errors over many clips."""

    errors: int
    words: int

    @property
    def percent(self) -> float:
        """Word error rate."""
        return 100 * self.errors / max(1, self.words)


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> Errors:
    """Count word errors after Whisper's English normalization (whisper-normalizer, jiwer)."""
    pairs = [
        (_normalize(reference), _normalize(hypothesis))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    output = jiwer.process_words([left for left, _ in pairs], [right for _, right in pairs])
    errors = output.substitutions + output.insertions + output.deletions
    return Errors(errors, output.hits + output.substitutions + output.deletions)


def percentiles(values: Sequence[float]) -> str:
    """Return p50, p95 and the largest of some values in seconds."""
    if not values:
        return "nothing was measured"
    p50, p95 = np.percentile(values, [50, 95])
    return f"p50 {p50:.3f} s  p95 {p95:.3f} s  max {max(values):.3f} s  ({len(values)})"


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    address: str
    process: psutil.Process

    @property
    def cpu_s(self) -> float:
        """Processor time that it and its children have used."""
        times = self.process.cpu_times()
        # What children that have ended used is their parent's to tell.
        return sum(
            (child.cpu_times().user + child.cpu_times().system for child in self._children),
            times.user + times.system + times.children_user + times.children_system,
        )

    @property
    def waited_s(self) -> float:
        """Time that its main thread was ready and others had the processor; 0 if not known."""
        pid = self.process.pid
        try:
            stat = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        return int(stat.split()[1]) / 1e9

    @property
    def resident_bytes(self) -> int:
        """Memory that it holds; with children, what they share is counted once."""
        children = self._children
        if not children:
            return self.process.memory_info().rss
        return sum(part.memory_full_info().pss for part in (self.process, *children))

    @property
    def _children(self) -> list[psutil.Process]:
        return self.process.children(recursive=True)


@contextmanager
def own_server(*arguments: str) -> Iterator[Server]:
    """Run a server for a benchmark; its log goes to standard error."""
    command = [sys.executable, "-m", "service", "--listen", "127.0.0.1:0", "--log-level", "warning"]
    with server_of([*command, *arguments]) as server:
        yield server


@contextmanager
def server_of(command: Sequence[str]) -> Iterator[Server]:
    """Run any server that says where it listens as ours does."""
    with serving(command, ROOT, sys.stderr) as running:
        yield Server(running.address, psutil.Process(running.pid))
