"""A folder's name says what its code may know; these tests hold it to that."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.imports import ALLOWED_OURS, HEAVY, OURS, violations

ROOT = Path(__file__).resolve().parents[2]


def modules() -> list[Path]:
    return sorted(
        path
        for package in OURS
        for path in (ROOT / package).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_every_module_keeps_to_the_table(path):
    """A module imports only what its row allows."""
    source = path.read_text(encoding="utf-8")
    is_package = path.name == "__init__.py"
    assert violations(source, module_name(path), is_package=is_package) == []


def test_the_table_speaks_of_what_exists():
    """A row without its file or folder is a row that was forgotten."""
    for name in ALLOWED_OURS:
        place = ROOT / name.replace(".", "/")
        if "{" not in name:
            assert place.is_dir() or place.with_suffix(".py").is_file(), name


@pytest.mark.parametrize("module", ["service.app", "client.file", "client.mic"])
def test_starting_loads_nothing_heavy(module):
    """What takes seconds to import is imported by the engine that needs it, when it is used."""
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert not {*HEAVY, "sounddevice"} & set(loaded.stdout.split())


BAD = [
    ("service.core.session", "import asyncio"),
    ("service.core.session", "from time import monotonic"),
    ("service.core.session", "import threading as t"),
    ("service.core.session", "import concurrent.futures"),
    ("service.core.session", "import grpc"),
    ("service.core.session", "import soundfile"),
    ("service.core.session", "from service.engine import slots"),
    ("service.core.session", "import service.recognizers.base"),
    ("service.core.session", "from ..engine import slots"),
    ("service.core.session", "from .. import engine"),
    ("service.core.session", "def late():\n    import time"),
    ("service.core.session", "from importlib import import_module\nimport_module('time')"),
    ("service.core.session", "import importlib\nimportlib.import_module('service.rpc')"),
    ("service.core.session", "if TYPE_CHECKING:\n    from protos.asr.v1 import asr_pb2"),
    ("service.detectors.silero", "import onnxruntime"),
    ("service.detectors.silero", "from service.engine import slots"),
    ("service.detectors.energy", "def load():\n    import onnxruntime"),
    ("service.recognizers.base", "from service.recognizers import whisper"),
    ("service.recognizers.scripted", "from service.recognizers import whisper"),
    ("service.recognizers.scripted", "from service.recognizers.registry import load"),
    ("service.recognizers.scripted", "def load():\n    import faster_whisper"),
    ("service.recognizers.whisper", "from service.recognizers import scripted"),
    ("service.recognizers.whisper", "from service.engine import slots"),
    ("service.recognizers.whisper", "import torch"),
    ("service.recognizers.registry", "from service.recognizers import whisper"),
    ("service.recognizers.registry", "import ctranslate2"),
    ("service.engine.slots", "from service.recognizers import registry"),
    ("service.engine.slots", "from service.recognizers.whisper import load"),
    ("service.engine.slots", "from service.rpc import convert"),
    ("service.engine.slots", "from protos.asr.v1 import asr_pb2"),
    ("service.engine.slots", "import grpc.aio"),
    ("service.rpc.convert", "from service import app"),
    ("service.rpc.convert", "from service.recognizers import base"),
    ("service.access.grants", "from service.rpc import door"),
    ("service.access.token_file", "import jwt"),
    ("service.rpc.door", "import jwt"),
    ("service.rpc.record", "from service.observability import lag"),
    ("service.observability.tracing", "from service.rpc.servicer import SpeechServicer"),
    ("service.app", "import prometheus_client"),
    ("service.app", "from service.observability import prometheus"),
    ("service.settings", "from service.core import audio"),
    ("service.telemetry", "import grpc"),
    ("service.app", "from client import stream"),
    ("service.app", "from service.recognizers import whisper"),
    ("service.__main__", "import grpc"),
    ("service.helpers", "import json"),
    ("client.file", "from service.core import audio"),
    ("client.file", "import service"),
    ("client.file", "from grpc import aio"),
    ("client.file", "def late():\n    import sounddevice"),
    ("protos.asr.v1.asr_pb2", "import service"),
]


@pytest.mark.parametrize(("module", "source"), BAD)
def test_a_forbidden_import_is_found(module, source):
    """Every way of writing an import that the table does not allow is caught."""
    assert len(violations(source, module)) == 1


GOOD = [
    ("service.core.session", "import math\nimport numpy as np\nimport soxr"),
    ("service.core.session", "from service.core import audio\nfrom . import events"),
    ("service.core.session", "from .audio import AudioConverter"),
    ("service.detectors.silero", "def load():\n    import onnxruntime"),
    ("service.detectors.silero", "if TYPE_CHECKING:\n    import onnxruntime"),
    ("service.recognizers.whisper", "import faster_whisper\nimport ctranslate2"),
    ("service.recognizers.whisper_loops", "from service.recognizers import whisper_text"),
    ("service.recognizers.registry", "def load():\n    from service.recognizers import whisper"),
    ("service.recognizers.registry", "from service.recognizers import scripted"),
    ("service.engine.slots", "import asyncio\nfrom service.recognizers.base import Recognizer"),
    ("service.rpc.convert", "import grpc\nfrom protos.asr.v1 import asr_pb2"),
    ("service.app", "import grpc\nfrom service.recognizers import registry"),
    ("client.stream", "import grpc\nimport grpc.aio\nfrom protos.asr.v1 import asr_pb2"),
]


@pytest.mark.parametrize(("module", "source"), GOOD)
def test_an_allowed_import_is_not_reported(module, source):
    """The checker does not cry wolf."""
    assert violations(source, module) == []


def test_a_package_resolves_its_relative_imports_from_itself():
    """In __init__.py one dot is the package, elsewhere it is the folder around the file."""
    assert violations("from . import audio", "service.core", is_package=True) == []
    assert len(violations("from .. import rpc", "service.core", is_package=True)) == 1
