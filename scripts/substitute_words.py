"""Make training pairs for rare words: a lexicon, and sentences in which one word was replaced by a word of the lexicon.

    python -m scripts.substitute_words data/mixture/train.parquet data/mixture/words.parquet

Reads the pairs that `scripts.general_data` wrote and writes a Parquet file with the columns fr, en and source:

- `lexicon`: entries of the dictionary that the sentences confirm, and words that are each other's probable translation.
- `substituted`: real pairs in which a noun was replaced on both sides by a rarer one of the same gender and number, or
  an infinitive by a rarer one. Each rare word is used `--times` times, as long as there are sentences. After Fadaee,
  Bisazza and Monz 2017, "Data Augmentation for Low-Resource Neural Machine Translation".

Pairs with a side of the files of `--held-out` are dropped, regardless of case, accents and punctuation. The output
depends only on the input and `--seed`.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.general_data import Row, normalize, read, without, write
from scripts.word_classes import (
    ARTICLE,
    BEFORE_INFINITIVE,
    BEFORE_VERB,
    ENGLISH_AFTER,
    FEMININE,
    FRENCH_AFTER,
    FRENCH_DETERMINERS,
    MASCULINE,
    PLURAL,
    PLURAL_DETERMINERS,
    SINGULAR_DETERMINERS,
    WordClass,
    WordClasses,
    count_english,
    count_french,
)
from scripts.word_translations import WordTranslations, estimate, tokens, words

DICTIONARY = "freedict"
# Sources in which words are counted. Left out are generated pairs and texts with much code, formulas or old language.
NOT_COUNTED = {DICTIONARY, "mdn", "php-manual", "debian-website", "3b1b-captions", "crawl", "tanakh", "quran"}
# Sources whose sentences get other words.
SENTENCES = {
    "tatoeba",
    "opensubtitles",
    "multi30k",
    "stsb-mt",
    "scat",
    "wmt-news-dev",
    "hansard",
    "infinity-mods",
    "mozilla-foundation",
    "europarl-sample",
    "gutenberg-2",
}
MAX_COUNT = 1000  # occurrences of a rare word in the corpus
ATTESTED = 30  # occurrences from which the corpus must confirm an entry of the dictionary

_FRENCH_BEFORE = {"masculine": MASCULINE, "feminine": FEMININE, "infinitive": BEFORE_INFINITIVE}
_ENGLISH_BEFORE = {"masculine": SINGULAR_DETERMINERS, "feminine": SINGULAR_DETERMINERS, "infinitive": BEFORE_VERB}
# A plural without determiner must follow one of these words; another one could be its adjective.
_BEFORE_PLURAL = PLURAL_DETERMINERS | frozenset(
    (
        "about",
        "against",
        "all",
        "and",
        "are",
        "between",
        "by",
        "for",
        "from",
        "in",
        "into",
        "like",
        "no",
        "of",
        "on",
        "or",
        "over",
        "to",
        "under",
        "with",
        "without",
    )
)

Links = dict[str, tuple[str, WordClass]]


class Place(NamedTuple):
    """A word of a sentence pair that can be replaced: its class and its positions among the tokens of both sides."""

    word_class: WordClass
    french: int
    english: int


def main() -> None:
    """Write the file that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make training pairs for rare words.")
    parser.add_argument("train", type=Path, help="Parquet file with the columns fr, en and source")
    parser.add_argument("output", type=Path, help="Parquet file to write")
    parser.add_argument("--times", type=int, default=10, help="sentences per rare word (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="random seed (default: 1)")
    parser.add_argument("--held-out", type=Path, nargs="+", default=[], help="files whose sentences must not be made")
    arguments = parser.parse_args()
    held_out = {normalize(side) for path in arguments.held_out for row in read(path) for side in row[:2]}
    rows = make(list(read(arguments.train)), arguments.times, arguments.seed, held_out)
    if not rows:
        parser.error(f"{arguments.train} has no entry of a dictionary and too few pairs to translate words")
    write(arguments.output, rows)
    for source, count in Counter(row[2] for row in rows).items():
        print(f"{source}\t{count}")


def make(rows: Sequence[Row], times: int, seed: int, held_out: set[str]) -> list[Row]:
    """Return the rows of the lexicon and the pairs with substituted words."""
    counted = [row for row in rows if row[2] not in NOT_COUNTED and not row[2].startswith("everyday")]
    translations = estimate([row[:2] for row in counted if len(row[0]) < 170], seed)
    counted = [row for row in counted if len(row[0]) < 300]
    classes = WordClasses(count_french(row[0] for row in counted), count_english(row[1] for row in counted))
    entries: defaultdict[str, list[str]] = defaultdict(list)
    for french, english, source in rows:
        if source == DICTIONARY:
            entries[french].append(english)
    lexicon = make_lexicon(entries, translations, classes)
    rare = rare_words(lexicon, classes)
    sentences = [row for row in rows if row[2] in SENTENCES and 15 < len(row[0]) < 130]
    return [
        *without(((french, english, "lexicon") for french, english in lexicon), held_out),
        *substitute(sentences, rare, replaceable(translations, classes), times, seed, held_out),
    ]


def make_lexicon(
    entries: dict[str, list[str]], translations: WordTranslations, classes: WordClasses
) -> list[tuple[str, str]]:
    """Return the pairs of the lexicon: confirmed entries of a dictionary, best first, and mutual translations."""
    lexicon = [
        (french, choice)
        for french, english in entries.items()
        for choice in _confirmed(french, list(dict.fromkeys(english)), translations, classes)
    ]
    for french, english in translations.mutual().items():
        # A French word that is also English, such as `table`, may owe its probability to text that is not translated.
        if french not in entries and french not in translations.backward.get(french, {}):
            pair = classes.french.spelling(french), classes.english.spelling(english)
            if pair[0] not in entries:
                lexicon.append(pair)
    return lexicon


def _confirmed(french: str, english: list[str], translations: WordTranslations, classes: WordClasses) -> list[str]:
    """Return one or two entries, best first; none if the word is frequent and the corpus translates it otherwise."""
    key = french.lower()
    strength = {choice: translations.strength(french, choice) for choice in english}
    frequency = {choice: min((classes.english.count[word] for word in words(choice)), default=0) for choice in english}
    ranked = sorted(english, key=lambda choice: (-strength[choice], -frequency[choice], len(choice)))
    if key in translations.forward and classes.french.count[key] >= ATTESTED:
        return [choice for choice in ranked if strength[choice] > 0 or choice.lower()[:4] == key[:4]][:2]
    return ranked[: 2 if len(ranked) <= 3 else 1]


def rare_words(lexicon: Iterable[tuple[str, str]], classes: WordClasses) -> dict[WordClass, list[tuple[str, str]]]:
    """Return the rare nouns (singular and plural) and infinitives of a lexicon by class, in alphabetical order."""
    best: dict[str, str] = {}
    for french, english in lexicon:
        best.setdefault(french, english)
    found: defaultdict[WordClass, set[tuple[str, str]]] = defaultdict(set)
    for pair in best.items():
        if classes.french.count[pair[0]] > MAX_COUNT or not (pair[0].islower() and pair[1].islower()):
            continue
        word_class = classes.find(*pair)
        if word_class is None:
            continue
        found[word_class].add(pair)
        plural = classes.plural(*pair) if word_class.kind in ("masculine", "feminine") else None
        if plural and plural[0] not in best and classes.french.count[plural[0]] <= MAX_COUNT:
            found[WordClass(f"{word_class.kind} plural", False)].add(plural)
    return {word_class: sorted(found[word_class]) for word_class in sorted(found)}


def replaceable(translations: WordTranslations, classes: WordClasses) -> Links:
    """Return the pairs of words that may be replaced, the most probable translation of each, with their classes."""
    links: Links = {}
    for french, table in translations.forward.items():
        english, link = max(table.items(), key=lambda entry: entry[1])
        if link.probability > 0.25 and link.occurrences > 5 and (word_class := classes.find(french, english)):
            links[french] = english, word_class
    return links


def substitute(
    sentences: Sequence[Row],
    rare: dict[WordClass, list[tuple[str, str]]],
    links: Links,
    times: int,
    seed: int,
    held_out: set[str],
) -> Iterator[Row]:
    """Yield pairs in which one word was replaced on both sides.

    Each rare word is in `times` pairs, unless there are too few sentences with a word of its class. Sentences are used
    again only after all have been used.
    """
    generator = random.Random(seed)
    made: set[tuple[str, str]] = set()
    queues: dict[WordClass, list[tuple[str, str]]] = {}
    for word_class, pairs in rare.items():
        queues[word_class] = [pair for _ in range(times) for pair in generator.sample(pairs, len(pairs))]
    progress = True
    while progress:
        progress = False
        for row in generator.sample(sentences, len(sentences)):
            if not any(queues.values()):
                return
            french, english = tokens(row[0]), tokens(row[1])
            choices = [place for place in places(french, english, links) if queues.get(place.word_class)]
            if not choices:
                continue
            place = generator.choice(choices)
            pair = queues[place.word_class][-1]
            if pair[0] in french or pair[1] in english:
                continue
            changed = replace(french, english, place, pair)
            if changed in made or not held_out.isdisjoint(map(normalize, changed)):
                continue
            made.add(changed)
            queues[place.word_class].pop()
            progress = True
            yield (*changed, "substituted")


def places(french: Sequence[str], english: Sequence[str], links: Links) -> Iterator[Place]:
    """Yield the words of a sentence pair that can be replaced.

    A noun must stand between a determiner and the end of its phrase on both sides, so that no adjective has to agree
    with it and no compound contains it. An infinitive must have an object.
    """
    lowered = [token.lower() for token in english]
    for index in range(2, len(french)):
        word = french[index]
        if word not in links or french.count(word) > 1:
            continue
        translation, word_class = links[word]
        if lowered.count(translation) == 1:
            place = Place(word_class, index, lowered.index(translation))
            if english[place.english] == translation and _fits(place, french, english):
                yield place


def _fits(place: Place, french: Sequence[str], english: Sequence[str]) -> bool:
    kind = place.word_class.kind
    french_after, english_after = FRENCH_AFTER, ENGLISH_AFTER
    if kind == "infinitive":
        french_after, english_after = FRENCH_DETERMINERS, SINGULAR_DETERMINERS | PLURAL_DETERMINERS
    return (
        _previous(french, place.french) in _FRENCH_BEFORE.get(kind, PLURAL)
        and _following(french, place.french) in french_after
        and _previous(english, place.english) in _ENGLISH_BEFORE.get(kind, _BEFORE_PLURAL)
        and _following(english, place.english) in english_after
    )


def _previous(side: Sequence[str], index: int) -> str:
    return side[index - 2].lower() if index >= 2 and side[index - 1].isspace() else ""


def _following(side: Sequence[str], index: int) -> str:
    if index + 1 == len(side):
        return "."
    after = side[index + 1]
    return side[index + 2].lower() if after.isspace() and index + 2 < len(side) else after


def replace(french: Sequence[str], english: Sequence[str], place: Place, pair: tuple[str, str]) -> tuple[str, str]:
    """Return both sides with the words of `pair` at a place; `a` becomes `an` where needed, and the reverse."""
    french, english = list(french), list(english)
    french[place.french], english[place.english] = pair
    if _previous(english, place.english) in ARTICLE:
        article = "an" if _needs_an(pair[1]) else "a"
        english[place.english - 2] = article.capitalize() if english[place.english - 2][0] == "A" else article
    return "".join(french), "".join(english)


def _needs_an(word: str) -> bool:
    if word.startswith(("hour", "honest", "honor", "honour", "heir")):
        return True
    return word[0] in "aeiou" and not word.startswith(("eu", "ewe", "one", "uni", "ura", "use", "usu", "ut", "ubiq"))


if __name__ == "__main__":
    main()
