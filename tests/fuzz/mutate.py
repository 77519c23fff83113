"""Messages that are nearly right: made from the contract, then damaged."""

from __future__ import annotations

import io
import random

import numpy as np
import soundfile
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from protos.asr.v1 import asr_pb2
from tests.tones import pcm, quiet, tones

TEXTS = ("", "en", "en-GB", "tlh", "scripted", "x" * 128, "x" * 129, "ж" * 130, "\0", "alfa")
BYTES = (b"", b"\0", b"RIFF", b"fLaC", b"ID3", b"OggS" + bytes(20), b"\xff\xfb" * 50, bytes(999))
INTEGERS = (0, 1, 2, 3, 4, 5, 8, 9, 16_000, 7_999, 8_000, 192_000, 192_001, 2**31 - 1, -1, -(2**31))
SECONDS = (0, 1, 2, 10, 11, 28, 29, 60, 61, -1, 2**62, -(2**62))
NANOS = (0, 1, 99_999_999, 100_000_000, 500_000_000, 999_999_999, -1, 2**31 - 1, -(2**31))
FLOATS = (0.0, 20.0, -20.0, 20.01, float("nan"), float("inf"), 1e-40)

SPEECH = pcm(tones("alfa bravo"))


def _file(kind: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.concatenate([tones("alfa"), quiet(50)]), 16_000, format=kind)
    return buffer.getvalue()


FILES = tuple(_file(kind) for kind in ("WAV", "FLAC", "OGG"))


class Mutator:
    """Makes requests; the same seed makes the same."""

    def __init__(self, seed: int) -> None:
        """Begin a sequence."""
        self._random = random.Random(seed)

    def request(self) -> tuple[str, list[bytes]]:
        """Return a method and its messages."""
        choice = self._random.random()
        if choice < 0.1:
            return "ListModels", [self._damaged(b"")]
        if choice < 0.35:
            return "Recognize", [self._damaged(self._recording().SerializeToString())]
        config = asr_pb2.AudioChunk(config=asr_pb2.StreamingConfig(interim_results=True))
        if choice < 0.65:
            chunk = asr_pb2.AudioChunk()
            self._fill(chunk, 0)
            return "StreamingRecognize", [self._damaged(chunk.SerializeToString())]
        chunks = [self._chunk().SerializeToString() for _ in range(self._random.randint(1, 3))]
        return "StreamingRecognize", [config.SerializeToString(), *map(self._damaged, chunks)]

    def garbage(self) -> bytes:
        """Return what a connection begins with instead of gRPC."""
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
        noise = self._random.randbytes(self._random.choice((0, 1, 9, 50, 400)))
        return self._random.choice((b"", b"GET / HTTP/1.1\r\n", preface, preface[:20])) + noise

    def _recording(self) -> asr_pb2.RecognizeRequest:
        request = asr_pb2.RecognizeRequest()
        if self._random.random() < 0.5:
            self._fill(request, 0)
        if self._random.random() < 0.7:
            request.audio = self._random.choice((SPEECH, *FILES, *BYTES))
        return request

    def _chunk(self) -> asr_pb2.AudioChunk:
        chunk = asr_pb2.AudioChunk()
        if self._random.random() < 0.4:
            chunk.audio = SPEECH[: self._random.randint(1, len(SPEECH))]
        else:
            self._fill(chunk, 0)
        return chunk

    def _fill(self, message: Message, depth: int) -> None:
        """Set some fields to values at and beyond their limits."""
        for field in message.DESCRIPTOR.fields:
            if self._random.random() < 0.5 + 0.1 * depth:
                continue
            if field.is_repeated:
                for _ in range(self._random.randint(1, 2)):
                    self._fill(getattr(message, field.name).add(), depth + 1)
            elif field.type == FieldDescriptor.TYPE_MESSAGE:
                getattr(message, field.name).SetInParent()
                self._fill(getattr(message, field.name), depth + 1)
            else:
                setattr(message, field.name, self._value(field))

    def _value(self, field: FieldDescriptor) -> object:
        match field.type:
            case FieldDescriptor.TYPE_STRING:
                return self._random.choice(TEXTS)
            case FieldDescriptor.TYPE_BYTES:
                return self._random.choice((SPEECH, *BYTES))
            case FieldDescriptor.TYPE_BOOL:
                return self._random.random() < 0.5
            case FieldDescriptor.TYPE_FLOAT:
                return self._random.choice(FLOATS)
            case FieldDescriptor.TYPE_INT64:
                return self._random.choice(SECONDS)
        return self._random.choice(NANOS if field.name == "nanos" else INTEGERS)

    def _damaged(self, data: bytes) -> bytes:
        """Change bytes in about half of all messages."""
        chance = self._random
        if chance.random() < 0.5:
            return data
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            at = chance.randint(0, len(damaged))
            match chance.randrange(5):
                case 0 if at < len(damaged):
                    damaged[at] ^= 1 << chance.randrange(8)
                case 1:
                    damaged[at:at] = chance.randbytes(chance.choice((1, 2, 8)))
                case 2:
                    del damaged[at : at + chance.choice((1, 2, 8, 100))]
                case 3:
                    del damaged[at:]
                case _:
                    damaged[at:at] = damaged[at : at + chance.choice((2, 16))]
        return bytes(damaged)
