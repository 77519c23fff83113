"""Does what the Dockerfile does, without Docker, and tries the result.

    python -m scripts.image_check

It copies what the Dockerfile copies, installs it as the Dockerfile does, into a new
environment, and from another folder runs the image's own entry point, health check
and stop signal. What it cannot show: that the base image has what is needed, and
that user 65532 suffices. `make image` builds the real one where Docker runs.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import IO

from client.serving import ServerError, serving

ROOT = Path(__file__).resolve().parent.parent
INSTALLED_IN = "/opt/venv"
"""Where the Dockerfile makes the environment."""


class Dockerfile:
    """The instructions that matter here, read from the file."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\\\n", " ")

    def copied(self) -> list[str]:
        """What the build stage copies from the project."""
        lines = re.findall(r"^COPY (?!--from)(.+)$", self.text, re.MULTILINE)
        return [source for line in lines for source in line.split()[:-1]]

    def installation(self) -> list[str]:
        """Arguments of its pip."""
        match = re.search(r"pip --python \S+ (install .+)$", self.text, re.MULTILINE)
        if match is None:
            raise ValueError("the Dockerfile has no line `pip --python … install …`")
        return match[1].split()

    def command(self, instruction: str) -> list[str]:
        """An exec-form command: ENTRYPOINT, CMD, or HEALTHCHECK's CMD."""
        match = re.search(rf"^{instruction}.*?(\[.+\])\s*$", self.text, re.MULTILINE)
        if match is None:
            raise ValueError(f"the Dockerfile has no {instruction} in exec form")
        return [str(part) for part in json.loads(match[1])]


def install(dockerfile: Dockerfile, source: Path, environment: Path) -> None:
    """Copy and install as the build stage does."""
    source.mkdir()
    for name in dockerfile.copied():
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source)
    venv.create(environment, with_pip=False)
    python = str(environment / "bin/python")
    command = [sys.executable, "-m", "pip", "--quiet", "--python", python]
    subprocess.run([*command, *dockerfile.installation()], cwd=source, check=True)


def try_out(dockerfile: Dockerfile, python: str, elsewhere: Path, log: IO[str]) -> None:
    """Start, check and stop the server with the image's own commands."""
    entry_point = [python, *dockerfile.command("ENTRYPOINT")[1:]]
    subprocess.run([*entry_point, "--help"], cwd=elsewhere, check=True, stdout=subprocess.DEVNULL)
    arguments = [part.replace(":50051", ":0") for part in dockerfile.command("CMD")]
    with serving([*entry_point, *arguments], elsewhere, log) as running:
        local = "127.0.0.1:" + running.address.rpartition(":")[2]
        health = dockerfile.command("HEALTHCHECK")[1:]
        health = [part.replace("127.0.0.1:50051", local) for part in health]
        subprocess.run([python, *health], cwd=elsewhere, check=True)


def size_mb(folder: Path) -> float:
    """Size of all files below."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> int:
    """Check; 0 if everything worked."""
    dockerfile = Dockerfile((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    # What `docker stop` sends; client.serving sends the same.
    if f"STOPSIGNAL {signal.SIGTERM.name}" not in dockerfile.text:
        raise ValueError("the Dockerfile does not stop by SIGTERM")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = folder / "venv"
        install(dockerfile, folder / "src", environment)
        libraries = next(environment.glob("lib/python*/site-packages"))
        if (libraries / "torch").exists():
            print("image_check: torch came in", file=sys.stderr)
            return 1
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
            try:
                try_out(dockerfile, str(environment / "bin/python"), elsewhere, log)
            except (ServerError, subprocess.CalledProcessError) as error:
                log.seek(0)
                print(f"image_check: {error}\n{log.read()}", file=sys.stderr)
                return 1
        print(f"Works; {INSTALLED_IN} would take {size_mb(environment):.0f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
