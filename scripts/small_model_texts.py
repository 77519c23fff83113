"""Sentences of small worlds: what the small models of the tests are trained to hear.

A house that listens: commands, questions, times and numbers. And a calendar: dates, times of
day, digits and simple commands. The grammars make far more sentences than are spoken, so that
held-out ones were never heard in training.
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


ZERO_AND_ONES: Final = ("zero", *ONES)
MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
DAYS_OF_MONTH: Final = (
    *ONES,
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    *(f"twenty {one}" for one in ONES),
    "thirty",
    "thirty one",
)
HOURS: Final = (*ONES, "ten", "eleven", "twelve")
MINUTES: Final = ("ten", "fifteen", "twenty", "thirty", "forty", "forty five", "fifty")
ACTIONS: Final = ("start", "stop", "pause", "cancel", "repeat", "show")
TARGETS: Final = ("timer", "alarm", "music", "song", "list", "message")


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


def _date(chance: random.Random) -> str:
    date = f"{chance.choice(MONTHS)} {chance.choice(DAYS_OF_MONTH)}"
    return chance.choice(
        (
            date,
            f"what is on {date}",
            f"{chance.choice(DAYS)} {date}",
            f"move it to {date}",
            f"from {chance.choice(MONTHS)} to {chance.choice(MONTHS)}",
        )
    )


def _time(chance: random.Random) -> str:
    hour = chance.choice(HOURS)
    return chance.choice(
        (
            f"it is {hour} o'clock",
            f"{hour} {chance.choice(MINUTES)}",
            f"{chance.choice(('half', 'a quarter', 'ten', 'twenty'))} past {hour}",
            f"{chance.choice(('a quarter', 'five', 'ten', 'twenty'))} to {hour}",
            f"wake me at {hour} {chance.choice(MINUTES)}",
            f"at {hour} in the {chance.choice(('morning', 'evening'))}",
        )
    )


def _code(chance: random.Random) -> str:
    digits = " ".join(chance.choice(ZERO_AND_ONES) for _ in range(chance.randint(3, 7)))
    return chance.choice((digits, digits, f"dial {digits}", f"the code is {digits}"))


def _command(chance: random.Random) -> str:
    span = f"{number(chance)} {chance.choice(('seconds', 'minutes', 'hours'))}"
    return chance.choice(
        (
            f"{chance.choice(ACTIONS)} the {chance.choice(TARGETS)}",
            f"{chance.choice(ACTIONS)} the {chance.choice(TARGETS)} {clock(chance)}",
            f"set a timer for {span}",
            f"volume {chance.choice(('up', 'down'))} {chance.choice(HOURS)}",
            f"play {chance.choice(('the next', 'the last', 'another'))} song in {span}",
            f"turn {chance.choice(('left', 'right'))} in {span}",
        )
    )


DOMAINS: Final[dict[str, tuple[Callable[[random.Random], str], ...]]] = {
    "house": (_switch, _remind, _question, _statement, _digits, _word),
    "calendar": (_date, _time, _code, _command),
}


def sentences(domain: str, count: int, seed: int) -> list[str]:
    """Return different sentences of a domain."""
    chance = random.Random(seed)  # noqa: S311  (not for security)
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(chance.choice(DOMAINS[domain])(chance))
    return list(found)
