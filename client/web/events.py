"""What the page is told, as JSON. Pure: messages of the contract in, dictionaries out."""

from typing import Any

from client.messages import to_seconds
from protos.asr.v1.asr_pb2 import Result, Transcript

Event = dict[str, Any]


def event(kind: str, **fields: object) -> Event:
    """Make something to tell the page; the scripts in `assets` know the kinds."""
    return {"kind": kind, **fields}


def of_transcript(transcript: Transcript, begin_s: float, first_segment: int) -> Event | None:
    """Tell of a transcript; None where the page shows nothing of its kind.

    Args:
        transcript: What the server said.
        begin_s: Where in the session the stream began, in seconds; more than 0 for a stream that
            took over from one whose server went away.
        first_segment: The number of that stream's first segment in the session.
    """
    match transcript.WhichOneof("event"):
        case "interim_result":
            result = transcript.interim_result
            return event("interim", stable=result.stable_text) | _told(
                result, begin_s, first_segment
            )
        case "final_result":
            return event("final") | _told(transcript.final_result, begin_s, first_segment)
        case "speech_started":
            return event("speech", speaking=True)
        case "speech_ended":
            return event("speech", speaking=False)
        case _:
            return None


def _told(result: Result, begin_s: float, first_segment: int) -> Event:
    return {
        "segment": first_segment + result.segment_id,
        "text": result.text,
        "start_s": round(begin_s + to_seconds(result.start_offset), 3),
        "end_s": round(begin_s + to_seconds(result.end_offset), 3),
    }
