"""The type of a construction, and functions that turn its halves into sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from corpora.alignment import linked
from corpora.phrasebook import english, french
from corpora.phrasebook.clauses import Clause
from corpora.phrasebook.lexicon import Verb, load_lexicon
from corpora.phrasebook.sampler import Sampler

Sentences = tuple[str, str]


@dataclass(frozen=True)
class Construction:
    """One kind of sentence.

    Attributes:
        name: name in reports.
        generator: samples a French sentence and its English translation.
        weight: frequency relative to the other constructions.
    """

    name: str
    generator: Callable[[Sampler], Sentences]
    weight: float = 1.0


@cache
def named_verb(infinitive: str, frames: str = "xmlop") -> Verb:
    """Return a verb of the lexicon by its infinitive."""
    return next(verb for verb in load_lexicon().verbs if verb.french == infinitive and verb.frame in frames)


def finish(french_text: str, english_text: str, mark: str = ".") -> Sentences:
    """Capitalize both halves and end them with a punctuation mark. Link the words that have no mark yet."""
    french_text, english_text = linked(french.spell(*french_text.split(" ")), english_text)
    return french.sentence(french_text, mark), english.sentence(english_text, mark)


def statement(clause: Clause) -> Sentences:
    """Return a clause as a sentence."""
    return finish(clause.french(), clause.english())


def timed(sampler: Sampler, clause: Clause, slot: str) -> Sentences:
    """Return a clause with an adverbial after it or, in a quarter of the cases, before it."""
    adverbial = sampler.adverbial(slot)
    if sampler.chance(0.25):
        when, meaning = linked(adverbial.french, adverbial.english)
        return finish(f"{when}, {clause.french()}", f"{meaning}, {clause.english()}")
    return statement(clause.with_tail(adverbial.french, adverbial.english))


def time_slot(clause: Clause) -> str:
    """Return the slot of a time adverbial for a clause in the past or future."""
    tense = "past" if clause.tense == "past" else "future"
    return f"far {tense}" if "l" in clause.verb.flags else tense


def maybe_negation(sampler: Sampler, probability: float = 0.2) -> str:
    """Return "pas" with a probability, else nothing. Sample it before the clause, whose objects depend on it."""
    if not sampler.chance(probability):
        return ""
    sampler.deny()
    return "pas"
