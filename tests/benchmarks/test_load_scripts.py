"""What streams say under load."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load_scripts import MESSAGE_S, STAGGER_S, Record, make_scripts, speech_end_s
from tests.benchmarks.spoken import clip, script


@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=4))
def test_messages_are_the_audio(lengths):
    """Joined, the messages are the clips; each is due when its last sample has been spoken, and
    those that end a clip are due where the clip ends."""
    said = script(*(clip(length / 16_000) for length in lengths))
    messages = list(said.messages())
    assert b"".join(message.pcm for message in messages) == b"".join(c.pcm for c in said.clips)
    spoken_bytes = 0
    for message in messages:
        spoken_bytes += len(message.pcm)
        assert message.due_s == pytest.approx(spoken_bytes / 32_000)
        assert len(message.pcm) <= 32_000 * MESSAGE_S
    ends = [message for message in messages if message.ends_clip is not None]
    assert [end.ends_clip for end in ends] == list(range(len(lengths)))
    assert [end.due_s for end in ends] == pytest.approx(said.ends_s)


def test_scripts_are_the_same_for_the_same_stream():
    """A stream says the same however many others there are, begins within the stagger, and is
    at least as long as asked for."""
    clips = [clip(0.1 * number) for number in range(1, 9)]
    few, many = make_scripts(clips, 2, 3.0), make_scripts(clips, 5, 3.0)
    assert [one.duration_s for one in many[:2]] == [one.duration_s for one in few]
    assert all(one.duration_s >= 3.0 and 0 <= one.start_s <= STAGGER_S for one in many)
    assert many[0].duration_s != many[1].duration_s


def test_a_cut_script_keeps_whole_clips():
    """A script that is cut ends with the clip that is being spoken then."""
    said = script(clip(1.0), clip(1.0), clip(1.0))
    assert said.cut(1.5).duration_s == 2.0
    assert said.cut(99.0).clips == said.clips


def test_the_end_of_speech():
    """Quiet at the end of a clip is no speech; a clip of nothing has none."""
    assert speech_end_s(clip(1.0, 0.5).samples) == pytest.approx(1.0)
    assert speech_end_s(clip(0.0, 0.5).samples) == 0.0
    said = script(clip(1.0, 0.5), clip(2.0, 0.25))
    assert said.speech_ends_s == pytest.approx([1.0, 3.5])


def test_a_text_shows_every_clip_that_it_covers():
    """Each clip is shown once, by the first text that reaches the end of its speech."""
    record = Record()
    for covered_s, now_s in ((0.2, 0.4), (0.9, 1.2), (1.0, 1.3), (5.0, 6.0)):
        record.shows([1.0, 3.0, 4.0, 9.0], covered_s, now_s)
    assert record.shown_s == pytest.approx([0.2, 3.0, 2.0])
