"""Terms, placeholders and inline tags: are they all in the translations, and what do they cost in BLEU?

    python benchmarks/protected_text.py fr-en TEST.parquet --lines 200

Terms are content words of the source, one or two a line, with the word of the reference that the model's attention
aligns to each. Placeholders and URLs are inserted at random places. Tags enclose random words.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Sequence
from xml.etree import ElementTree

import pyarrow.parquet as parquet
import sacrebleu

from translator import Translator
from translator.inference.alignment import align
from translator.inference.fragment import escape

_MIN_LETTERS = 4  # of a content word
_NOT_TERMS = frozenset(
    {"the", "and", "with", "that", "this", "from", "have", "they", "their", "there", "which", "were"}
)
_PLACEHOLDERS = ("{name}", "%s", "${x}", "{{ y }}", "https://example.org/a?b=1", "jean@example.org")


def terms_of(
    translator: Translator, sources: Sequence[str], references: Sequence[str], seed: int
) -> list[dict[str, str]]:
    """Return terms for each line: words of its source and reference that are aligned one to one."""
    source, target = translator.tokenizers.source, translator.tokenizers.target
    pairs = [
        (source.encode(text), target.encode(reference)) for text, reference in zip(sources, references, strict=True)
    ]
    generator, terms = random.Random(seed), []
    for (left, right), weights in zip(pairs, translator.engine.cross_attention(pairs, 4096), strict=True):
        found = align(source.pieces(left), target.pieces(right), weights)
        ends = [[link[side] for link in found.links] for side in range(2)]
        words = [
            (found.source[start], found.target[end])
            for start, end in found.links
            if ends[0].count(start) == ends[1].count(end) == 1
        ]
        words = [pair for pair in words if all(word.isalpha() and len(word) >= _MIN_LETTERS for word in pair)]
        words = [pair for pair in words if pair[1].lower() not in _NOT_TERMS]
        generator.shuffle(words)
        terms.append(dict(words[: generator.choice([1, 2])]))
    return terms


def has_words(text: str, words: str) -> bool:
    """Return True if a text has these words; a capital may begin them."""
    return re.search(rf"(?<!\w)[{words[0]}{words[0].upper()}]{re.escape(words[1:])}(?!\w)", text) is not None


def report(name: str, outputs: Sequence[str], references: Sequence[str], kept: str, seconds: float) -> None:
    """Print BLEU, chrF, what was kept and the time of one setting."""
    bleu = sacrebleu.corpus_bleu(outputs, [references]).score
    chrf = sacrebleu.corpus_chrf(outputs, [references]).score
    print(f"{name:14} BLEU {bleu:5.2f}  chrF {chrf:5.2f}  {kept}  {seconds:.0f} s", flush=True)


def measure_terms(translator: Translator, sources: Sequence[str], references: Sequence[str], seed: int) -> None:
    """Compare translations without and with terms."""
    terms = terms_of(translator, sources, references, seed)
    total = sum(map(len, terms))
    start = time.perf_counter()
    plain = [translator.translate(text).text for text in sources]
    middle = time.perf_counter()
    given = [translator.translate(text, terms=each or None).text for text, each in zip(sources, terms, strict=True)]
    end = time.perf_counter()
    for name, outputs, seconds in (("free", plain, middle - start), ("hard terms", given, end - middle)):
        count = sum(has_words(text, word) for text, each in zip(outputs, terms, strict=True) for word in each.values())
        report(name, outputs, references, f"terms {count} of {total}", seconds)


def measure_placeholders(translator: Translator, sources: Sequence[str], seed: int) -> None:
    """Count the placeholders that are kept."""
    generator, texts, inserted = random.Random(seed), [], []
    for source in sources:
        words = source.split()
        part = generator.choice(_PLACEHOLDERS)
        words.insert(generator.randrange(len(words) + 1), part)
        texts.append(" ".join(words))
        inserted.append(part)
    for name, protect in (("unprotected", False), ("protected", True)):
        found = translator.translate(texts, protect=protect, guard=False)
        count = sum(each.text.count(part) == 1 for each, part in zip(found, inserted, strict=True))
        pieces = sum("pieces" in each.flags for each in found)
        print(f"{name:14} placeholders kept once {count} of {len(texts)}, {pieces} translated in pieces", flush=True)


def measure_tags(translator: Translator, sources: Sequence[str], seed: int) -> None:
    """Count the translations that are well-formed and have the tags of their source."""
    generator, texts = random.Random(seed), []
    for source in sources:
        words = [escape(word) for word in source.split()]
        for name in ("b", "i", "a"):
            start, end = sorted(generator.sample(range(len(words) + 1), 2)) if len(words) > 1 else (0, 1)
            if not any(re.search("[<>]", word) for word in words[start:end]):
                words[start] = f"<{name}>{words[start]}"
                words[end - 1] = f"{words[end - 1]}</{name}>"
        words.insert(generator.randrange(len(words) + 1), "<br/>")
        texts.append(" ".join(words))
    well_formed = sum(
        tags(found.text) == tags(text) for text, found in zip(texts, translator.translate_markup(texts), strict=True)
    )
    print(f"{'tags':14} well-formed, each tag once {well_formed} of {len(texts)}", flush=True)


def tags(fragment: str) -> list[str]:
    """Return the names of the elements of a fragment, sorted.

    Raises:
        ParseError: if it is not well-formed.
    """
    return sorted(element.tag for element in ElementTree.fromstring(f"<root>{fragment}</root>").iter())


def main() -> None:
    """Measure one model on one test set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("test", help="Parquet file with the columns fr and en")
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows = parquet.read_table(arguments.test, columns=["fr", "en"]).to_pylist()
    random.Random(arguments.seed).shuffle(rows)
    rows = [row for row in rows if len(row["fr"]) < 300][: arguments.lines]
    sources, references = [row["fr"] for row in rows], [row["en"] for row in rows]
    translator = Translator.load(arguments.model, "cpu")
    measure_terms(translator, sources, references, arguments.seed + 1)
    measure_placeholders(translator, sources, arguments.seed + 2)
    measure_tags(translator, sources, arguments.seed + 3)


if __name__ == "__main__":
    main()
