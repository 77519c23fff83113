"""What the server must answer, by the comments of the contract alone.

It shares no code with the service. Where a request breaks several rules the contract does not
say which is told, so a prediction is a set of reasons; the empty reason is OK.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import soundfile
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message

from protos.asr.v1 import asr_pb2

OK = frozenset({""})

FILE_MARKS = (b"RIFF", b"fLaC", b"OggS", b"ID3")
MP3_SYNCS = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")


@dataclass(frozen=True)
class Server:
    """What the oracle knows of the server: its settings and its one model."""

    model: str = "scripted"
    languages: frozenset[str] = frozenset({"en"})
    max_alternatives: int = 3
    longest_window_s: float = 28.0
    audio_message_bytes: int = 262_144
    recording_bytes: int = 67_108_864


def predict(server: Server, method: str, messages: list[bytes]) -> frozenset[str]:
    """Return the reasons of which one must come."""
    if method == "StreamingRecognize":
        return _stream(server, messages)
    kind = asr_pb2.RecognizeRequest if method == "Recognize" else asr_pb2.ListModelsRequest
    request = _parsed(kind, messages[0])
    if request is None:
        return frozenset({"MALFORMED_MESSAGE"})
    if method == "ListModels":
        return OK
    return frozenset(_recording(server, request)) or OK


def _parsed(kind: type[Message], data: bytes) -> Message | None:
    try:
        return kind.FromString(data)
    except DecodeError:
        return None


def _stream(server: Server, messages: list[bytes]) -> frozenset[str]:
    """The first message that is wrong decides."""
    heard = b""
    for index, data in enumerate(messages):
        chunk = _parsed(asr_pb2.AudioChunk, data)
        if chunk is None:
            return frozenset({"MALFORMED_MESSAGE"})
        if index == 0:
            wrong = frozenset(_first(server, chunk))
        else:
            heard += chunk.audio
            wrong = frozenset(_chunk(server, chunk, heard))
        if wrong:
            return wrong
    return OK


def _first(server: Server, chunk: asr_pb2.AudioChunk) -> Iterator[str]:
    if chunk.HasField("config"):
        yield from _config(server, chunk.config)
    else:
        yield "PROTOCOL_VIOLATION"


def _chunk(server: Server, chunk: asr_pb2.AudioChunk, heard: bytes) -> Iterator[str]:
    match chunk.WhichOneof("payload"):
        case "audio":
            if not 1 <= len(chunk.audio) <= server.audio_message_bytes:
                yield "INVALID_FIELD"
            elif _is_marked(heard[:8]):
                yield "INVALID_AUDIO"
        case "flush":
            if len(chunk.flush.id) > 128:
                yield "INVALID_FIELD"
        case "silence":
            if not 0 < _ns(chunk.silence.duration) <= 60 * 10**9:
                yield "INVALID_FIELD"
        case _:
            yield "PROTOCOL_VIOLATION"


def _config(server: Server, config: asr_pb2.StreamingConfig) -> Iterator[str]:
    if config.model not in ("", server.model):
        yield "UNKNOWN_MODEL"
    fields = (
        not config.HasField("audio_format") or _is_format(config.audio_format),
        _is_language(server, config.language_code),
        0 <= config.max_alternatives <= server.max_alternatives,
        _is_endpointing(server, config.endpointing),
        # The model cannot prefer phrases.
        not config.phrases,
    )
    if not all(fields):
        yield "INVALID_FIELD"


def _recording(server: Server, request: asr_pb2.RecognizeRequest) -> Iterator[str]:
    config = request.config
    yield from _config(server, config)
    if config.interim_results or config.endpointing.single_utterance:
        yield "INVALID_FIELD"
    if len(request.audio) > server.recording_bytes:
        yield "INVALID_FIELD"
    if not request.audio:
        yield "INVALID_AUDIO"
    elif _is_marked(request.audio):
        if config.HasField("audio_format"):
            yield "INVALID_FIELD"
        else:
            yield from _file(request.audio)
    elif request.audio.startswith(MP3_SYNCS) and not config.HasField("audio_format"):
        found = set(_file(request.audio))
        # What is no MP3 file after all is raw audio.
        yield from found - {"INVALID_AUDIO"} if "INVALID_FIELD" in found else ()


def _file(data: bytes) -> Iterator[str]:
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if not (8_000 <= file.samplerate <= 192_000 and 1 <= file.channels <= 8):
                yield "INVALID_FIELD"
            for _ in file.blocks(file.samplerate, dtype="float32"):
                pass
    except soundfile.LibsndfileError:
        yield "INVALID_AUDIO"


def _is_marked(data: bytes) -> bool:
    return data.startswith(FILE_MARKS) or data[4:].startswith(b"ftyp")


def _is_format(audio_format: asr_pb2.AudioFormat) -> bool:
    return (
        1 <= audio_format.encoding <= 4
        and 8_000 <= audio_format.sample_rate_hertz <= 192_000
        and 0 <= audio_format.channel_count <= 8
    )


def _is_language(server: Server, code: str) -> bool:
    primary = code.replace("_", "-").split("-")[0].lower()
    return not code or primary in server.languages


def _is_endpointing(server: Server, endpointing: asr_pb2.EndpointingConfig) -> bool:
    silence, longest = endpointing.silence_duration, endpointing.max_segment_duration
    has_silence = endpointing.HasField("silence_duration")
    if has_silence and not 100_000_000 <= _ns(silence) <= 10 * 10**9:
        return False
    if endpointing.HasField("max_segment_duration") and not (
        2 * 10**9 <= _ns(longest) <= server.longest_window_s * 10**9
    ):
        return False
    return not (endpointing.disabled and (endpointing.single_utterance or has_silence))


def _ns(duration: Duration) -> int:
    return duration.seconds * 10**9 + duration.nanos
