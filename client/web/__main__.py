"""The browser demo: `python -m client.web`."""

import sys

from client.cli import ExitCode
from client.web.options import parse


def main() -> int:
    """Run the program; returns its exit code."""
    options = parse(None)
    try:
        # Only here: it takes seconds, and --help shall not wait for it.
        from client.web.program import run
    except ModuleNotFoundError as error:
        print(
            f"client.web: {error.name} is missing; install the extra: "
            "python -m pip install -c constraints.txt -e '.[web]'",
            file=sys.stderr,
        )
        return ExitCode.FAILED
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
