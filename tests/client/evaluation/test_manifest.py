"""Reading manifests, right and wrong ones."""

import json

from client.cli import ExitCode
from client.evaluation.manifest import read_manifests


def write(folder, *lines, name="manifest.jsonl"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def test_entries(tmp_path):
    """Paths are from the manifest's folder; who gives no group belongs to the manifest."""
    folder = tmp_path / "calls"
    manifest = write(
        folder,
        {"audio": "a.wav", "text": "One.", "speaker": "ann", "group": "loud"},
        "",
        {"audio": "sub/b.wav", "text": "Two.", "speaker": None},
    )
    (first, second), problems = read_manifests([manifest])
    assert problems == []
    assert (first.name, first.path, first.text) == ("calls/a.wav", folder / "a.wav", "One.")
    assert (first.speaker, first.group) == ("ann", "loud")
    assert (second.name, second.speaker, second.group) == ("calls/sub/b.wav", "", "calls")
    (by_speaker, _), _ = read_manifests([manifest], group_by="speaker")
    assert by_speaker.group == "ann"


def test_every_mistake_is_named_and_the_rest_is_read(tmp_path):
    """One sentence for each line that cannot be used, with its number."""
    manifest = write(
        tmp_path,
        "{not json",
        "[1]",
        {"text": "no audio"},
        {"audio": "a.wav"},
        {"audio": "empty.wav", "text": "  "},
        {"audio": "good.wav", "text": "Good."},
    )
    missing = tmp_path / "missing.jsonl"
    entries, problems = read_manifests([missing, manifest])
    assert [entry.path.name for entry in entries] == ["good.wav"]
    assert [problem.where for problem in problems] == [
        str(missing),
        *(f"{manifest}, line {number}" for number in range(1, 6)),
    ]
    assert "empty" in problems[-1].sentence
    assert {problem.exit_code for problem in problems} == {ExitCode.NOT_AUDIO}


def test_the_same_recording_twice_is_two_clips(tmp_path):
    """Names tell clips apart even where a manifest names one twice."""
    line = {"audio": "a.wav", "text": "One."}
    entries, _ = read_manifests([write(tmp_path, line, line, name="x.jsonl")])
    assert [entry.name for entry in entries] == ["x/a.wav", "x/a.wav#2"]


def test_any_text_that_json_allows(tmp_path):
    """Separators of lines that stand within a string, a byte order mark and the line ends of
    Windows change nothing."""
    text = "One\u2028two\u0085three."
    lines = [json.dumps({"audio": f"{n}.wav", "text": text}, ensure_ascii=False) for n in range(2)]
    path = tmp_path / "x.jsonl"
    path.write_bytes("\r\n".join([*lines, "\f", ""]).encode("utf-8-sig"))
    entries, problems = read_manifests([path])
    assert problems == []
    assert [(entry.name, entry.text) for entry in entries] == [
        ("x/0.wav", text),
        ("x/1.wav", text),
    ]
