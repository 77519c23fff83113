"""Tests a recognizer on recordings, as a testing team would: `python -m client.evaluate`."""

import sys
from collections.abc import Sequence

from client.cli import ExitCode

LIBRARIES = ("jiwer", "whisper_normalizer")
"""What the extra `evaluate` installs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    try:
        from client.evaluation.program import evaluate
    except ModuleNotFoundError as error:
        if error.name not in LIBRARIES:
            raise
        print(
            f"client.evaluate: {error.name} is not installed; "
            "install it with: python -m pip install -c constraints.txt -e '.[evaluate]'",
            file=sys.stderr,
        )
        return ExitCode.FAILED
    return evaluate(arguments)


if __name__ == "__main__":
    sys.exit(main())
