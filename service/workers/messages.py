"""What passes between the server and a worker, as JSON; audio passes by shared memory.

No pickles: whatever may have become of a worker, what it says is data and never code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter

from service.core.capabilities import Capabilities
from service.core.errors import InvalidFieldError
from service.core.hypothesis import DecodeOptions, Hypothesis
from service.recognizers.base import ModelUnavailableError


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is for; stands in its command line."""

    spec: str
    """Of the model."""
    threads: int
    """Processor threads of one decode."""
    decodes: int
    """At the same time, at most, as far as that is known before the model is loaded."""
    number: int
    """Of the worker, for its log."""
    log_level: str
    log_format: str
    control: int
    """File descriptor. The worker says what it has loaded; it is sent its lanes, as ``lanes``
    says, and is told from then on which streams are over and what it may forget, each by its
    number, from ``release``."""
    weights: int | None = None
    """File descriptor, where what is loaded is held once for all workers, see ``weights``."""


@dataclass(frozen=True, slots=True)
class Decode:
    """A window to be heard; its samples lie in the lane's memory, context first."""

    stream: int
    """Number of the segment's RecognizerStream in this worker."""
    options: DecodeOptions | None
    """To open it with; None if it is open."""
    is_final: bool
    samples: int
    """Of the segment."""
    context: tuple[tuple[int, str], ...]
    """Samples and text of each segment before it."""
    agreed_words: tuple[str, ...]
    is_growing: bool = False
    memory: int | None = None
    """Number of what the context left behind in this worker."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An exception in a worker."""

    kind: Literal["invalid field", "model unavailable", "internal"]
    message: str
    field: str = ""
    metadata: Mapping[str, str] | None = None

    def exception(self) -> Exception:
        """Return it as it is to be raised in the server."""
        match self.kind:
            case "invalid field":
                return InvalidFieldError(self.message, self.field, self.metadata)
            case "model unavailable":
                return ModelUnavailableError(self.message)
            case _:
                return RemoteError(self.message)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a decode."""

    hypothesis: Hypothesis = field(default_factory=Hypothesis)
    """Empty where there is a fault."""
    fault: Fault | None = None
    memory: int | None = None
    """Number under which the worker keeps what the hypothesis leaves behind."""
    batch_sizes: Mapping[int, int] | None = None
    """Of a recognizer that batches: how many batches there have been of each size."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in a worker."""

    capabilities: Capabilities
    memory_bytes: int
    """By which loading it made the worker grow, without what others held before."""
    settled_options: Mapping[str, str]
    """What was measured and chosen; the next worker is to take it as it is."""


@dataclass(frozen=True, slots=True)
class Started:
    """What became of loading the model."""

    loaded: Loaded | None = None
    fault: Fault | None = None


MEMORY_BIT = 1 << 63


def release(number: int, *, is_memory: bool) -> bytes:
    """Return the message that frees a segment's state, or a memory."""
    return (number | MEMORY_BIT if is_memory else number).to_bytes(8)


def released(message: bytes) -> tuple[int, bool]:
    """Return the number that a message frees, and whether it is a memory's."""
    number = int.from_bytes(message)
    return number & ~MEMORY_BIT, bool(number & MEMORY_BIT)


class RemoteError(Exception):
    """A recognizer's own fault, with the stack that it had in its worker."""


TASK = TypeAdapter(Task)
DECODE = TypeAdapter(Decode)
ANSWER = TypeAdapter(Answer)
STARTED = TypeAdapter(Started)


def fault_of(error: BaseException, stack: str) -> Fault:
    """Return an exception as it crosses to the server.

    Args:
        error: What was raised.
        stack: Where, for the log, if it is nobody's but the recognizer's fault.
    """
    match error:
        case InvalidFieldError():
            return Fault("invalid field", str(error), error.field, error.metadata)
        case ModelUnavailableError():
            return Fault("model unavailable", str(error))
        case _:
            return Fault("internal", f"in a worker:\n{stack}")
