"""Does what the Dockerfile does, without Docker, and tries the result.

    python -m scripts.image_check [--sbom FILE]

It copies what the Dockerfile copies, installs it as the Dockerfile does, into a new
environment, and from another folder runs the image's own entry point, health check
and stop signal: where it is run by root, as the image's user and with a file system
that cannot be written to. It makes the image's bill of materials as well. What it cannot
show: that the base image has what is needed. `make image` builds the real one where
Docker runs.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import socket
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
NOBODY = 65_534
STOP_SIGNAL = signal.SIGTERM
"""What `docker stop` sends. The server then waits for load balancers, as it does not at Ctrl-C."""


class Dockerfile:
    """The instructions that matter here, read from the file."""

    def __init__(self, text: str) -> None:
        self.lines = text
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

    def environment(self) -> dict[str, str]:
        """What ENV sets, the path aside."""
        found = re.findall(r"^\s*(?:ENV )?([A-Z_]+)=(\S+)(?: \\)?$", self.lines, re.MULTILINE)
        return {name: value for name, value in found if name != "PATH"}

    def user(self) -> int:
        """Whom it runs as."""
        match = re.search(r"^USER (\d+):", self.text, re.MULTILINE)
        if match is None:
            raise ValueError("the Dockerfile has no user by number")
        return int(match[1])

    def bill_of_materials(self) -> list[str]:
        """Arguments of its cyclonedx-py."""
        match = re.search(r"cyclonedx-py (environment .+)$", self.text, re.MULTILINE)
        if match is None:
            raise ValueError("the Dockerfile makes no bill of materials")
        return match[1].split()

    def command(self, instruction: str) -> list[str]:
        """An exec-form command: ENTRYPOINT, CMD, or HEALTHCHECK's CMD."""
        match = re.search(rf"^{instruction}.*?(\[.+\])\s*$", self.text, re.MULTILINE)
        if match is None:
            raise ValueError(f"the Dockerfile has no {instruction} in exec form")
        return [str(part) for part in json.loads(match[1])]


def confined(command: list[str], user: int) -> list[str]:
    """Return a command that cannot write anywhere, as ``docker run --read-only`` has it."""
    script = (
        "mount -o remount,ro,bind / && "
        f'exec setpriv --reuid={user} --regid={user} --clear-groups "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh", *command]


def can_confine() -> bool:
    """Whether this process may do so."""
    try:
        probe = subprocess.run(confined(["true"], NOBODY), check=False, capture_output=True)
    except FileNotFoundError:
        return False
    return probe.returncode == 0


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


def make_bill(dockerfile: Dockerfile, source: Path, environment: Path, file: Path) -> None:
    """Write down what is in the environment, as the build stage does."""
    maker = shutil.which("cyclonedx-py", path=str(Path(sys.executable).parent))
    if maker is None:
        raise ServerError("There is no cyclonedx-py; make audit installs it.")
    arguments = [
        part.replace(INSTALLED_IN, str(environment)) for part in dockerfile.bill_of_materials()
    ]
    arguments[arguments.index("--output-file") + 1] = str(file.resolve())
    subprocess.run([maker, *arguments], cwd=source, check=True)


def try_out(dockerfile: Dockerfile, python: str, elsewhere: Path, log: IO[str]) -> None:
    """Start, check and stop the server with the image's own commands."""
    entry_point = [python, *dockerfile.command("ENTRYPOINT")[1:]]
    subprocess.run([*entry_point, "--help"], cwd=elsewhere, check=True, stdout=subprocess.DEVNULL)
    arguments = [part.replace(":50051", ":0") for part in dockerfile.command("CMD")]
    free = free_address()
    own = dockerfile.environment()["ASR_HEALTH_LISTEN"]
    command = [*entry_point, *arguments, "--health-listen", free]
    if can_confine():
        command = confined(command, dockerfile.user())
    with serving(command, elsewhere, log, STOP_SIGNAL):
        health = [free if part == own else part for part in dockerfile.command("HEALTHCHECK")[1:]]
        subprocess.run([python, *health], cwd=elsewhere, check=True)


def free_address() -> str:
    """An address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def size_mb(folder: Path) -> float:
    """Size of all files below."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> int:
    """Check; 0 if everything worked."""
    parser = argparse.ArgumentParser(description="Do what the Dockerfile does, without Docker.")
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="write the bill of materials")
    sbom = parser.parse_args().sbom
    dockerfile = Dockerfile((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    if f"STOPSIGNAL {STOP_SIGNAL.name}" not in dockerfile.text:
        raise ValueError(f"the Dockerfile does not stop by {STOP_SIGNAL.name}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # So that the image's user gets in.
        folder.chmod(0o755)
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
                if sbom is not None:
                    make_bill(dockerfile, folder / "src", environment, sbom)
                try_out(dockerfile, str(environment / "bin/python"), elsewhere, log)
            except (ServerError, subprocess.CalledProcessError) as error:
                log.seek(0)
                print(f"image_check: {error}\n{log.read()}", file=sys.stderr)
                return 1
        how = "as the image's user, read-only" if can_confine() else "unconfined, for want of root"
        print(f"Works {how}; {INSTALLED_IN} would take {size_mb(environment):.0f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
