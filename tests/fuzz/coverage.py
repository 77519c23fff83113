"""Any bytes at all, guided by coverage: python -m tests.fuzz.coverage TARGET [LIBFUZZER OPTION…]

Wants `pip install atheris` (https://github.com/google/atheris), which is no part of `make setup`
since it has no wheels for every Python. Options are libFuzzer's, such as -max_total_time=60.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Fuzz one target until libFuzzer's options say stop, or something breaks."""
    try:
        import atheris
    except ImportError:
        sys.exit(
            "atheris is not installed; pip install atheris, on a Python that it has wheels for"
        )
    with atheris.instrument_imports(include=["service", "tests.fuzz.targets"]):
        from tests.fuzz.targets import TARGETS
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"name a target: {', '.join(TARGETS)}")
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
