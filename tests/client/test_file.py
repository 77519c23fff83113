"""`python -m client.file` as users run it: options, texts and subtitles."""

import json

import pytest

from client.file import ExitCode, parse
from client.messages import to_duration
from protos.asr.v1.asr_pb2 import Model, Word
from tests.client.fake_server import STARTED, fake_server, final, interim
from tests.client.programs import run, transcribe, write_tone


async def two_finals(server, requests, _):
    yield STARTED
    async for request in requests:
        server.note(request)
    yield interim("nearly")
    yield final("One.", 0.0, 1.0)
    yield final("Two.", 1.0, 2.0, 1)


async def test_text(tmp_path):
    """A recording is streamed whole, and its finals are lines on standard output, alone."""
    path = write_tone(tmp_path / "tone.flac", 2.5, 22_050)
    async with fake_server(two_finals) as server:
        assert await transcribe(server, path) == (0, "One.\nTwo.\n", "")
    assert server.audio_bytes == 2 * round(2.5 * 22_050)
    assert server.config.audio_format.sample_rate_hertz == 22_050
    assert not server.config.interim_results


async def test_config_from_options(tmp_path):
    """Model, language, interims and words are asked for as the options say."""
    path = write_tone(tmp_path / "tone.wav")
    options = ("--model", "big", "--language", "en-GB", "--interim", "--words", "--times")
    async with fake_server(two_finals) as server:
        code, output, complaints = await transcribe(server, *options, path)
    assert (code, output.splitlines()[0]) == (0, "[0:00.0 - 0:01.0]  One.")
    assert complaints == "  … [nearly]\n"
    config = server.config
    assert (config.model, config.language_code) == ("big", "en-GB")
    assert config.interim_results
    assert config.word_offsets


async def test_several_files_and_a_bad_one(tmp_path):
    """A file that is not audio is reported, the others are done, and the exit code tells."""
    good = write_tone(tmp_path / "good.wav")
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    async with fake_server(two_finals) as server:
        code, output, complaints = await transcribe(server, str(bad), good)
    assert code == ExitCode.NOT_AUDIO
    assert output == f"{good}: One.\n{good}: Two.\n"
    assert complaints.startswith(f"client.file: {bad} is not audio")
    assert complaints.count("\n") == 1


async def test_json(tmp_path):
    """JSON is a line for every transcript; of several files each line has its file's name."""
    first, second = (write_tone(tmp_path / name) for name in ("a.wav", "b.wav"))
    async with fake_server(two_finals) as server:
        code, output, _ = await transcribe(server, "--format", "json", first, second)
    lines = [json.loads(line) for line in output.splitlines()]
    assert code == 0
    assert [line["file"] for line in lines] == [first] * 4 + [second] * 4
    assert lines[2]["final_result"] == {
        "text": "One.",
        "start_offset": "0s",
        "end_offset": "1s",
    }


@pytest.mark.parametrize("words", [True, False])
async def test_srt_by_words(tmp_path, words):
    """SRT asks for the times of words where the model has them, and cuts long finals by them."""

    async def long_final(server, requests, _):
        yield STARTED
        async for request in requests:
            server.note(request)
        transcript = final(" ".join(["word"] * 40), 0.0, 20.0)
        if server.config.word_offsets:
            transcript.final_result.words.extend(
                Word(
                    text="word",
                    start_offset=to_duration(n * 0.5),
                    end_offset=to_duration(n * 0.5 + 0.5),
                )
                for n in range(40)
            )
        yield transcript

    path = write_tone(tmp_path / "tone.wav")
    models = [Model(name="default", word_offsets=words), Model(name="other")]
    async with fake_server(long_final, models) as server:
        code, output, _ = await transcribe(server, "--format", "srt", path)
    assert code == 0
    assert output.count("word") == 40
    assert output.count("-->") == (3 if words else 1)
    assert output.startswith("1\n00:00:00,000 --> ")


async def test_output_dir(tmp_path):
    """With a folder for the output, each recording gets a file of its own."""
    paths = [write_tone(tmp_path / name) for name in ("a.wav", "b.flac")]
    folder = tmp_path / "new" / "subtitles"
    async with fake_server(two_finals) as server:
        code, output, _ = await transcribe(
            server, "--format", "vtt", "--output-dir", str(folder), *paths
        )
    assert (code, output) == (0, "")
    assert {file.name for file in folder.iterdir()} == {"a.vtt", "b.vtt"}
    assert (
        (folder / "a.vtt").read_text().startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nOne.")
    )


async def test_output_that_cannot_be_written(tmp_path):
    """An output that cannot be written is a sentence, before any audio is sent."""
    path = write_tone(tmp_path / "a.wav")
    async with fake_server(two_finals) as server:
        code, _, complaints = await transcribe(server, "--output-dir", path, path)
    assert code == ExitCode.FAILED
    assert complaints.startswith("client.file: ")
    assert "a.text cannot be written: " in complaints
    assert server.audio_bytes == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "PATH"),
        (["--rate", "8000", "a.wav"], "describe raw audio"),
        (["-", "-"], "only once"),
        (["--format", "srt", "a.wav", "b.wav"], "needs --output-dir"),
        (["--output-dir", "x", "a.wav", "b/a.flac"], "same output file"),
        (["--server", "localhost", "a.wav"], "is not HOST:PORT"),
        (["--format", "pdf", "a.wav"], "invalid choice"),
        (["--channels", "9", "-"], "from 1 to 8"),
        (["--rate", "44", "-"], "from 8000 to 192000"),
    ],
)
def test_usage(arguments, sentence, capsys):
    """A command line that makes no sense is answered with the reason, and exit code 2."""
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == ExitCode.USAGE
    assert sentence in capsys.readouterr().err


async def test_help_teaches():
    """The help has examples and the exit codes."""
    code, output, _ = await run("client.file", "--help")
    assert code == 0
    assert "examples:" in output
    assert all(f"\n  {int(code)} " in output for code in ExitCode)
