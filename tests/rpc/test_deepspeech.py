"""DeepSpeech behind the service: from bytes of any rate to words, interims and refusals."""

from __future__ import annotations

import asyncio

import grpc
import jiwer
import numpy as np
import pytest
import soxr

from protos.asr.v1 import asr_pb2
from service.core.hypothesis import SAMPLE_RATE_HZ
from tests.conftest import stub_for
from tests.recognizers.small_deepspeech_model import MODEL, SCORER, clips, functions
from tests.rpc.streams import audio, config, details, finals, flush, paced, recognize, text
from tests.tones import pcm, quiet

SPEC = f"deepspeech:{MODEL}?name=deepspeech&beam_width=100&language=en"


@pytest.fixture(autouse=True)
def _library() -> None:
    functions()


def _spoken(count: int = 3) -> tuple[str, np.ndarray]:
    chosen = clips()[:count]
    pieces = [piece for _, samples in chosen for piece in (samples, quiet(1_200))]
    return " ".join(words for words, _ in chosen), np.concatenate([quiet(300), *pieces])


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
async def test_audio_of_any_rate_is_heard(serve, rate_hz):
    """Resampled on the server, speech at 48 kHz is heard about as at 16 kHz, band permitting."""
    said, samples = _spoken()
    async with serve(model=[SPEC]) as running, stub_for(running.address) as stub:
        native = text(await recognize(stub, [config(), *audio(pcm(samples))]))
        audio_format = asr_pb2.AudioFormat(
            encoding=asr_pb2.AUDIO_ENCODING_PCM_S16LE, sample_rate_hertz=rate_hz
        )
        resampled = soxr.resample(samples, SAMPLE_RATE_HZ, rate_hz)
        messages = [config(audio_format=audio_format), *audio(pcm(resampled), rate_hz // 5)]
        heard = text(await recognize(stub, messages))
    assert heard
    if rate_hz >= SAMPLE_RATE_HZ:
        assert jiwer.wer(native, heard) <= 0.15
        assert jiwer.wer(said, heard) <= 0.35


async def test_interims_come_while_the_audio_does(serve):
    """Interims grow while words are spoken, and the finals do not depend on their being asked."""
    _, samples = _spoken(2)
    async with serve(model=[SPEC]) as running, stub_for(running.address) as stub:
        shown = await recognize(
            stub, paced([config(interim_results=True), *audio(pcm(samples))], 0.02)
        )
        unseen = await recognize(stub, [config(), *audio(pcm(samples), 9_999)])
    interims = [t.interim_result for t in shown if t.WhichOneof("event") == "interim_result"]
    assert len({interim.text for interim in interims}) >= 3
    assert finals(shown) == finals(unseen)


async def test_words_and_alternatives_come_when_asked_for(serve):
    """Offsets rise within their segment; alternatives have confidences."""
    _, samples = _spoken()
    async with serve(model=[SPEC]) as running, stub_for(running.address) as stub:
        asked = config(word_offsets=True, max_alternatives=4)
        results = finals(await recognize(stub, [asked, *audio(pcm(samples))]))
    assert len(results) >= 2
    for result in results:
        assert [word.text for word in result.words] == result.text.split()
        assert 0 < result.confidence <= 1
        assert len(result.alternatives) <= 3
        offsets = [
            offset.ToNanoseconds()
            for word in result.words
            for offset in (word.start_offset, word.end_offset)
        ]
        assert offsets == sorted(offsets)
        assert result.start_offset.ToNanoseconds() <= offsets[0]
        assert offsets[-1] <= result.end_offset.ToNanoseconds()
    assert any(result.alternatives for result in results)


async def test_many_streams_hear_what_each_hears_alone(serve):
    """Streams at the same time, cut and paced otherwise, have the same finals."""
    parts = [pcm(np.concatenate([samples, quiet(500)])) for _, samples in clips()[:4]]
    async with serve(model=[SPEC], decodes=2) as running, stub_for(running.address) as stub:
        alone = [finals(await recognize(stub, [config(), *audio(part)])) for part in parts]
        streams = [
            recognize(
                stub,
                paced(
                    [config(interim_results=index % 2 == 0), *audio(part, 1_000 + 777 * index)], 0
                ),
            )
            for index, part in enumerate(parts * 2)
        ]
        together = [finals(transcripts) for transcripts in await asyncio.gather(*streams)]
    assert together == alone * 2


async def test_a_cancelled_stream_leaves_the_server_well(serve):
    """A client that goes away in the middle of a word leaves nothing that hinders the next."""
    said, samples = _spoken(1)
    async with serve(model=[SPEC], max_streams=1) as running, stub_for(running.address) as stub:
        for _ in range(5):
            call = stub.StreamingRecognize()
            await call.write(config(interim_results=True))
            for message in audio(pcm(samples[:24_000]), 16_000):
                await call.write(message)
            await call.read()
            call.cancel()
            await running.engine.slots.wait_until_free(50)
        heard = text(await recognize(stub, [config(), *audio(pcm(samples)), flush("end")]))
    assert jiwer.wer(said, heard) <= 0.35


async def test_without_a_scorer_phrases_are_refused(serve):
    """Phrases work through the scorer, and without one are refused by name."""
    async with serve(model=[SPEC]) as running, stub_for(running.address) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await recognize(stub, [config(phrases=[{"text": "milk", "boost": 5.0}])])
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "phrases" in refusal.value.details()


async def test_phrases_that_cannot_be_preferred_are_refused_at_once(serve):
    """The refusal comes with the config, before any speech, and names the phrase."""
    spec = f"{SPEC}&scorer={SCORER}"
    phrases = [{"text": "milk", "boost": 5.0}, {"text": "half past", "boost": 5.0}]
    async with serve(model=[spec]) as running, stub_for(running.address) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await recognize(stub, [config(phrases=phrases)])
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "half past" in refusal.value.details()
        assert details(refusal.value)[0].reason == "INVALID_FIELD"
        assert running.engine.slots.taken == 0


async def test_phrases_stay_with_their_stream(serve):
    """Streams with different phrases and with none, side by side, hear what each hears alone."""
    [(_, samples)] = clips()[1:2]
    chosen = [[], [{"text": "a", "boost": 20.0}], [{"text": "ten", "boost": 20.0}]]
    async with (
        serve(model=[f"{SPEC}&scorer={SCORER}"], decodes=2) as running,
        stub_for(running.address) as stub,
    ):

        async def heard(index: int) -> str:
            messages = [config(phrases=chosen[index % 3]), *audio(pcm(samples))]
            return text(await recognize(stub, paced(messages, 0)))

        alone = [await heard(index) for index in range(3)]
        together = await asyncio.gather(*(heard(index) for index in range(12)))
    assert len(set(alone)) == 3
    assert together == alone * 4


async def test_the_model_tells_that_it_streams_natively(serve):
    """ListModels says what this model can do."""
    async with serve(model=[SPEC]) as running, stub_for(running.address) as stub:
        [model] = (await stub.ListModels(asr_pb2.ListModelsRequest())).models
    assert model.name == "deepspeech"
    assert model.native_streaming
    assert model.word_offsets
    assert not model.phrases
    assert model.max_alternatives == 5
    assert list(model.language_codes) == ["en"]
