"""Hearings written out by hand."""

from client.evaluation.hearing import Final, Hearing, Interim, Word
from client.evaluation.words import bare_words


def interim(at_s, text, stable="", segment=0):
    return Interim(at_s, segment, text, stable)


def final(at_s, text, ends_s=(), segment=0):
    words = bare_words(text)
    assert not ends_s or len(ends_s) == len(words)
    timed = zip(words, ends_s, strict=True) if ends_s else ()
    return Final(at_s, segment, text, tuple(Word(*pair) for pair in timed))


def hearing(*events, duration_s=10.0, lateness_s=()):
    return Hearing(
        duration_s=duration_s,
        interims=tuple(event for event in events if isinstance(event, Interim)),
        finals=tuple(event for event in events if isinstance(event, Final)),
        lateness_s=tuple(lateness_s),
    )
