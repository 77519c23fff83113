"""Model specs: what they are taken apart into, and which are refused."""

import pytest

from service.recognizers.base import ModelUnavailableError
from service.recognizers.registry import ModelSpec, load, parse_spec


def test_a_spec_is_taken_apart():
    """Kind, argument and options; its name is an option, or all but the options."""
    assert parse_spec("whisper") == ModelSpec("whisper", name="whisper")
    assert parse_spec("transformers:a/b?name=mine&precision=bf16") == ModelSpec(
        "transformers", "a/b", {"precision": "bf16"}, "mine"
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("vosk:small", r"no kind 'vosk'; choose one of: whisper, "),
        ("whisper?beam_size", "write options as [?]name=value"),
        ("whisper?name=", "its name is empty.*leave name out"),
    ],
)
def test_what_is_no_spec_is_refused(spec, said):
    """With the remedy; an empty name would be the default model's."""
    with pytest.raises(ModelUnavailableError, match=said):
        parse_spec(spec)


@pytest.mark.parametrize("delay_ms", ["", "-1", "1e3", "²", "1.2.3", "soon"])
def test_a_delay_that_is_no_number_is_refused(delay_ms):
    """The scripted recognizer takes plain decimals."""
    with pytest.raises(ModelUnavailableError, match="a number of milliseconds"):
        load(parse_spec(f"scripted?delay_ms={delay_ms}"), 1, 1)
