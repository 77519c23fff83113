"""Sentences of a small world: what the small CTC model is trained to hear.

A house that listens: commands, questions, times and numbers. The grammar makes far more
sentences than are spoken, so that held-out ones were never heard in training.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

ROOMS: Final = ("kitchen", "garden", "bedroom", "hall", "office")
THINGS: Final = ("light", "heater", "radio", "window", "door", "fan", "lamp")
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PLACES: Final = ("market", "station", "harbor", "library", "school", "bakery")
FOODS: Final = ("bread", "apples", "milk", "water", "coffee", "cheese")
PEOPLE: Final = ("anna", "peter", "mother", "father", "my brother", "my sister")
WEATHER: Final = ("rain", "snow", "wind", "sun")
ONES: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS: Final = ("ten", "eleven", "twelve", "thirteen", "fifteen", "eighteen")
TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def number(chance: random.Random) -> str:
    """Return a number from one to ninety nine."""
    kind = chance.randrange(4)
    if kind == 0:
        return chance.choice(ONES)
    if kind == 1:
        return chance.choice(TEENS)
    tens = chance.choice(TENS)
    return tens if kind == 2 else f"{tens} {chance.choice(ONES)}"


def clock(chance: random.Random) -> str:
    """Return a time of day."""
    hour = chance.choice((*ONES, "ten", "eleven", "twelve"))
    form = chance.choice(("at {}", "at {}", "at half past {}", "before {}", "after {}"))
    return str(form.format(hour))


def _switch(chance: random.Random) -> str:
    verb = chance.choice(("turn on", "turn off", "check", "open", "close"))
    return f"{verb} the {chance.choice(THINGS)} in the {chance.choice(ROOMS)}"


def _remind(chance: random.Random) -> str:
    task = chance.choice((f"call {chance.choice(PEOPLE)}", f"buy {_amount(chance)}"))
    return f"remind me to {task} on {chance.choice(DAYS)} {clock(chance)}"


def _amount(chance: random.Random) -> str:
    return f"{chance.choice(('some', 'more', number(chance)))} {chance.choice(FOODS)}"


def _question(chance: random.Random) -> str:
    return chance.choice(
        (
            f"will there be {chance.choice(WEATHER)} on {chance.choice(DAYS)}",
            f"how far is the {chance.choice(PLACES)}",
            f"when does the {chance.choice(PLACES)} open on {chance.choice(DAYS)}",
            f"is the {chance.choice(THINGS)} in the {chance.choice(ROOMS)} open",
        )
    )


def _statement(chance: random.Random) -> str:
    return chance.choice(
        (
            f"{chance.choice(PEOPLE)} is in the {chance.choice(ROOMS)}",
            f"we need {_amount(chance)} and {_amount(chance)}",
            f"the bus to the {chance.choice(PLACES)} leaves {clock(chance)}",
            f"{chance.choice(PEOPLE)} will come on {chance.choice(DAYS)} {clock(chance)}",
            f"set the heater to {number(chance)}",
        )
    )


def _digits(chance: random.Random) -> str:
    count = chance.randint(2, 5)
    return " ".join(chance.choice(ONES) for _ in range(count))


def _word(chance: random.Random) -> str:
    everything = (*ROOMS, *THINGS, *DAYS, *PLACES, *FOODS, *WEATHER, *TEENS, *TENS)
    return " ".join(chance.sample(everything, chance.randint(1, 3)))


KINDS: Final[tuple[Callable[[random.Random], str], ...]] = (
    _switch,
    _remind,
    _question,
    _statement,
    _digits,
    _word,
)


def sentences(count: int, seed: int) -> list[str]:
    """Return different sentences."""
    chance = random.Random(seed)  # noqa: S311  (not for security)
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(chance.choice(KINDS)(chance))
    return list(found)
