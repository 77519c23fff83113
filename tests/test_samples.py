"""The recordings in samples/ are what their manifest says."""

import json
from pathlib import Path

import pytest
import soundfile

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
MANIFEST = [
    json.loads(line) for line in (SAMPLES / "manifest.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("line", MANIFEST, ids=lambda line: line["audio"])
def test_a_recording_has_its_length_and_can_be_read(line):
    """Every file of the manifest exists and is as long as it says."""
    info = soundfile.info(SAMPLES / line["audio"])
    assert info.frames / info.samplerate == pytest.approx(line["duration_s"], abs=0.001)


def test_the_manifest_names_every_recording():
    """No file was forgotten, and together they stay small enough to be committed."""
    files = [path for path in SAMPLES.iterdir() if path.suffix in {".flac", ".wav"}]
    assert {path.name for path in files} == {line["audio"] for line in MANIFEST}
    assert sum(path.stat().st_size for path in files) < 3_000_000
