"""Generation of the corpus and of its splits.

No French sentence has two translations. No sentence of a held-out split, in either language, occurs in train. The
split `compositional` holds sentences with a held-out combination of two lexemes, such as a verb with an object, while
each of their words occurs in train.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from operator import itemgetter

from corpora.alignment import Alignment, align, plain
from corpora.phrasebook.constructions import CONSTRUCTIONS
from corpora.phrasebook.constructions.base import Construction
from corpora.phrasebook.lexicon import load_lexicon
from corpora.phrasebook.sampler import Combination, Sampler
from corpora.splits import is_selected, require_split

SPLITS = ("train", "valid", "test", "compositional")
NUM_VALID, NUM_TEST, NUM_COMPOSITIONAL = 1000, 2000, 2000
PAIRS_PER_WEIGHT = 1400
# One residue of the checksum in thirty-two, chosen so that every construction has held-out combinations.
HELD_OUT_ONE_IN, HELD_OUT_RESIDUE = 32, 9
MIN_COMPOSITIONAL = (
    12  # pairs of each construction that come first into the compositional split, where there are so many
)
_MAX_MISSES = 400  # in a row, after which a construction is taken to be exhausted
AUTHORED = "authored"


@dataclass(frozen=True)
class Pair:
    """A French sentence, its English translation, and the construction that it exercises.

    Attributes:
        marked: the same sentences with the marks of their constituents; None for authored sentences.
    """

    french: str
    english: str
    construction: str
    marked: tuple[str, str] | None = field(default=None, compare=False, repr=False)

    @property
    def alignment(self) -> Alignment | None:
        """Links between the tokens of the sentences; None for authored sentences, whose alignment is not known."""
        return align(*self.marked) if self.marked else None


@dataclass(frozen=True)
class Draft:
    """A pair and the combinations of lexemes that the grammar made in it; authored sentences have none."""

    pair: Pair
    combinations: tuple[Combination, ...]

    @property
    def is_held_out(self) -> bool:
        """True if the sentence belongs to the compositional split."""
        return any(is_held_out(combination) for combination in self.combinations)


@cache
def is_held_out(combination: Combination) -> bool:
    """The compositional rule: one combination in thirty-two, by a checksum of its name.

    A combination is (kind, first, second): a verb and its object, a noun and its adjective, a governing verb and its
    infinitive, a construction and its verb or noun. The rule depends on nothing else, not even on the seed: the grammar
    never shows these combinations in train, valid or test.
    """
    return is_selected(combination, HELD_OUT_ONE_IN, HELD_OUT_RESIDUE)


@lru_cache(maxsize=2)
def split_corpus(seed: int) -> dict[str, tuple[Draft, ...]]:
    """All four splits.

    Args:
        seed: random seed of the sentences, the splits and their order.
    """
    rng = random.Random(seed)
    drafts = list(draw(rng))
    rng.shuffle(drafts)
    candidates = _rare_constructions_first([draft for draft in drafts if draft.is_held_out])
    ordinary = [draft for draft in drafts if not draft.is_held_out]
    # English sentences decide: "tu" and "vous" share a translation, and must not be on both sides of a split.
    reserved = _distinct_english(candidates, NUM_COMPOSITIONAL + NUM_COMPOSITIONAL // 2)
    compositional_english = {draft.pair.english for draft in reserved}
    ordinary = [draft for draft in ordinary if draft.pair.english not in compositional_english]
    evaluation = _distinct_english(ordinary, NUM_VALID + NUM_TEST)
    evaluation_english = {draft.pair.english for draft in evaluation}
    train = tuple(draft for draft in ordinary if draft.pair.english not in evaluation_english)
    known = words(*(draft.pair for draft in train))
    compositional = [draft for draft in reserved if words(draft.pair) <= known][:NUM_COMPOSITIONAL]
    rng.shuffle(compositional)
    return {
        "train": train,
        "valid": tuple(evaluation[:NUM_VALID]),
        "test": tuple(evaluation[NUM_VALID:]),
        "compositional": tuple(compositional),
    }


def generate(split: str, seed: int = 1) -> list[Pair]:
    """Return the pairs of a split, in a fixed order.

    Raises:
        ValueError: if there is no such split.
    """
    require_split(split, SPLITS)
    return [draft.pair for draft in split_corpus(seed)[split]]


def words(*pairs: Pair) -> set[str]:
    """The words of both sides, without punctuation and capitals; l'ami is two words."""
    text = " ".join(f"{pair.french} {pair.english}" for pair in pairs)
    return set(re.findall(r"\w+", text.lower()))


def _rare_constructions_first(drafts: list[Draft]) -> list[Draft]:
    """A few pairs of every construction, then the rest, so that a small split still shows every construction."""
    counts: Counter[str] = Counter()
    ranks = []
    for draft in drafts:
        ranks.append(counts[draft.pair.construction] >= MIN_COMPOSITIONAL)
        counts[draft.pair.construction] += 1
    return [draft for _, draft in sorted(zip(ranks, drafts, strict=True), key=itemgetter(0))]


def _distinct_english(drafts: list[Draft], count: int) -> list[Draft]:
    """The first drafts, each with an English sentence of its own."""
    chosen: dict[str, Draft] = {}
    for draft in drafts:
        if len(chosen) == count:
            break
        chosen.setdefault(draft.pair.english, draft)
    return list(chosen.values())


def draw(rng: random.Random, pairs_per_weight: int = PAIRS_PER_WEIGHT) -> Iterator[Draft]:
    """Draw the whole corpus, distinct French sentences only, construction by construction.

    Args:
        rng: the only source of chance.
        pairs_per_weight: how many pairs a construction of weight one gives.
    """
    seen: set[str] = set()
    for french, english in load_lexicon().authored:
        if french not in seen:
            seen.add(french)
            yield Draft(Pair(french, english, AUTHORED), ())
    for construction in CONSTRUCTIONS:
        count = round(construction.weight * pairs_per_weight)
        yield from _draw_from(construction, Sampler(rng, load_lexicon()), count, seen)


def _draw_from(construction: Construction, sampler: Sampler, wanted: int, seen: set[str]) -> Iterator[Draft]:
    misses = 0
    while wanted > 0 and misses < _MAX_MISSES:
        sampler.begin(construction.name)
        marked = construction.generator(sampler)
        french, english = map(plain, marked)
        if french in seen:
            misses += 1
            continue
        seen.add(french)
        wanted, misses = wanted - 1, 0
        yield Draft(Pair(french, english, construction.name, marked), tuple(sampler.combinations))
