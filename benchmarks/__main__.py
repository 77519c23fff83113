"""python -m benchmarks [MANIFEST...]: measures what the README's first table of figures states."""

from __future__ import annotations

import os
import subprocess
import sys

ON_RECORDINGS = (
    ("accuracy",),
    ("accuracy", "--joined"),
    ("latency",),
    ("steadiness",),
    ("pauses",),
    ("amplification", "--seconds", "60"),
    ("whisper_windows",),
)
ALONE = (("memory",), ("whisper_costs",))
ONE_THREAD = {"pauses", "amplification", "whisper_windows"}
"""Processor time is compared, and numpy's threads spin."""


def main() -> int:
    """Run them one after the other; return the first status that is not 0."""
    status = 0
    for name, *options in (*ON_RECORDINGS, *ALONE):
        manifests = sys.argv[1:] if (name, *options) in ON_RECORDINGS else []
        arguments = ["-m", f"benchmarks.{name}", *options, *manifests]
        print(f"\n== python {' '.join(arguments)}", flush=True)
        one_thread = {"OMP_NUM_THREADS": "1"} if name in ONE_THREAD else {}
        ended = subprocess.run(
            [sys.executable, *arguments], env={**os.environ, **one_thread}, check=False
        )
        status = status or ended.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
