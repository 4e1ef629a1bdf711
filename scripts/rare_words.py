"""Make pairs that teach rare words: a lexicon, and sentences in which a word is replaced by a rare one on both sides.

    python -m scripts.rare_words data/mixture/train.parquet data/mixture/words.parquet

A small model translates a word wrongly that it has seen twenty times. The lexicon (source `lexicon`) has the entries of
the dictionary (source `freedict`) with the translations that the sentences confirm, and words that are each other's
translation in the sentences by IBM model 1 (Brown et al., 1993). The sentences (source `substituted`) come from the
corpus; one noun, of the same gender and number, or one infinitive is replaced by another of the lexicon on both sides
(Fadaee et al., 2017). They are odd in meaning, and nine of ten are well-formed. Add both to the corpus; in it the
lexicon replaces `freedict`.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from scripts.general_data import Row, read, write

DICTIONARY = "freedict"
NO_PROSE = {
    "freedict",
    "esco",
    "cldr",
    "hpo",
    "mdn",
    "php-manual",
    "debian-website",
    "tanakh",
    "quran",
    "3b1b-captions",
}
CARRIERS = {"tatoeba", "opensubtitles", "scat", "multi30k", "stsb-mt", "wmt-news-dev", "hansard", "infinity-mods"}
CARRIERS |= {"mozilla-foundation", "europarl-sample", "gutenberg-2"}
NUM_ALIGNED = 240_000  # pairs that the lexicon is learned from
MAX_WORDS = 22  # of a side of such a pair
MIN_COUNT = 3  # pairs with a word
NUM_ITERATIONS = 5
MIN_LINK = 0.08  # probability of a translation that is kept
MIN_FORWARD, MIN_BACKWARD = 0.35, 0.2  # probabilities of mutual translations
WELL_KNOWN = 12  # pairs with a word, from which on the sentences must confirm its translation
FREQUENT = 400  # pairs with a word that needs no help
QUOTA = {"masculine": 16_000, "feminine": 16_000, "plural": 12_000, "verb": 9_000}  # sentences
LENGTHS = range(16, 130)  # characters of a sentence


def _set(text: str) -> set[str]:
    return set(text.split())


DETERMINERS = {
    "masculine": _set("un le ce du au"),
    "feminine": _set("une la cette ma ta sa"),
    "plural": _set("les des ces mes ses tes nos vos leurs deux trois quatre plusieurs aux"),
    "verb": _set("à de pour veux veut voulez peux peut pouvez pouvons va vais vas allons allez dois doit devons"),
}
BEFORE_NOUN = DETERMINERS["masculine"] | DETERMINERS["feminine"] | DETERMINERS["plural"]
BEFORE_ENGLISH_NOUN = _set("a an the this that my his her your our their its these those some two three")
BEFORE_ENGLISH_VERB = _set("to can could will must should would")
MAY_FOLLOW = _set("et ou de du des à au aux en dans sur pour par qui que dont où est sont a avec sans ne se comme")
ADJECTIVE = re.compile(r".*(?:é|ée|és|ées|eux|euse|euses|ant|ante)")
ENGLISH_ADJECTIVE = re.compile(r".*(?:ing|ed|ous|ful|able|ible)")
INFINITIVE = re.compile(r"[^\W\d_]+(?:er|ir|re)")
CONSONANT = re.compile(r"[bcdfgjklmnpqrstvwxz]")

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_TOKEN = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*'?|\d+|[^\w\s]|\s+")

Links = dict[str, dict[str, float]]
Entry = tuple[str, str]


def main() -> None:
    """Write the pairs that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make pairs that teach rare words.")
    parser.add_argument("corpus", type=Path, help="train.parquet of scripts.general_data")
    parser.add_argument("output", type=Path, help="file to write")
    parser.add_argument("--seed", type=int, default=9)
    arguments = parser.parse_args()
    rows = [row for row in read(arguments.corpus) if not row[2].startswith("everyday")]
    pairs = list(make_pairs(rows, random.Random(arguments.seed)))
    write(arguments.output, pairs)
    for source, count in Counter(row[2] for row in pairs).most_common():
        print(f"{source}\t{count}")


def make_pairs(rows: Sequence[Row], rng: random.Random) -> Iterator[Row]:
    """Yield the lexicon, then the sentences with rare words."""
    prose = [row for row in rows if row[2] not in NO_PROSE]
    aligned = [(words(row[0]), words(row[1])) for row in rng.sample(prose, min(NUM_ALIGNED, len(prose)))]
    aligned = [pair for pair in aligned if all(0 < len(side) <= MAX_WORDS for side in pair)]
    forward = learn_links(aligned)
    backward = learn_links([(english, french) for french, english in aligned])
    counts = Counter(word for french, _ in aligned for word in french)
    entries = choose_entries([row[:2] for row in rows if row[2] == DICTIONARY], forward, backward, counts)
    known = {french for french, _ in entries}
    mutual = list(mutual_entries(forward, backward))
    entries += [entry for entry in mutual if entry[0] not in known]
    yield from ((french, english, "lexicon") for french, english in entries)
    contexts = Contexts.of(prose)
    pools = contexts.pools([*mutual, *entries], counts)
    carriers = [row for row in prose if row[2] in CARRIERS and len(row[0]) in LENGTHS]
    rng.shuffle(carriers)
    yield from substitute(carriers, contexts.replaceable([*mutual, *entries]), pools, rng)


def words(text: str) -> set[str]:
    """Return the words of a text in small letters."""
    return set(_WORD.findall(text.lower()))


def learn_links(pairs: Sequence[tuple[set[str], set[str]]]) -> Links:
    """Return the probabilities of translations of each word, by IBM model 1 on pairs of sets of words."""
    sides = [Counter(word for pair in pairs for word in pair[side]) for side in (0, 1)]
    ids = [{word: i for i, word in enumerate(sorted(w for w, n in side.items() if n >= MIN_COUNT))} for side in sides]
    num_sources, num_targets = len(ids[0]), len(ids[1])
    keys: list[np.ndarray] = []
    slots: list[np.ndarray] = []
    num_slots = 0
    for source, target in pairs:
        left = np.array([num_sources, *sorted(ids[0][word] for word in source if word in ids[0])])  # the first is NULL
        right = np.array(sorted(ids[1][word] for word in target if word in ids[1]), dtype=np.int64)
        keys.append((right[:, None] + left * num_targets).ravel())
        slots.append(np.repeat(np.arange(num_slots, num_slots + len(right)), len(left)))
        num_slots += len(right)
    if not num_slots:
        return {}
    links, places = np.unique(np.concatenate(keys), return_inverse=True)
    slot = np.concatenate(slots)
    source_of, target_of = links // num_targets, links % num_targets
    expected: np.ndarray = np.ones(len(links))
    for _ in range(NUM_ITERATIONS):
        probability = expected / np.bincount(source_of, weights=expected)[source_of]
        share = probability[places]
        share /= np.bincount(slot, weights=share)[slot]
        expected = np.bincount(places, weights=share)
    probability = expected / np.bincount(source_of, weights=expected)[source_of]
    source_words, target_words = list(ids[0]), list(ids[1])
    result: Links = defaultdict(dict)
    for index in np.flatnonzero((probability > MIN_LINK) & (expected > 1) & (source_of < num_sources)):
        result[source_words[source_of[index]]][target_words[target_of[index]]] = float(probability[index])
    return dict(result)


def mutual_entries(forward: Links, backward: Links) -> Iterator[Entry]:
    """Yield words that are each other's translation; not words that are the same in both languages."""
    for french, found in forward.items():
        english, probability = max(found.items(), key=lambda item: item[1])
        is_mutual = probability > MIN_FORWARD and backward.get(english, {}).get(french, 0) > MIN_BACKWARD
        if is_mutual and english != french and len(french) > 2:
            yield french, english


def choose_entries(dictionary: Iterable[Entry], forward: Links, backward: Links, counts: Counter[str]) -> list[Entry]:
    """Return the entries of a dictionary with at most two translations of a word, those that the sentences confirm.

    Of a word that the sentences have less than WELL_KNOWN times, the first translation is kept, and a second one if
    the dictionary has no more than three.
    """
    translations: dict[str, list[str]] = defaultdict(list)
    for french, english in dict.fromkeys(dictionary):
        translations[french].append(english)
    chosen: list[Entry] = []
    for french, found in translations.items():
        key = french.lower()

        def link(english: str, key: str = key) -> float:
            return forward.get(key, {}).get(english, 0) + backward.get(english, {}).get(key, 0)

        ranked = sorted(found, key=lambda english: (-link(english.lower()), len(english.split())))
        if counts[key] >= WELL_KNOWN and key in forward:
            kept = [word for word in ranked if link(word.lower()) or word.lower()[:4] == key[:4]][:2]
        else:
            kept = ranked[:2] if len(ranked) <= 3 else ranked[:1]
        chosen += [(french, english) for english in kept]
    return chosen


@dataclass
class Contexts:
    """How often words follow a determiner, precede one and follow a verb that governs an infinitive.

    Attributes:
        french: counts of French words after the words of each kind of DETERMINERS.
        transitive: counts of French words before a determiner.
        english: counts of English words after `a` or `an`, after any determiner, after `to` or an auxiliary, and before
            a determiner.
    """

    french: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in DETERMINERS})
    transitive: Counter[str] = field(default_factory=Counter)
    english: dict[str, Counter[str]] = field(
        default_factory=lambda: {kind: Counter() for kind in ("singular", "noun", "verb", "transitive")}
    )

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Contexts:
        """Count in the rows of a corpus."""
        contexts = cls()
        for french, english, _ in rows:
            tokens = _tokens(french)
            for before, word in pairwise(tokens):
                for kind, determiners in DETERMINERS.items():
                    if before in determiners:
                        contexts.french[kind][word] += 1
                if word in BEFORE_NOUN:
                    contexts.transitive[before] += 1
            tokens = _tokens(english)
            for before, word in pairwise(tokens):
                if before in ("a", "an"):
                    contexts.english["singular"][word] += 1
                if before in BEFORE_ENGLISH_NOUN:
                    contexts.english["noun"][word] += 1
                if before in BEFORE_ENGLISH_VERB:
                    contexts.english["verb"][word] += 1
                if word in BEFORE_ENGLISH_NOUN:
                    contexts.english["transitive"][before] += 1
        return contexts

    def kind(self, french: str, english: str) -> str | None:
        """Return the kind of a word and its translation; None if they are of different kinds or of none."""
        masculine, feminine, plural, verb = (self.french[kind][french] for kind in DETERMINERS)
        if INFINITIVE.fullmatch(french) and verb and self.english["verb"][english] > self.english["singular"][english]:
            is_transitive = self.transitive[french] and self.english["transitive"][english]
            return "verb" if is_transitive else None
        if ADJECTIVE.fullmatch(french) or ENGLISH_ADJECTIVE.fullmatch(english):
            return None
        if plural > 2 * (masculine + feminine) and self.english["noun"][english] and english.endswith("s"):
            return "plural"
        if not CONSONANT.match(french) or not self.english["singular"][english]:
            return None
        if masculine > 4 * feminine:
            return "masculine"
        return "feminine" if feminine > 4 * masculine else None

    def nouns_and_verbs(self, entries: Iterable[Entry]) -> Iterator[tuple[str, Entry]]:
        """Yield the entries that are one small word on both sides and of the same kind, with that kind."""
        for french, english in dict.fromkeys(entries):
            is_word = all(_WORD.fullmatch(word) and word.islower() for word in (french, english))
            if is_word and (kind := self.kind(french, english)):
                yield kind, (french, english)

    def pools(self, entries: Iterable[Entry], counts: Counter[str]) -> dict[str, list[Entry]]:
        """Return the entries that are put into sentences, by kind: words that are not frequent, and their plurals."""
        pools: dict[str, set[Entry]] = {kind: set() for kind in DETERMINERS}
        for kind, (french, english) in self.nouns_and_verbs(entries):
            if counts[french] > FREQUENT:
                continue
            pools[kind].add((french, english))
            plural = english + ("es" if english.endswith(("s", "x", "ch", "sh")) else "s")
            is_regular = not french.endswith(("s", "x", "z", "u", "al", "ail")) and not re.search("[^aeiou]y$", english)
            if kind in ("masculine", "feminine") and is_regular and self.english["noun"][plural]:
                pools["plural"].add((french + "s", plural))
        return {kind: sorted(found) for kind, found in pools.items()}

    def replaceable(self, entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
        """Return the words that are replaced and their translations, by kind."""
        result: dict[str, dict[str, str]] = {kind: {} for kind in DETERMINERS}
        for kind, (french, english) in self.nouns_and_verbs(entries):
            if self.french[kind][french] > 2:
                result[kind].setdefault(french, english)
        return result


def substitute(
    rows: Iterable[Row],
    replaceable: dict[str, dict[str, str]],
    pools: dict[str, list[Entry]],
    rng: random.Random,
) -> Iterator[Row]:
    """Yield sentences with one word replaced on both sides; each word of a pool is used as often as the others."""
    waiting: dict[str, list[Entry]] = {kind: [] for kind in pools}
    made: Counter[str] = Counter()
    for french, english, _ in rows:
        tokens, targets = (_TOKEN.findall(text.replace("’", "'")) for text in (french, english))
        places = [place for place in find_places(tokens, targets, replaceable) if pools[place[0]]]
        places = [place for place in places if made[place[0]] < QUOTA[place[0]]]
        if not places:
            continue
        kind, source_place, target_place = rng.choice(places)
        if not waiting[kind]:
            waiting[kind] = rng.sample(pools[kind], len(pools[kind]))
        new_source, new_target = waiting[kind].pop()
        if new_source == tokens[source_place]:
            continue
        tokens[source_place], targets[target_place] = new_source, new_target
        if target_place >= 2 and (article := targets[target_place - 2]).lower() in ("a", "an"):
            targets[target_place - 2] = article[0] + ("n" if new_target[0] in "aeiou" else "")
        made[kind] += 1
        yield "".join(tokens), "".join(targets), "substituted"


def find_places(
    tokens: Sequence[str], targets: Sequence[str], replaceable: dict[str, dict[str, str]]
) -> Iterator[tuple[str, int, int]]:
    """Yield the kind and the places of words that can be replaced: there once, after a word that fits."""
    small = [token.lower() for token in targets]
    for place in range(2, len(tokens)):
        word, before = tokens[place], tokens[place - 2].lower()
        if not tokens[place - 1].isspace() or tokens.count(word) != 1:
            continue
        after = tokens[place + 2].lower() if place + 2 < len(tokens) and tokens[place + 1].isspace() else ""
        for kind, determiners in DETERMINERS.items():
            english = replaceable[kind].get(word) if before in determiners else None
            if english is None or small.count(english) != 1 or english not in targets:
                continue
            target = targets.index(english)
            near = {small[index] for index in (target - 2, target - 4) if index >= 0}
            if kind == "verb":
                next_word = small[target + 2] if target + 2 < len(small) else ""
                fits = (
                    after in BEFORE_NOUN
                    and next_word in BEFORE_ENGLISH_NOUN
                    and not near.isdisjoint(BEFORE_ENGLISH_VERB)
                )
            else:
                is_before_noun = after.isalpha() and after not in MAY_FOLLOW and _begins_noun(after, replaceable)
                fits = not is_before_noun and (kind == "plural" or not near.isdisjoint(BEFORE_ENGLISH_NOUN))
            if fits:
                yield kind, place, target


def _begins_noun(word: str, replaceable: dict[str, dict[str, str]]) -> bool:
    """Return True for a word that is a noun itself, so that the word before it is an adjective."""
    return any(word in replaceable[kind] for kind in ("masculine", "feminine", "plural"))


def _tokens(text: str) -> list[str]:
    return [token for token in _TOKEN.findall(text.lower().replace("’", "'")) if not token.isspace()]


if __name__ == "__main__":
    main()
