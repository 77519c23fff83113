"""Transcripts as text, JSON lines, SRT and VTT. Pure: messages in, text out."""

import html
import json
from typing import Protocol

from google.protobuf import json_format

from client.cues import Cue, Cutter, lines
from client.messages import to_seconds
from protos.asr.v1.asr_pb2 import Result, Transcript

FORMATS = ("text", "json", "srt", "vtt")


class Format(Protocol):
    """Renders the transcripts of one stream, in order."""

    def begin(self) -> str:
        """Render what stands before everything else."""
        ...

    def add(self, transcript: Transcript) -> str:
        """Render one transcript; empty where the format does not show it."""
        ...


def make_format(name: str, *, label: str = "", times: bool = False) -> Format:
    """Make one of `FORMATS`.

    Args:
        name: Which one.
        label: Name of the recording, to tell several apart; text and JSON show it.
        times: Whether text begins with its times.
    """
    match name:
        case "text":
            return Text(label, times=times)
        case "json":
            return Json(label)
        case "srt":
            return Srt()
        case "vtt":
            return Vtt()
    raise ValueError(f"no such format: {name}")


class Text:
    """One line per final result."""

    def __init__(self, label: str = "", *, times: bool = False) -> None:
        """Put a label before each line where there is one, and its times if wanted."""
        self._label = f"{label}: " if label else ""
        self._times = times

    def begin(self) -> str:
        """Render nothing."""
        return ""

    def add(self, transcript: Transcript) -> str:
        """Render a final result."""
        if not transcript.HasField("final_result"):
            return ""
        result = transcript.final_result
        times = f"{span(result)}  " if self._times else ""
        return f"{self._label}{times}{result.text}\n"


class Json:
    """Every transcript as one line, in protobuf's own JSON with the contract's field names."""

    def __init__(self, label: str = "") -> None:
        """Add a key "file" to each line where there is a label."""
        self._label = label

    def begin(self) -> str:
        """Render nothing."""
        return ""

    def add(self, transcript: Transcript) -> str:
        """Render any transcript."""
        fields = json_format.MessageToDict(transcript, preserving_proto_field_name=True)
        if self._label:
            fields = {"file": self._label, **fields}
        return json.dumps(fields, ensure_ascii=False) + "\n"


class Srt:
    """SubRip subtitles."""

    def __init__(self) -> None:
        """Begin to count."""
        self._cutter = Cutter()
        self._count = 0

    def begin(self) -> str:
        """Render nothing."""
        return ""

    def add(self, transcript: Transcript) -> str:
        """Render the cues of a final result."""
        return "".join(self._cue(cue) for cue in _cues(self._cutter, transcript))

    def _cue(self, cue: Cue) -> str:
        self._count += 1
        times = f"{timestamp(cue.start_ms, ',')} --> {timestamp(cue.end_ms, ',')}"
        return f"{self._count}\n{times}\n{_text(cue)}\n\n"


class Vtt:
    """WebVTT subtitles."""

    def __init__(self) -> None:
        """Begin at the first cue."""
        self._cutter = Cutter()

    def begin(self) -> str:
        """Render the header."""
        return "WEBVTT\n\n"

    def add(self, transcript: Transcript) -> str:
        """Render the cues of a final result."""
        return "".join(
            f"{timestamp(cue.start_ms, '.')} --> {timestamp(cue.end_ms, '.')}\n"
            f"{html.escape(_text(cue), quote=False)}\n\n"
            for cue in _cues(self._cutter, transcript)
        )


def timestamp(time_ms: int, decimal_mark: str) -> str:
    """Render a time as SRT (decimal mark ",") and VTT (".") want it: 01:02:03,045."""
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"


def span(result: Result) -> str:
    """Render when a result was spoken, for people: [0:00.1 - 0:03.2]."""
    return f"[{_clock(to_seconds(result.start_offset))} - {_clock(to_seconds(result.end_offset))}]"


def _clock(seconds: float) -> str:
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    hours_and_minutes = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{hours_and_minutes}:{tenths // 10:02}.{tenths % 10}"


def _cues(cutter: Cutter, transcript: Transcript) -> list[Cue]:
    if not transcript.HasField("final_result"):
        return []
    return list(cutter.cut(transcript.final_result))


def _text(cue: Cue) -> str:
    return "\n".join(lines(cue.text))
