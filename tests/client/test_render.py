"""Transcripts as text, JSON, SRT and VTT."""

import json

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from client.render import FORMATS, make_format, span, timestamp
from protos.asr.v1.asr_pb2 import Transcript
from tests.client.fake_server import STARTED, final, interim

TALK = [
    STARTED,
    interim("fish"),
    final("Fish & chips <now>", 1.5, 2.75),
    final("and then a text that does not fit into one line of a screen", 3.0, 3661.2, 1),
]


def render(name, **options):
    form = make_format(name, **options)
    return form.begin() + "".join(form.add(transcript) for transcript in TALK)


def test_text():
    """Text is a line for each final and nothing else."""
    assert render("text").splitlines() == [
        "Fish & chips <now>",
        "and then a text that does not fit into one line of a screen",
    ]


def test_text_with_label_and_times():
    """Lines of several recordings begin with their names, and with times if wanted."""
    line = render("text", label="a.wav", times=True).splitlines()[0]
    assert line == "a.wav: [0:01.5 - 0:02.8]  Fish & chips <now>"


def test_json():
    """JSON is each transcript on a line of its own, and can be read back without loss."""
    lines = render("json").splitlines()
    assert [json_format.Parse(line, Transcript()) for line in lines] == TALK
    assert json.loads(lines[0])["stream_started"]["stream_id"] == "stream-1"


def test_json_with_label():
    """Lines of several recordings begin with the key "file"."""
    line = json.loads(render("json", label="a.wav").splitlines()[0])
    assert next(iter(line.items())) == ("file", "a.wav")


def test_srt():
    """SRT has counted cues with a comma in their times and lines that fit."""
    assert render("srt") == (
        "1\n00:00:01,500 --> 00:00:02,750\nFish & chips <now>\n\n"
        "2\n00:00:03,000 --> 01:01:01,200\n"
        "and then a text that does not fit into one\nline of a screen\n\n"
    )


def test_vtt():
    """VTT has its header, a full stop in its times, and no markup out of the text."""
    assert render("vtt").startswith(
        "WEBVTT\n\n00:00:01.500 --> 00:00:02.750\nFish &amp; chips &lt;now&gt;\n\n"
    )


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_said(name):
    """A recording without speech renders to an empty document."""
    form = make_format(name)
    assert form.begin() == ("WEBVTT\n\n" if name == "vtt" else "")


def test_unknown_format():
    """An unknown format is an error, not an empty file."""
    with pytest.raises(ValueError, match="no such format"):
        make_format("pdf")


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_timestamps_keep_their_order(first_ms, second_ms):
    """Timestamps sort as their times do, up to 100 hours."""
    first_ms, second_ms = sorted((first_ms % 360_000_000, second_ms % 360_000_000))
    assert timestamp(first_ms, ",") <= timestamp(second_ms, ",")


def test_span_of_hours():
    """Hours appear where there are any, and rounding carries."""
    assert span(final("x", 59.96, 3725.0).final_result) == "[1:00.0 - 1:02:05.0]"
