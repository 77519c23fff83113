"""A KenLM model of words, read by the library's own binding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from service.recognizers.base import ModelUnavailableError

UNKNOWN: Final = -10.0
"""Beside KenLM's own, the base-10 logarithm for a word that the model does not know: almost
always a word misheard. The value is that of pyctcdecode, ``unk_score_offset``."""
MOST_HISTORY: Final = 5
"""Words; KenLM's usual build knows sequences of 6 at most."""


def load_language_model(path: str, alpha: float, beta: float) -> WordModel:
    """Load an ARPA file or a binary of KenLM.

    Args:
        path: Of the file.
        alpha: Weight of the model.
        beta: What each word gains, a natural logarithm.

    Raises:
        ModelUnavailableError: says what to install or which file to give.
    """
    try:
        import kenlm
    except ImportError as error:
        raise ModelUnavailableError(
            "lm= needs kenlm, which is built when it is installed and wants a C++ compiler; "
            "run: python -m pip install -c constraints.txt -e '.[kenlm]'"
        ) from error
    file = Path(path).expanduser()
    if not file.is_file():
        raise ModelUnavailableError(
            f"lm={path!r}: there is no such file; give an ARPA file or a binary of KenLM"
        )
    try:
        config = kenlm.Config()
        config.show_progress = False
        return WordModel(kenlm, kenlm.Model(str(file), config), alpha, beta)
    except OSError as error:
        raise ModelUnavailableError(
            f"lm={path!r} is neither an ARPA file nor a binary of KenLM "
            f"({str(error).splitlines()[0]})"
        ) from error


class WordModel:
    """Implements LanguageModel of ``transformers_fusion``; shared by all streams."""

    def __init__(self, kenlm: Any, model: Any, alpha: float, beta: float) -> None:  # noqa: ANN401
        """Weigh a ``kenlm.Model``."""
        self._kenlm = kenlm
        self._model = model
        self._alpha = alpha * math.log(10)
        self._beta = beta

    def start(self, history: Sequence[str]) -> Any:  # noqa: ANN401
        """Return the state behind these words; without words, that of a sentence's begin."""
        state = self._kenlm.State()
        if not history:
            self._model.BeginSentenceWrite(state)
            return state
        self._model.NullContextWrite(state)
        for word in history[-MOST_HISTORY:]:
            _, state = self._add(state, word)
        return state

    def score(self, state: Any, word: str) -> tuple[float, Any]:  # noqa: ANN401
        """Return what a word adds to the text's score, and the state behind it."""
        log_probability, behind = self._add(state, word)
        return self._alpha * log_probability + self._beta, behind

    def _add(self, state: Any, word: str) -> tuple[float, Any]:  # noqa: ANN401
        """Return the base-10 logarithm of a word, as it is spelled or in lower or upper case."""
        spellings = (word, word.lower(), word.upper())
        known = next((spelling for spelling in spellings if spelling in self._model), None)
        behind = self._kenlm.State()
        log_probability = self._model.BaseScore(state, known or word, behind)
        return float(log_probability) + (0.0 if known else UNKNOWN), behind
