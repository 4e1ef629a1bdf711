"""Generation of the remarks and of their splits.

Both labels are equally frequent in every split. No remark occurs in two splits, even without regard to capitals and
punctuation. Half of the test remarks hold a combination of a word and a construction that no training remark holds,
while each of their words occurs in training.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice

from corpora.sentiment.grammar import Combination, DeadEndError, Remark, typeset
from corpora.sentiment.lexicon import patterns, topics
from corpora.splits import is_selected, require_split
from corpora.tables import read_table

SPLITS = ("train", "valid", "test")
LABELS = ("negative", "positive")
NUM_TRAIN, NUM_VALID, NUM_TEST = 24_000, 1000, 2000
# Remarks that valid and test are taken from, and others for train alone.
NUM_DRAWN, NUM_MORE = 26_000, 12_000
# One combination in eight, by a checksum.
HELD_OUT_ONE_IN, HELD_OUT_RESIDUE = 8, 3
AUTHORED = "authored"


@dataclass(frozen=True)
class Example:
    """A remark, its label, and the frame it was made with."""

    text: str
    label: str
    construction: str


@dataclass(frozen=True)
class Draft:
    """An example and the combinations of a construction and a word in it; authored remarks have none."""

    example: Example
    combinations: tuple[Combination, ...]

    @property
    def is_held_out(self) -> bool:
        """True if the remark holds a combination that does not occur in training."""
        return any(is_held_out(combination) for combination in self.combinations)


@cache
def is_held_out(combination: Combination) -> bool:
    """One combination of a construction and a word in eight, by a checksum, whatever the seed."""
    return is_selected(combination, HELD_OUT_ONE_IN, HELD_OUT_RESIDUE)


def fold(text: str) -> str:
    """A remark as its words alone, in lower case."""
    return " ".join(re.findall(r"\w+", text.lower()))


@lru_cache(maxsize=2)
def split_corpus(seed: int) -> dict[str, tuple[Draft, ...]]:
    """All three splits.

    Args:
        seed: of everything random: which remarks there are, and which of them are held out.
    """
    rng = random.Random(seed)
    drawing = draw(rng, NUM_DRAWN + NUM_MORE)
    drafts = list(islice(drawing, len(read_table("sentiment", AUTHORED)) + NUM_DRAWN))
    rng.shuffle(drafts)
    ordinary = [draft for draft in drafts if not draft.is_held_out and draft.example.construction != AUTHORED]
    valid, ordinary = _take(ordinary, NUM_VALID)
    familiar, ordinary = _take(ordinary, NUM_TEST // 2)
    authored = [draft for draft in drafts if draft.example.construction == AUTHORED]
    train = authored + ordinary
    known = {word for draft in train for word in fold(draft.example.text).split()}
    candidates = [draft for draft in drafts if draft.is_held_out and known.issuperset(fold(draft.example.text).split())]
    test = familiar + _take(candidates, NUM_TEST - len(familiar))[0]
    train, _ = _take(train + [draft for draft in drawing if not draft.is_held_out], NUM_TRAIN)
    for split in (test, train):
        rng.shuffle(split)
    return {"train": tuple(train), "valid": tuple(valid), "test": tuple(test)}


def generate(split: str, seed: int = 1) -> list[Example]:
    """The examples of a split, in a fixed order.

    Raises:
        ValueError: if there is no such split.
    """
    require_split(split, SPLITS)
    return [draft.example for draft in split_corpus(seed)[split]]


def draw(rng: random.Random, count: int) -> Iterator[Draft]:
    """The authored remarks, then so many others, all distinct in their words.

    Args:
        rng: the only source of chance.
        count: how many remarks the grammar gives.
    """
    seen: set[str] = set()
    for polarity, text in read_table("sentiment", AUTHORED):
        seen.add(fold(text))
        yield Draft(Example(typeset(text), LABELS[polarity == "+"], AUTHORED), ())
    frames = patterns("frames")
    weights = [frame.weight for frame in frames]
    while count:
        label = rng.choice((1, -1))
        remark = Remark(rng, rng.choice(topics()), label)
        frame = rng.choices(frames, weights)[0]
        try:
            text = remark.write(frame)
        except DeadEndError:
            continue
        if fold(text) not in seen:
            seen.add(fold(text))
            count -= 1
            yield Draft(Example(text, LABELS[label > 0], frame.name), tuple(remark.combinations))


def _take(drafts: list[Draft], count: int) -> tuple[list[Draft], list[Draft]]:
    """The first drafts, as many of each label, and the others."""
    left = dict.fromkeys(LABELS, count // 2)
    taken: list[Draft] = []
    others: list[Draft] = []
    for draft in drafts:
        is_taken = left[draft.example.label] > 0
        left[draft.example.label] -= is_taken
        (taken if is_taken else others).append(draft)
    return taken, others
