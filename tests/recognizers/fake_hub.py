"""A model hub on loopback: the part of the hub's interface that huggingface_hub downloads by."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = hashlib.sha1(b"one commit", usedforsecurity=False).hexdigest()


@dataclass
class FakeHub:
    """Repositories by id, each a folder; what is done to them, and what was asked for."""

    repositories: dict[str, Path]
    gated: set[str] = field(default_factory=set)
    breaks: dict[str, int] = field(default_factory=dict)
    """Names of files whose download breaks off in the middle, and how often it does."""
    fails: dict[str, int] = field(default_factory=dict)
    """Ids of repositories that are answered with a status of failure."""
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "HF_ENDPOINT": self.address,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **more,
        }


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run_python(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, for the hub's libraries read their settings once."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        self.hub.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        path = self.path.partition("?")[0]
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/.*)?", path):
            self._describe(match[1], match[2] or "")
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            self._give(match[1], match[2], has_body=has_body)
        else:
            self._refuse(404)

    def _describe(self, name: str, rest: str) -> None:
        if name in self.hub.fails:
            self._refuse(self.hub.fails[name])
        elif name not in self.hub.repositories:
            self._refuse(401, "RepoNotFound")
        elif rest.startswith("/tree/"):
            self._say_json([_entry(file) for file in _files(self.hub.repositories[name])])
        else:
            files = [{"rfilename": file.name} for file in _files(self.hub.repositories[name])]
            self._say_json({"id": name, "modelId": name, "sha": COMMIT, "siblings": files})

    def _give(self, name: str, file: str, *, has_body: bool) -> None:
        if name in self.hub.gated:
            self._refuse(401, "GatedRepo")
            return
        path = self.hub.repositories[name] / file
        if not path.is_file():
            self._refuse(404, "EntryNotFound")
            return
        data = path.read_bytes()
        begin = int(re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if not has_body:
            return
        if self.hub.breaks.get(file, 0) > 0:
            self.hub.breaks[file] -= 1
            self.wfile.write(data[begin : begin + (len(data) - begin) // 2])
            self.close_connection = True
            return
        self.wfile.write(data[begin:])

    def _say_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())


def _entry(file: Path) -> dict[str, object]:
    digest = hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
    return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": digest}
