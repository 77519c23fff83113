"""`python -m client.evaluate` as testing teams run it."""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import soundfile

from client.cli import ExitCode
from client.evaluation.thresholds import MISSED
from tests.client.fake_server import fake_server
from tests.client.programs import outcome, run, start, write_tone
from tests.samples import FOLDER
from tests.tones import quiet, tones

WORDS = {"one.wav": "alfa bravo charlie", "two.wav": "delta echo", "three.wav": "golf hotel"}


@pytest.fixture
def manifest(tmp_path):
    """Three clips that the scripted recognizer hears; one reference says another word."""
    for name, words in WORDS.items():
        soundfile.write(tmp_path / name, [*tones(words), *quiet(200)], 16_000)
    texts = WORDS | {"three.wav": "golf india"}
    lines = [
        {"audio": name, "text": text, "group": "wrong" if "india" in text else "right"}
        for name, text in texts.items()
    ]
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


async def evaluate(address, *arguments):
    return await run("client.evaluate", "--server", address, *map(str, arguments))


class Tags(HTMLParser):
    """What a page is made of, and whether its tags are closed."""

    VOID = ("meta", "br")

    def __init__(self, page):
        super().__init__()
        self.open, self.links, self.seen, self.unlabelled = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        names = dict(attrs)
        if tag in ("audio", "svg") or "tabindex" in names:
            hidden = names.get("aria-hidden") == "true"
            self.unlabelled += [] if hidden or names.get("aria-label") else [tag]
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


async def test_accuracy_latency_and_steadiness(server, manifest, tmp_path):
    """Every figure of a small set is what it must be, in the tables, the JSON and the page."""
    machine, page = tmp_path / "out.json", tmp_path / "out.html"
    options = ("--streams", "2", "--json", machine, "--html", page, "--max-retractions", "0")
    code, output, complaints = await evaluate(server.address, manifest, *options)
    assert (code, complaints) == (0, "")
    assert "14.29 %" in output
    assert "india → hotel" in output
    for method in ("jiwer", "whisper-normalizer", "word offsets", "open loop"):
        assert method in output
    report = json.loads(machine.read_text())
    (result,) = report["results"]
    assert result["accuracy"]["words"] == 7
    assert result["accuracy"]["substitutions"] == 1
    assert result["groups"]["right"]["wer"]["value"] == 0
    assert result["groups"]["wrong"]["wer"]["value"] == 0.5
    assert result["latency"]["word_shown_s"]["count"] == 6
    assert 0 <= result["latency"]["sender_lateness_s"]["p50_s"] < 0.1
    assert result["latency"]["final_after_close_s"]["p50_s"] > 0
    assert result["steadiness"]["retractions"] == 0
    assert report["problems"] == []
    tags = Tags(page.read_text(encoding="utf-8"))
    assert tags.open == []
    assert {"svg", "audio", "del", "ins", "table", "main", "title"} <= set(tags.seen)
    assert tags.unlabelled == []
    assert all(link.startswith("data:") for link in tags.links)
    assert "url(" not in page.read_text(encoding="utf-8")
    assert "{&#x27;" not in page.read_text(encoding="utf-8"), "settings are written for people"


async def test_a_slower_recognizer_is_as_much_slower_in_the_report(serve, manifest, tmp_path):
    """Decodes that take 400 ms more show as delays that are longer by that, not by the load."""
    machine = tmp_path / "out.json"
    p50s_s = []
    for model in ("scripted", "scripted?delay_ms=400"):
        async with serve(model=[model]) as server:
            code, _, _ = await evaluate(server.address, manifest, "--json", machine)
        assert code == 0
        (result,) = json.loads(machine.read_text())["results"]
        p50s_s.append(result["latency"]["final_after_close_s"]["p50_s"])
    assert 0.3 < p50s_s[1] - p50s_s[0] < 1.2


async def test_what_is_wrong_is_named_and_the_rest_is_measured(server, manifest, tmp_path):
    """A missing file, one that is not audio, an empty text: each is named, the exit code is 4."""
    (tmp_path / "bad.wav").write_text("no audio")
    lines = [
        {"audio": "nowhere.wav", "text": "One."},
        {"audio": "bad.wav", "text": "One."},
        {"audio": "one.wav", "text": ""},
        {"audio": "one.wav", "text": "(laughs)"},
    ]
    with manifest.open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(json.dumps(line) for line in lines))
    code, output, _ = await evaluate(server.address, manifest, "--pace", "fast", "--max-wer", 0)
    assert code == ExitCode.NOT_AUDIO
    assert output.count("not measured: ") == 4
    flat = re.sub(r"\s+", " ", output)
    assert "nowhere.wav cannot be read" in flat
    assert "bad.wav is not audio" in flat
    assert 'one.wav has an empty "text"' in flat
    assert "'(laughs)' is empty once it is normalized" in flat
    assert "14.29 %" in output
    assert "Latency" not in output
    assert "Steadiness" not in output


async def test_baseline_and_thresholds(server, manifest, tmp_path):
    """An earlier report is compared clip by clip, and a missed threshold is exit code 6."""
    before, fast = tmp_path / "before.json", ("--pace", "fast")
    assert (await evaluate(server.address, manifest, *fast, "--json", before))[0] == 0
    same = (*fast, "--baseline", before, "--max-wer-rise", "0", "--max-cer", "50")
    code, output, _ = await evaluate(server.address, manifest, *same)
    assert code == 0
    assert "baseline: scripted" in output
    assert output.count(" met ") == 2
    # A figure that this pace cannot measure is no figure that is fine.
    code, output, _ = await evaluate(server.address, manifest, *same, "--max-retractions", "0")
    assert code == MISSED
    assert output.count("not measured") == 1
    # At one and a half times the pitch, tones are heard as other words.
    worse = (*same, "--condition", "clean", "--condition", "speed:1.5", "--max-wer", "20")
    code, output, _ = await evaluate(server.address, manifest, *worse)
    assert code == MISSED
    # The baseline knows nothing of the new condition, and its error rate is far above 20 %.
    assert output.count("MISSED") >= 2
    assert "not measured" in output


async def test_two_servers(server, serve, manifest, tmp_path):
    """Two systems are reported side by side, with the difference between them."""
    machine = tmp_path / "out.json"
    async with serve() as other:
        options = ("--pace", "fast", "--against-server", other.address, "--json", machine)
        code, output, _ = await evaluate(server.address, manifest, *options)
    assert code == 0
    report = json.loads(machine.read_text())
    names = [f"scripted at {running.address}" for running in (server, other)]
    assert [result["system"] for result in report["results"]] == names
    (difference,) = report["differences"]
    assert (difference["clips"], difference["difference"]["value"]) == (3, 0)
    assert difference["probability"] == 1
    assert "Differences" in output


async def test_noise_makes_a_curve(server, manifest, tmp_path):
    """Several ratios of one noise are a line of word error rate against them."""
    write_tone(tmp_path / "hum.wav", 2)
    page = tmp_path / "out.html"
    spec = f"noise:{tmp_path / 'hum.wav'}:snr=40,-20"
    options = ("--pace", "fast", "--condition", spec, "--html", page)
    code, output, _ = await evaluate(server.address, manifest, *options)
    assert code == 0
    assert "noise:hum.wav:snr=40" in output
    assert "Word error rate against noise" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--model", "none"), ExitCode.REJECTED, "it has: fake"),
        (("--condition", "echo"), ExitCode.USAGE, "there is no condition 'echo'"),
        (("--max-wer-rise", "1"), ExitCode.USAGE, "--baseline FILE"),
        (("--baseline", "README.md"), ExitCode.USAGE, "is no report"),
        (("--against-model", "fake"), ExitCode.USAGE, "the same model"),
        (("--server", "127.0.0.1:1"), ExitCode.SERVER_AWAY, "no server answers"),
        (("--json", "/nowhere/x.json"), ExitCode.FAILED, "cannot be written"),
        (("--html", "docs"), ExitCode.FAILED, "docs cannot be written: it is a directory"),
        (("--max-wer", "inf"), ExitCode.USAGE, "'inf' is not a number"),
        (("--max-wer-rise", "nan"), ExitCode.USAGE, "'nan' is not a number"),
    ],
)
async def test_what_cannot_begin_says_why(manifest, options, code, said):
    """Each has its exit code, that of client.file, and a sentence on standard error."""
    async with fake_server() as server:
        found, _, complaints = await evaluate(server.address, manifest, "--pace", "fast", *options)
    assert found == code
    assert said in complaints
    assert server.streams == 0


async def start_evaluation(address, manifest, page, **options):
    arguments = ("--pace", "fast", "--html", str(page), "--json", str(page.with_suffix(".json")))
    arguments += ("--server", address, "--max-wer", "0", str(manifest))
    return await start("client.evaluate", *arguments, **options)


async def test_nobody_reads_the_tables(server, manifest, tmp_path):
    """Where the reader of standard output went away, the files are written all the same, and the
    exit code is that of what was measured."""
    page = tmp_path / "out.html"
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = await start_evaluation(server.address, manifest, page, stdout=write_end)
    os.close(write_end)
    code, _, complaints = await outcome(process)
    assert (code, complaints) == (MISSED, "")
    assert "Worst clips" in page.read_text(encoding="utf-8")
    assert json.loads(page.with_suffix(".json").read_text())["results"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
async def test_the_tables_cannot_be_printed(server, manifest, tmp_path):
    """A full disk under standard output is a sentence and exit code 1, and the files are there."""
    page = tmp_path / "out.html"
    full = os.open("/dev/full", os.O_WRONLY)
    process = await start_evaluation(server.address, manifest, page, stdout=full)
    os.close(full)
    code, _, complaints = await outcome(process)
    assert code == ExitCode.FAILED
    assert complaints == "client.evaluate: the tables cannot be printed: No space left on device\n"
    assert json.loads(page.with_suffix(".json").read_text())["results"]


async def test_a_terminal_without_arrows(server, manifest, tmp_path):
    """In an encoding that lacks a character, the report is printed with what stands for it."""
    lines = manifest.read_text(encoding="utf-8").replace("india", "\u0444")
    manifest.write_text(lines, encoding="utf-8")
    page = tmp_path / "out.html"
    process = await start_evaluation(
        server.address, manifest, page, PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )
    code, output, complaints = await outcome(process)
    assert (code, complaints) == (MISSED, "")
    assert r"\u0444 -> hotel" in output
    assert "14.29 %" in output


async def test_help_teaches():
    """The help has every condition, examples and exit codes."""
    code, output, _ = await run("client.evaluate", "--help")
    assert code == 0
    for part in ("noise:PATH:snr=DB", "examples:", "--against-model", "exit codes:", "  6  "):
        assert part in output


@pytest.mark.timeout(400)
async def test_real_speech(serve, tmp_path):
    """The default model on the project's own recordings, spoken in real time."""
    lines = (FOLDER / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = [json.loads(line) for line in lines if json.loads(line)["duration_s"] < 4][:3]
    manifest, machine = tmp_path / "set.jsonl", tmp_path / "out.json"
    for line in chosen:
        line["audio"] = str(FOLDER / line["audio"])
    manifest.write_text("\n".join(json.dumps(line) for line in chosen), encoding="utf-8")
    async with serve(model=["whisper"], voice_activity="silero", threads=1) as server:
        code, _, complaints = await evaluate(server.address, manifest, "--json", machine)
    assert (code, complaints) == (0, "")
    (result,) = json.loads(machine.read_text())["results"]
    assert result["accuracy"]["clips"] == 3
    assert result["accuracy"]["wer"]["value"] < 0.1
    assert result["latency"]["word_shown_s"]["count"] > 10
    assert result["steadiness"]["retractions"] == 0
