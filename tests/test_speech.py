"""Real weights, speech, a real server: what the default model makes of the samples."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import jiwer
import numpy as np
import pytest
import soundfile
from whisper_normalizer.english import EnglishTextNormalizer

from client.serving import serving
from protos.asr.v1 import asr_pb2
from service.core.hypothesis import SAMPLE_RATE_HZ
from tests.conftest import stub_for
from tests.rpc.streams import audio, config, finals, flush, paced, recognize, text
from tests.samples import FOLDER, SAMPLES, read_sample
from tests.tones import pcm

MOST_WER = 0.02
"""Of all recordings together; each is clean speech that Whisper tiny.en knows well."""

normalize = EnglishTextNormalizer()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The address of a server with the default model."""
    command = [sys.executable, "-m", "service", "--listen", "127.0.0.1:0", "--threads", "1"]
    with (
        (tmp_path_factory.mktemp("server") / "log").open("w") as log,
        serving(command, FOLDER.parent, log) as running,
    ):
        yield running.address


def _word_error_rate(references: list[str], hypotheses: list[str]) -> float:
    return jiwer.wer([normalize(one) for one in references], [normalize(one) for one in hypotheses])


def _near(left: str, right: str) -> bool:
    return normalize(left) == normalize(right)


async def test_the_samples_are_heard_as_they_were_spoken(address):
    """Streamed finals of all recordings stay within the stated word error rate."""
    async with stub_for(address) as stub:
        heard = [
            text(await recognize(stub, [config(), *audio(pcm(read_sample(sample.name)))]))
            for sample in SAMPLES
        ]
    assert _word_error_rate([sample.text for sample in SAMPLES], heard) <= MOST_WER


@pytest.mark.timeout(400)
async def test_neither_pieces_nor_pace_nor_neighbours_change_a_final(address):
    """Finals and their word times are equal: whole, in odd pieces with interims, among others."""
    speech = pcm(read_sample("demo.flac"))
    other = pcm(read_sample("passage.flac"))
    async with stub_for(address) as stub:
        alone = finals(await recognize(stub, [config(word_offsets=True), *audio(speech, 200_000)]))
        asked = config(word_offsets=True, interim_results=True)
        together = await asyncio.gather(
            recognize(stub, paced([asked, *audio(speech, 1_777)], 0.004)),
            recognize(stub, [asked, *audio(speech, 33_333)]),
            recognize(stub, [config(), *audio(other)]),
        )
    assert len(alone) >= 3
    assert finals(together[0]) == alone
    assert finals(together[1]) == alone


async def test_interims_are_rewritten_and_stable_text_is_kept(address):
    """At the pace of speech interims come early, change, and never retract stable text."""
    speech = pcm(read_sample("without_pauses.flac")[: 8 * SAMPLE_RATE_HZ])
    async with stub_for(address) as stub:
        transcripts = await recognize(
            stub, paced([config(interim_results=True), *audio(speech)], 0.1)
        )
    interims = [t.interim_result for t in transcripts if t.HasField("interim_result")]
    assert len({interim.text for interim in interims}) >= 3
    stable: dict[int, str] = {}
    for interim in interims:
        assert interim.stable_text.startswith(stable.get(interim.segment_id, ""))
        assert interim.text.startswith(interim.stable_text)
        stable[interim.segment_id] = interim.stable_text
    assert any(stable.values())


async def test_a_flush_between_sentences_changes_little(address):
    """A flush in the demo's pauses answers at once and loses no sentence."""
    speech = pcm(read_sample("demo.flac"))
    cut = len(speech) // 2 // 2 * 2
    async with stub_for(address) as stub:
        transcripts = await recognize(
            stub, [config(), *audio(speech[:cut]), flush("half"), *audio(speech[cut:])]
        )
    [demo] = [sample for sample in SAMPLES if sample.name == "demo.flac"]
    assert _word_error_rate([demo.text], [text(transcripts)]) <= 0.05


@pytest.mark.parametrize("name", ["stereo_48khz.flac", "telephone_8khz_mulaw.wav"])
async def test_files_in_other_formats_are_heard(address, name):
    """Recognize takes the file as it is, whatever its rate and channels."""
    [sample] = [sample for sample in SAMPLES if sample.name == name]
    async with stub_for(address) as stub:
        response = await stub.Recognize(
            asr_pb2.RecognizeRequest(config={"word_offsets": True}, audio=sample.path.read_bytes())
        )
    assert _near(sample.text, " ".join(result.text for result in response.results))
    ends = [word.end_offset.ToNanoseconds() for word in response.results[0].words]
    assert ends == sorted(ends)
    assert ends[-1] <= soundfile.info(sample.path).duration * 1e9


async def test_silence_and_noise_yield_no_words(address):
    """Silence, hiss, hum and clicks produce nothing at all."""
    seconds = np.arange(20 * 16_000) / 16_000
    random = np.random.default_rng(7)
    clicks = np.zeros(20 * 16_000)
    clicks[:: 16_000 // 3] = 0.9
    noises = [
        np.zeros(60 * 16_000),
        random.normal(0, 0.02, 20 * 16_000),
        0.1 * np.sin(2 * np.pi * 50 * seconds),
        clicks,
    ]
    async with stub_for(address) as stub:
        for noise in noises:
            transcripts = await recognize(
                stub, [config(interim_results=True), *audio(pcm(noise.astype(np.float32)), 32_000)]
            )
            assert [t.WhichOneof("event") for t in transcripts] == ["stream_started"]
