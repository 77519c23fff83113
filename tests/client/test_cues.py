"""Cutting finals into cues."""

from hypothesis import given
from hypothesis import strategies as st

from client.cues import LINE_CHARACTERS, MAX_DURATION_S, MAX_LINES, Cue, Cutter, lines
from client.messages import to_duration
from protos.asr.v1.asr_pb2 import Result, Word


def spoken(text, start_s=0.0, word_s=0.4):
    """Make a result whose words are spoken one after the other."""
    words = [
        Word(
            text=word,
            start_offset=to_duration(start_s + index * word_s),
            end_offset=to_duration(start_s + (index + 1) * word_s),
        )
        for index, word in enumerate(text.split())
    ]
    return Result(
        text=text,
        start_offset=to_duration(start_s),
        end_offset=to_duration(start_s + len(words) * word_s),
        words=words,
    )


def test_without_words_a_final_is_one_cue():
    """A final without words stays whole, with its own times."""
    result = Result(text="a  b\n\nc", start_offset=to_duration(1.5), end_offset=to_duration(2.25))
    assert list(Cutter().cut(result)) == [Cue(1500, 2250, "a b c")]


def test_a_sentence_ends_a_cue_that_is_long_enough():
    """A cue ends with a sentence once it is worth reading alone, and never grows too long."""
    first = "This is a sentence that is worth reading alone."
    second = "And this one follows it."
    cues = list(Cutter().cut(spoken(f"{first} {second}", word_s=0.2)))
    assert [cue.text for cue in cues] == [first, second]


def test_a_pause_ends_a_cue():
    """Words on both sides of a long pause do not share a cue."""
    result = spoken("one two")
    result.words.extend(spoken("three", start_s=3.0).words)
    assert [cue.text for cue in Cutter().cut(result)] == ["one two", "three"]


word_lists = st.lists(
    st.builds(
        Word,
        text=st.text(
            st.characters(exclude_categories=("Cs", "Cc", "Z"), max_codepoint=0x2FFF),
            min_size=1,
            max_size=100,
        ).filter(lambda text: len(text.split()) == 1),
        start_offset=st.floats(0, 40).map(to_duration),
        end_offset=st.floats(0, 40).map(to_duration),
    ),
    max_size=40,
)


@given(st.lists(word_lists, max_size=4))
def test_no_word_is_lost_and_time_never_goes_back(segments):
    """Whatever times a model gives its words: every word stands once, in order, and cues follow
    each other without overlap."""
    cutter = Cutter()
    results = [
        Result(text=" ".join(word.text for word in words) or "x", words=words) for words in segments
    ]
    cues = [cue for result in results for cue in cutter.cut(result)]
    assert " ".join(cue.text for cue in cues).split() == " ".join(r.text for r in results).split()
    end_ms = 0
    for cue in cues:
        assert end_ms <= cue.start_ms < cue.end_ms
        end_ms = cue.end_ms


@given(st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=60))
def test_cues_fit(words):
    """Of words that are spoken in order no cue is too long to read, or stands too long."""
    for cue in Cutter().cut(spoken(" ".join(words))):
        assert len(lines(cue.text)) <= MAX_LINES
        assert all(len(line) <= LINE_CHARACTERS for line in lines(cue.text))
        assert cue.end_ms - cue.start_ms <= MAX_DURATION_S * 1000 + 1


def test_no_word_is_left_alone():
    """A sentence a little too long for one cue is shared out over two of similar length."""
    text = "She planted three apple trees behind the house and two of them are already in bloom."
    first, second = [cue.text for cue in Cutter().cut(spoken(text, word_s=0.28))]
    assert f"{first} {second}" == text
    assert 0.5 < len(first) / len(second) < 2
