"""Small helpers for the messages of the contract."""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from protos.asr.v1.asr_pb2 import Result


def to_duration(seconds: float) -> Duration:
    """Convert seconds to a protobuf duration, to the nearest nanosecond."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1_000_000_000))
    return duration


def to_seconds(duration: Duration) -> float:
    """Convert a protobuf duration to seconds."""
    return duration.seconds + duration.nanos / 1_000_000_000


def joined_text(results: Iterable[Result]) -> str:
    """Join the texts of final results to the transcript of their stream."""
    return " ".join(result.text for result in results)
