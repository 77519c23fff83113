"""StreamingRecognize through a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from client.stream import Client, StreamingConfig
from protos.asr.v1 import asr_pb2
from tests.conftest import stub_for
from tests.rpc.streams import audio, config, finals, flush, paced, recognize, text
from tests.tones import burst, pcm, quiet, tones

SPEECH = pcm(
    np.concatenate([quiet(300), tones("alfa bravo charlie"), quiet(1_200), tones("delta echo")])
)


def _names(transcripts: list[asr_pb2.Transcript]) -> list[str]:
    return [transcript.WhichOneof("event") for transcript in transcripts]


async def test_a_stream_from_start_to_end(stub):
    """A stream starts, tells of speech, gives its finals, and ends with OK."""
    transcripts = await recognize(stub, [config(), *audio(SPEECH)])
    names = _names(transcripts)
    assert names[0] == "stream_started"
    # A final is decoded while the next speech may already begin.
    boundaries = [name for name in names if name in ("speech_started", "speech_ended")]
    assert boundaries == ["speech_started", "speech_ended"] * 2
    assert names.index("final_result") > names.index("speech_ended")
    assert names.count("final_result") == 2
    assert len(names) == 7
    assert transcripts[0].stream_started.model == "scripted"
    assert len(transcripts[0].stream_started.stream_id) == 32
    assert text(transcripts) == "alfa bravo charlie delta echo"


async def test_every_message_carries_the_cursors(stub):
    """Received, processed and final offsets stand in every message and never go back."""
    transcripts = await recognize(stub, [config(interim_results=True), *audio(SPEECH)])
    for cursor in ("received_offset", "processed_offset", "final_offset"):
        assert all(transcript.HasField(cursor) for transcript in transcripts)
        values = [getattr(transcript, cursor).ToNanoseconds() for transcript in transcripts]
        assert values == sorted(values)
    assert transcripts[-1].received_offset.ToNanoseconds() == len(SPEECH) * 10**9 // 32_000


async def test_interims_come_while_the_audio_does(stub):
    """Interim results arrive before the audio has ended, each beginning with its stable text."""
    call = stub.StreamingRecognize()
    await call.write(config(interim_results=True))
    interims: list[asr_pb2.Result] = []
    for _ in range(10):
        await call.write(*audio(pcm(tones("alfa bravo charlie")), 100_000))
        # What was just said is shown before anything more is.
        while (shown := await call.read()).WhichOneof("event") != "interim_result":
            pass
        interims.append(shown.interim_result)
    call.cancel()
    assert all(interim.text.startswith(interim.stable_text) for interim in interims)
    assert interims[-1].stable_text


async def test_word_offsets_where_they_are_asked_for(stub):
    """Words have their times and confidences if the config asks, and are absent if not."""
    [final, _] = finals(await recognize(stub, [config(word_offsets=True), *audio(SPEECH)]))
    assert [word.text for word in final.words] == ["alfa", "bravo", "charlie"]
    starts = [word.start_offset.ToNanoseconds() / 1e9 for word in final.words]
    assert starts == pytest.approx([0.3, 0.6, 0.9], abs=0.01)
    assert all(word.HasField("confidence") for word in final.words)
    [final, _] = finals(await recognize(stub, [config(), *audio(SPEECH)]))
    assert not final.words


async def test_alternatives_where_they_are_asked_for(stub):
    """A final has at most max_alternatives hypotheses, the best one included."""
    [final, _] = finals(await recognize(stub, [config(max_alternatives=2), *audio(SPEECH)]))
    assert [other.text for other in final.alternatives] == ["alfa bravo"]


async def test_a_flush_is_answered_in_the_stream(stub):
    """A flush yields the finals so far and its id, and the stream goes on."""
    half = len(SPEECH) // 2
    messages = [config(), *audio(SPEECH[:half]), flush("a"), *audio(SPEECH[half:]), flush("b")]
    transcripts = await recognize(stub, messages)
    names = _names(transcripts)
    assert names.count("flush_done") == 2
    assert [t.flush_done.id for t in transcripts if t.HasField("flush_done")] == ["a", "b"]
    assert names[-1] == "flush_done"
    assert text(transcripts) == "alfa bravo charlie delta echo"


async def test_silence_without_bytes_ends_a_segment(stub):
    """A silence message counts as audio: it ends the segment and moves the clock."""
    silence = asr_pb2.AudioChunk(silence=asr_pb2.Silence(duration=Duration(seconds=2)))
    words = pcm(tones("alfa bravo"))
    transcripts = await recognize(
        stub, [config(), *audio(words), silence, *audio(pcm(tones("golf")))]
    )
    assert [final.text for final in finals(transcripts)] == ["alfa bravo", "golf"]
    assert finals(transcripts)[1].end_offset.ToNanoseconds() > 2.6e9


async def test_a_single_utterance_ends_the_stream(server):
    """The stream ends with OK after the first endpoint, though the client goes on sending."""

    async def endless():
        while True:
            yield SPEECH

    # A plain stub may show INTERNAL for a write behind the end (grpc/grpc#36066).
    single = StreamingConfig(endpointing={"single_utterance": True})
    async with Client(server.address) as client, client.stream(single) as stream:
        stream.feed(endless())
        transcripts = [transcript async for transcript in stream]
    assert text(transcripts) == "alfa bravo charlie"


async def test_endpointing_is_the_streams_own(stub):
    """Silence duration and longest segment hold for the stream that sets them."""
    short = {"silence_duration": Duration(nanos=200_000_000)}
    words = pcm(np.concatenate([tones("alfa"), quiet(400), tones("bravo"), quiet(400)]))
    assert len(finals(await recognize(stub, [config(), *audio(words)]))) == 1
    assert len(finals(await recognize(stub, [config(endpointing=short), *audio(words)]))) == 2
    long = pcm(tones("alfa " * 20))
    capped = {"max_segment_duration": Duration(seconds=2)}
    transcripts = await recognize(stub, [config(endpointing=capped), *audio(long)])
    assert len(finals(transcripts)) >= 3
    assert text(transcripts) == " ".join(["alfa"] * 20)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
async def test_other_rates_and_channels_give_the_same_words(stub, rate_hz):
    """Audio at another rate, in stereo floats, is heard the same."""
    gap = np.zeros(rate_hz // 10)
    words = np.concatenate([burst("alfa", rate_hz=rate_hz), gap, burst("golf", rate_hz=rate_hz)])
    stereo = np.repeat(words[:, None], 2, axis=1).astype("<f4").tobytes()
    audio_format = asr_pb2.AudioFormat(
        encoding=asr_pb2.AUDIO_ENCODING_PCM_F32LE, sample_rate_hertz=rate_hz, channel_count=2
    )
    transcripts = await recognize(stub, [config(audio_format=audio_format), *audio(stereo, 999)])
    assert text(transcripts) == "alfa golf"


async def test_many_streams_at_once_give_what_each_gives_alone(stub):
    """Streams that run side by side do not change each other's finals."""
    speeches = [pcm(tones(words)) for words in ("alfa bravo", "charlie " * 9, "golf", "kilo lima")]
    alone = [finals(await recognize(stub, [config(), *audio(speech)])) for speech in speeches]
    together = await asyncio.gather(
        *(
            recognize(stub, paced([config(), *audio(speech, 1_001)], 0.001))
            for speech in speeches * 5
        )
    )
    assert [finals(transcripts) for transcripts in together] == alone * 5


async def test_fast_and_paced_audio_give_the_same_finals(stub):
    """The same audio sent at once or slowly, in other pieces, has the same finals."""
    fast = await recognize(stub, [config(word_offsets=True), *audio(SPEECH, 60_000)])
    slow = await recognize(
        stub, paced([config(word_offsets=True, interim_results=True), *audio(SPEECH, 1_777)], 0.005)
    )
    assert finals(fast) == finals(slow)


async def test_no_audio_is_no_error(stub):
    """A stream without messages, or with a config alone, ends with OK and no results."""
    assert await recognize(stub, []) == []
    assert _names(await recognize(stub, [config()])) == ["stream_started"]


async def test_a_slow_reader_loses_no_final(serve):
    """While the client does not read, recognition goes on; it then reads every final."""
    words = pcm(np.concatenate([np.concatenate([tones("alfa"), quiet(1_000)])] * 60))
    async with serve() as running, stub_for(running.address) as stub:
        all_sent = asyncio.Event()

        async def messages() -> AsyncIterator[asr_pb2.AudioChunk]:
            for message in [config(interim_results=True), *audio(words)]:
                yield message
            all_sent.set()

        call = aiter(stub.StreamingRecognize(messages()))
        await anext(call)
        await all_sent.wait()
        transcripts = [transcript async for transcript in call]
    assert len(finals(transcripts)) == 60


async def test_a_slot_is_free_again_however_a_stream_ends(serve):
    """After OK, an error and a cancellation, the only slot can be taken again."""
    async with serve(max_streams=1) as running, stub_for(running.address) as stub:
        for _ in range(3):
            assert text(await recognize(stub, [config(), *audio(SPEECH)]))
            call = stub.StreamingRecognize(paced([config(), *audio(SPEECH)], 0.01))
            await anext(aiter(call))
            call.cancel()
            await running.engine.slots.wait_until_free(50)
            assert running.engine.slots.taken == 0
