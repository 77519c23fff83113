"""What may follow the path of a DeepSpeech model as ``?name=value``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.recognizers.base import ModelUnavailableError

MOST_BEAM_WIDTH: Final = 4_096
LM_ALPHA_RANGE: Final = (0.0, 10.0)
LM_BETA_RANGE: Final = (-10.0, 10.0)
"""Twice what DeepSpeech's own search for good values tries (lm_optimizer.py); far beyond, the
scores leave the range of float and every text has the same."""


@dataclass(frozen=True, slots=True)
class DeepSpeechOptions:
    """Options of a model; what is not given is the model's or the scorer's own."""

    scorer: str = ""
    """Path of the external scorer; empty for none."""
    beam_width: int | None = None
    """Readings that the search keeps, 1 to MOST_BEAM_WIDTH."""
    lm_alpha: float | None = None
    """Weight of the scorer's language model."""
    lm_beta: float | None = None
    """What each word adds to a reading's score."""
    language: str = ""
    """Primary language subtag of the model; empty if it is not to be told."""
    library: str = ""
    """Path of libdeepspeech.so or libstt.so."""


def parse_options(options: Mapping[str, str]) -> DeepSpeechOptions:
    """Read options.

    Raises:
        ModelUnavailableError: names all that are wrong, and what they may be.
    """
    known = tuple(DeepSpeechOptions.__dataclass_fields__)
    wrong = [f"there is no option {name!r}" for name in sorted(set(options) - set(known))]

    def number(name: str, least: float, most: float) -> float | None:
        text = options.get(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        # No comparison with a number that is none is true.
        if not least <= value <= most:
            wrong.append(f"{name}={text!r} is not a number from {least:g} to {most:g}")
            return None
        return value

    beam_width = number("beam_width", 1, MOST_BEAM_WIDTH)
    if beam_width is not None and beam_width % 1:
        wrong.append(f"beam_width={options['beam_width']!r} is not a whole number")
    lm_alpha, lm_beta = number("lm_alpha", *LM_ALPHA_RANGE), number("lm_beta", *LM_BETA_RANGE)
    if ("lm_alpha" in options) != ("lm_beta" in options):
        wrong.append("lm_alpha and lm_beta are set together; give both or none")
    if "lm_alpha" in options and not options.get("scorer"):
        wrong.append("lm_alpha and lm_beta weigh a scorer; give scorer=PATH too")
    if wrong:
        raise ModelUnavailableError(
            f"options of deepspeech: {'; '.join(wrong)}. Options are: {', '.join(known)}"
        )
    return DeepSpeechOptions(
        scorer=options.get("scorer", ""),
        beam_width=None if beam_width is None else int(beam_width),
        lm_alpha=lm_alpha,
        lm_beta=lm_beta,
        language=options.get("language", ""),
        library=options.get("library", ""),
    )
