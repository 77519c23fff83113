"""What can be chosen, and what of it a model honours."""

from client.messages import to_duration
from client.web.settings import Choices, capabilities, chosen, has_languages, streaming_config
from protos.asr.v1.asr_pb2 import Model

PLAIN = Model(name="plain")
RICH = Model(
    name="rich",
    language_codes=["de", "en"],
    phrases=True,
    word_offsets=True,
    native_streaming=True,
    sample_rate_hertz=16_000,
    max_segment_duration=to_duration(28),
)


def test_only_what_the_model_honours_is_asked_for():
    """The same choices are a request that each model accepts."""
    choices = Choices("x", 0.5, "de", "one phrase\n\n another \n")
    plain = streaming_config(choices, PLAIN, live=True)
    assert plain.endpointing.silence_duration == to_duration(0.5)
    assert plain.interim_results
    assert not plain.word_offsets
    assert not plain.phrases
    assert not plain.language_code
    rich = streaming_config(choices, RICH, live=False)
    assert not rich.interim_results
    assert rich.word_offsets
    assert rich.language_code == "de"
    assert [phrase.text for phrase in rich.phrases] == ["one phrase", "another"]


def test_what_a_model_can_do_is_said():
    """Capabilities are a line for people; what a model does not have is not offered."""
    assert has_languages(RICH)
    assert not has_languages(PLAIN)
    assert capabilities(RICH) == (
        "languages: de, en · keeps its state through the stream · times of words · phrases · "
        "hears 16 kHz · up to 28 s at once"
    )
    assert "phrases" not in capabilities(PLAIN)


def test_a_model_that_is_gone_is_replaced_by_the_default():
    """A choice that the server no longer has falls back to its first model."""
    assert chosen([PLAIN, RICH], "rich") is RICH
    assert chosen([PLAIN, RICH], "gone") is PLAIN
    assert chosen([], "gone") is None
