"""Between the contract's messages and our own types; nothing is decided here."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message

from protos.asr.v1 import asr_pb2
from service.core.audio import AudioEncoding, AudioFormat
from service.core.capabilities import Capabilities
from service.core.endpointing import Endpointing
from service.core.errors import InvalidFieldError, MalformedMessageError
from service.core.events import (
    Cursors,
    Event,
    FinalResult,
    FlushDone,
    InterimResult,
    SpeechEnded,
    SpeechStarted,
    StreamEnding,
    Update,
)
from service.core.hypothesis import SAMPLE_RATE_HZ, Phrase, Word
from service.engine.request import StreamRequest

NANOSECONDS = 1_000_000_000

M = TypeVar("M", bound=Message)

ENCODINGS = {
    asr_pb2.AUDIO_ENCODING_PCM_S16LE: AudioEncoding.PCM_S16LE,
    asr_pb2.AUDIO_ENCODING_PCM_F32LE: AudioEncoding.PCM_F32LE,
    asr_pb2.AUDIO_ENCODING_MULAW: AudioEncoding.MULAW,
    asr_pb2.AUDIO_ENCODING_ALAW: AudioEncoding.ALAW,
}


def parse(kind: type[M], data: bytes) -> M:
    """Parse a message.

    Raises:
        MalformedMessageError: the bytes are no such message.
    """
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise MalformedMessageError(
            f"the message is not a valid {kind.DESCRIPTOR.full_name}; "
            "make the client from this server's .proto"
        ) from error


def stream_request(config: asr_pb2.StreamingConfig) -> StreamRequest:
    """Return what a client asks for.

    Raises:
        InvalidFieldError: a field is out of the range that holds for every model.
    """
    return StreamRequest(
        model=config.model,
        audio_format=(
            audio_format(config.audio_format) if config.HasField("audio_format") else None
        ),
        language_code=config.language_code,
        interim_results=config.interim_results,
        word_offsets=config.word_offsets,
        max_alternatives=config.max_alternatives,
        endpointing=endpointing(config.endpointing),
        phrases=tuple(Phrase(phrase.text, phrase.boost) for phrase in config.phrases),
    )


def audio_format(message: asr_pb2.AudioFormat) -> AudioFormat:
    """Return the format of a stream's audio.

    Raises:
        InvalidFieldError: encoding, rate or channels are out of range.
    """
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        known = ", ".join(asr_pb2.AudioEncoding.Name(value) for value in ENCODINGS)
        raise InvalidFieldError(
            f"encoding is {message.encoding}; choose one of: {known}", "audio_format.encoding"
        )
    return AudioFormat(encoding, message.sample_rate_hertz, message.channel_count or 1)


def endpointing(message: asr_pb2.EndpointingConfig) -> Endpointing:
    """Return when segments end.

    Raises:
        InvalidFieldError: a value is out of range.
    """
    silence_s = longest_s = None
    if message.HasField("silence_duration"):
        silence_s = duration_ns(message.silence_duration) / NANOSECONDS
    if message.HasField("max_segment_duration"):
        longest_s = duration_ns(message.max_segment_duration) / NANOSECONDS
    return Endpointing(silence_s, longest_s, message.single_utterance, message.disabled)


def duration_ns(message: Duration) -> int:
    """Return a duration in nanoseconds."""
    return message.seconds * NANOSECONDS + message.nanos


def duration(seconds: float) -> Duration:
    """Return the message for a duration that is not negative."""
    whole, nanos = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return Duration(seconds=whole, nanos=nanos)


def position(samples: float) -> Duration:
    """Return the message for a position on the session's clock."""
    return duration(samples / SAMPLE_RATE_HZ)


def transcript(update: Update) -> asr_pb2.Transcript:
    """Return the message that tells what happened."""
    message = _event(update.event)
    set_cursors(message, update.cursors)
    return message


def stream_started(stream_id: str, model: str) -> asr_pb2.Transcript:
    """Return the first message of a stream."""
    started = asr_pb2.StreamStarted(stream_id=stream_id, model=model)
    message = asr_pb2.Transcript(stream_started=started)
    set_cursors(message, Cursors())
    return message


def set_cursors(message: asr_pb2.Transcript, cursors: Cursors) -> None:
    """Say how far the stream has come."""
    message.received_offset.CopyFrom(duration(cursors.received_s))
    message.processed_offset.CopyFrom(duration(cursors.processed_s))
    message.final_offset.CopyFrom(duration(cursors.final_s))


def final_result(event: FinalResult, *, with_words: bool) -> asr_pb2.Result:
    """Return the message for a final result."""
    return asr_pb2.Result(
        segment_id=event.segment_id,
        text=event.text,
        start_offset=position(event.start_samples),
        end_offset=position(event.end_samples),
        words=[_word(word, event.start_samples) for word in event.words] if with_words else [],
        confidence=event.confidence,
        alternatives=[
            asr_pb2.Alternative(text=other.text, confidence=other.confidence)
            for other in event.alternatives
        ],
    )


def model(name: str, capabilities: Capabilities) -> asr_pb2.Model:
    """Return the message that tells what a model can do."""
    return asr_pb2.Model(
        name=name,
        language_codes=capabilities.languages,
        native_streaming=capabilities.native_streaming,
        word_offsets=capabilities.word_offsets,
        max_alternatives=capabilities.max_alternatives,
        phrases=capabilities.phrases,
        sample_rate_hertz=capabilities.sample_rate_hz,
        max_segment_duration=duration(capabilities.longest_window_s),
    )


def _event(event: Event) -> asr_pb2.Transcript:
    match event:
        case SpeechStarted():
            boundary = asr_pb2.SpeechBoundary(offset=position(event.offset_samples))
            return asr_pb2.Transcript(speech_started=boundary)
        case SpeechEnded():
            boundary = asr_pb2.SpeechBoundary(offset=position(event.offset_samples))
            return asr_pb2.Transcript(speech_ended=boundary)
        case InterimResult():
            result = asr_pb2.Result(
                segment_id=event.segment_id,
                text=event.text,
                stable_text=event.stable_text,
                start_offset=position(event.start_samples),
                end_offset=position(event.end_samples),
                confidence=event.confidence,
            )
            return asr_pb2.Transcript(interim_result=result)
        case FinalResult():
            has_times = any(word.start_s is not None for word in event.words)
            result = final_result(event, with_words=has_times)
            return asr_pb2.Transcript(final_result=result)
        case FlushDone():
            return asr_pb2.Transcript(flush_done=asr_pb2.FlushDone(id=event.flush_id))
        case StreamEnding():
            ending = asr_pb2.StreamEnding(
                reason=event.reason, time_left=duration(event.time_left_s)
            )
            return asr_pb2.Transcript(stream_ending=ending)


def _word(word: Word, start_samples: int) -> asr_pb2.Word:
    start_s = start_samples / SAMPLE_RATE_HZ
    return asr_pb2.Word(
        text=word.text,
        start_offset=duration(start_s + (word.start_s or 0.0)),
        end_offset=duration(start_s + (word.end_s or 0.0)),
        confidence=word.confidence,
    )
