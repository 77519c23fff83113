"""python -m benchmarks [MANIFEST...]: runs every benchmark, one after the other."""

from __future__ import annotations

import subprocess
import sys

WITH_MANIFESTS = ("accuracy", "latency", "steadiness", "pauses", "amplification", "whisper_windows")
WITHOUT = ("memory", "whisper_costs", "deepspeech")


def main() -> int:
    """Run them all; return the first status that is not 0."""
    status = 0
    for name in (*WITH_MANIFESTS, *WITHOUT):
        arguments = sys.argv[1:] if name in WITH_MANIFESTS else []
        print(f"\n== python -m benchmarks.{name} {' '.join(arguments)}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
        status = status or subprocess.run(command, check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
