"""Results as parts of the page and as files."""

import pytest

from client.messages import to_duration
from client.web.transcripts import download, progress_bar, under_way, with_player
from protos.asr.v1.asr_pb2 import Result, Transcript, Word

EVIL = "<script>alert('x')</script>"


def result(*words, start_s=61.0):
    placed = [
        Word(
            text=text,
            start_offset=to_duration(start_s + number),
            end_offset=to_duration(start_s + number + 0.5),
        )
        for number, text in enumerate(words)
    ]
    return Result(
        text=" ".join(words),
        words=placed,
        start_offset=to_duration(start_s),
        end_offset=to_duration(start_s + len(words)),
    )


def test_every_word_knows_its_moment():
    """Words are buttons with their times; of a model without, the segment is one."""
    page = with_player([result("one", "two")], "/x/a b.wav")
    assert 'data-at="61.000"' in page
    assert 'data-at="62.000"' in page
    assert "<time>1:01</time>" in page
    assert "a%20b.wav" in page
    whole = Result(text="one two", start_offset=to_duration(3))
    assert 'data-at="3.000" title="at 3.00 s">one two<' in with_player([whole], "x")
    assert "Nothing was said" in with_player([], "x")


def test_the_words_are_one_stop_of_the_tab_key():
    """However long a recording is, what comes after its words is one press away."""
    page = with_player([result("one", "two"), result("three")], "x")
    assert page.count('class="word" tabindex="0"') == 1
    assert page.count('class="word" tabindex="-1"') == 2


def test_texts_cannot_break_the_page():
    """Whatever a recognizer says is shown, never obeyed."""
    for page in (with_player([result(EVIL)], EVIL), under_way([result(EVIL)], "")):
        assert "<script" not in page
        assert "&lt;script" in page
    assert "<script" not in progress_bar(EVIL, 1, 2)


def test_under_way_the_latest_is_shown():
    """What a page is sent while a long recording is recognized does not grow with it."""
    results = [Result(text=f"word{number}") for number in range(1000)]
    page = under_way(results, "")
    assert "word999<" in page
    assert "word0<" not in page
    assert len(page) < len(with_player(results, "x")) / 10
    assert "word0<" in with_player(results, "x")


def test_progress():
    """The bar says how far it is, and only that it goes on where nobody knows."""
    assert 'value="0.250"' in progress_bar("Recognizing", 30, 120)
    assert "0:30 of 2:00" in progress_bar("Recognizing", 30, 120)
    assert "value" not in progress_bar("Recognizing", 30, None)


@pytest.mark.parametrize(
    ("ending", "begin"),
    [
        ("txt", "one two\n"),
        ("srt", "1\n00:01:01,000 --> 00:01:02,500\none two\n"),
        ("vtt", "WEBVTT\n\n00:01:01.000 --> 00:01:02.500\none two\n"),
        ("json", '{"final_result": {"text": "one two"'),
    ],
)
def test_files(ending, begin):
    """Files to keep are those that client.file writes."""
    assert download(ending, [Transcript(final_result=result("one", "two"))]).startswith(begin)
