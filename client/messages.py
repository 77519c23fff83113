"""Small helpers for the messages of the contract."""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from protos.asr.v1.asr_pb2 import Result, StreamEnding


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


_WHY = {
    "DRAINING": "the server is stopping",
    "STREAM_TOO_LONG": "the stream is nearly as long as one may be there",
    "TOKEN_EXPIRED": "your token is about to expire",
    "STREAM_IDLE": "the server has been sent nothing for a while",
}


def describe_ending(ending: StreamEnding) -> str:
    """Say in a sentence that the server will end the stream, and why."""
    why = _WHY.get(ending.reason, f"the server says {ending.reason}")
    return f"{why}; it ends this stream in {to_seconds(ending.time_left):.0f} s"
