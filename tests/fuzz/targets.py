"""What is done with any bytes at all; each must raise nothing but what a client may be told."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from protos.asr.v1 import asr_pb2
from service.core.audio import AudioConverter, AudioEncoding, AudioFormat
from service.core.errors import ClientError
from service.core.hypothesis import SAMPLE_RATE_HZ
from service.engine.request import decode_options, session_config
from service.recognizers.scripted import ScriptedRecognizer
from service.rpc import convert
from service.rpc.intake import first_config

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000)
CAPABILITIES = ScriptedRecognizer().capabilities


def parse_messages(data: bytes) -> None:
    """Parse the bytes as every message that a client sends."""
    for kind in (asr_pb2.AudioChunk, asr_pb2.RecognizeRequest, asr_pb2.ListModelsRequest):
        try:
            message = convert.parse(kind, data)
        except ClientError:
            continue
        assert kind.FromString(message.SerializeToString()) is not None


def honour_config(data: bytes) -> None:
    """Take the bytes as a first message, and see what a stream of it would be."""
    try:
        request = convert.stream_request(first_config(data))
        options = decode_options(request, "scripted", CAPABILITIES)
        config = session_config(request, CAPABILITIES, 0.5)
    except ClientError:
        return
    assert 1 <= options.max_alternatives <= CAPABILITIES.max_alternatives
    assert config.endpoint_rules.max_segment_s <= CAPABILITIES.longest_window_s


def convert_audio(data: bytes) -> None:
    """Take the bytes as a format, cuts and audio; cuts change no sample, and all are numbers."""
    if len(data) < 6:
        return
    encoding = tuple(AudioEncoding)[data[0] % len(AudioEncoding)]
    rate_hz = RATES_HZ[data[1] % len(RATES_HZ)]
    audio_format = AudioFormat(encoding, rate_hz, 1 + data[2] % 8)
    cuts, audio = data[3:6], data[6:]
    try:
        whole = _converted(audio_format, [audio])
        in_pieces = _converted(audio_format, _cut(audio, cuts))
    except ClientError:
        return
    assert np.array_equal(whole, in_pieces)
    assert np.isfinite(whole).all()
    assert np.abs(whole).max(initial=0.0) < 4
    frames = len(audio) // audio_format.frame_bytes
    assert abs(len(whole) - frames * SAMPLE_RATE_HZ / rate_hz) <= 1


def _converted(audio_format: AudioFormat, pieces: list[bytes]) -> np.ndarray:
    converter = AudioConverter(audio_format)
    return np.concatenate([*map(converter.feed, pieces), converter.flush()])


def _cut(audio: bytes, cuts: bytes) -> list[bytes]:
    places = sorted(place * len(audio) // 255 for place in cuts)
    edges = [0, *places, len(audio)]
    return [audio[begin:end] for begin, end in itertools.pairwise(edges)]


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (parse_messages, honour_config, convert_audio)
}
