"""The lexicon as typed entries: what remarks are about, what is said of it, and the patterns that say it.

Meaning is kept by tags: a noun carries classes (story, dish, staff …), an adjective or a verb says which classes it
describes, so that nobody reads a tasty suitcase. Polarity is +1 or -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from corpora.phrasebook import french
from corpora.tables import read_table

# Adjectives of one group say more or less one thing: nobody finds a film boring but gripping.
_GROUPS = {"interest": "hold", "humour": "hold", "rhythm": "hold", "mood": "hold", "emotion": "hold", "length": "hold"}


@dataclass(frozen=True, eq=False)
class Noun:
    """A judged topic: a whole (a film) or an aspect of it (the plot).

    Attributes:
        gender: m or f.
        domains: of a whole, its own; of an aspect, those it belongs to, or `=noun` for one whole alone.
        infinitive: what one does with it: "voir"; empty if nothing.
        participle: the same, done: "vu".
    """

    french: str
    gender: str
    is_plural: bool
    domains: tuple[str, ...]
    tags: frozenset[str]
    infinitive: str = ""
    participle: str = ""


@dataclass(frozen=True, eq=False)
class Adjective:
    """An adjective or what stands for one (bien écrit, à la hauteur).

    Attributes:
        forms: masculine, feminine, and their plurals.
        dimension: what it is about: taste, price, noise …
        group: the dimension or a wider one; two words of one group and opposite meaning contradict each other.
        is_strong: too strong to be denied without doubt: what is not awful may still be bad.
        is_absolute: has no degrees: nobody is "très raté".
        is_before: stands before its noun.
        has_more: whether "plus" goes with it: plus drôle, but meilleur and mieux écrit.
    """

    forms: tuple[str, str, str, str]
    polarity: int
    dimension: str
    group: str
    tags: frozenset[str]
    is_strong: bool
    is_absolute: bool
    is_before: bool
    has_more: bool

    @property
    def french(self) -> str:
        """The masculine singular."""
        return self.forms[0]

    @property
    def is_phrase(self) -> bool:
        """True if it does not have the form of an adjective: à la hauteur, hors de prix."""
        return len(set(self.forms)) == 1 and " " in self.forms[0]


@dataclass(frozen=True, eq=False)
class Verb:
    """A verb phrase in the third person.

    Attributes:
        plural: empty where it is said of one thing only.
        negations: what denies it: pas, jamais, rien …
    """

    singular: str
    plural: str
    polarity: int
    tags: frozenset[str]
    negations: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Verdict:
    """A noun that judges: une réussite, un échec."""

    french: str
    gender: str
    polarity: int
    domains: frozenset[str]


@dataclass(frozen=True, eq=False)
class Pattern:
    """A frame or a predicate with slots.

    Attributes:
        sign: +1 if the words in its slots have the polarity of the whole, -1 if it turns them over.
        label: the only polarity that it is said with, 0 for both.
        needs: classes or conditions, any of which must hold; none if empty.
    """

    name: str
    sign: int
    label: int
    needs: frozenset[str]
    weight: float
    text: str


@dataclass(frozen=True, eq=False)
class Idiom:
    """A verdict that is said as a whole, of the domains (or conditions) that it names."""

    polarity: int
    domains: frozenset[str]
    text: str


def _set(cell: str) -> frozenset[str]:
    return frozenset(part for part in cell.split(",") if part)


def _polarity(cell: str) -> int:
    return {"+": 1, "-": -1}[cell]


def _feminine(masculine: str) -> str:
    return masculine[:-1] + "se" if masculine.endswith("x") else french.feminine(masculine)


def _forms(lemma: str, feminine: str) -> tuple[str, str, str, str]:
    """All four forms; in several words "~" marks the one that agrees."""
    if feminine == "=":
        return (lemma,) * 4
    words = lemma.split(" ")
    index = next((i for i, word in enumerate(words) if word.endswith("~")), 0)
    masculine = words[index].removesuffix("~")
    feminine = feminine or _feminine(masculine)
    plural = "bancals" if masculine == "bancal" else french.plural(masculine)
    head, tail = words[:index], words[index + 1 :]
    one, two, three, four = (" ".join([*head, form, *tail]) for form in (masculine, feminine, plural, feminine + "s"))
    return one, two, three, four


@cache
def topics() -> tuple[Noun, ...]:
    """The wholes that remarks are about."""
    return tuple(
        Noun(noun, gender[0], gender.endswith("p"), (domain,), _set(tags), infinitive, participle)
        for noun, gender, domain, tags, infinitive, participle in read_table("sentiment", "topics")
    )


@cache
def aspects_of(topic: Noun) -> tuple[Noun, ...]:
    """The aspects of a whole."""
    found = (
        Noun(noun, gender[0], gender.endswith("p"), tuple(domains.split(",")), _set(tags))
        for noun, gender, domains, tags in read_table("sentiment", "aspects")
    )
    return tuple(noun for noun in found if {topic.domains[0], f"={topic.french}"} & set(noun.domains))


@cache
def adjectives() -> tuple[Adjective, ...]:
    """All adjectives."""
    return tuple(
        Adjective(
            forms=_forms(lemma, feminine),
            polarity=_polarity(polarity),
            dimension=dimension,
            group=_GROUPS.get(dimension, dimension),
            tags=_set(tags),
            is_strong="s" in flags,
            is_absolute="t" in flags,
            is_before="b" in flags,
            has_more="m" not in flags and not lemma.startswith(("bien ", "mal ")),
        )
        for lemma, feminine, polarity, dimension, tags, flags in read_table("sentiment", "adjectives")
    )


@cache
def verbs() -> tuple[Verb, ...]:
    """All verb phrases."""
    return tuple(
        Verb(singular, plural, _polarity(polarity), _set(tags), tuple(negations.split("/")))
        for singular, plural, polarity, tags, negations in read_table("sentiment", "verbs")
    )


@cache
def verdicts() -> tuple[Verdict, ...]:
    """All nouns that judge."""
    return tuple(
        Verdict(noun, gender, _polarity(polarity), _set(domains))
        for noun, gender, polarity, domains in read_table("sentiment", "verdicts")
    )


@cache
def patterns(table: str) -> tuple[Pattern, ...]:
    """The patterns of a table: frames, predicates or nominals."""
    return tuple(
        Pattern(
            name, {"=": 1, "!": -1}[sign[0]], _polarity(sign[1]) if sign[1:] else 0, _set(needs), float(weight), text
        )
        for name, sign, needs, weight, text in read_table("sentiment", table)
    )


@cache
def idioms() -> tuple[Idiom, ...]:
    """All idioms."""
    return tuple(
        Idiom(_polarity(polarity), _set(domains), text) for polarity, domains, text in read_table("sentiment", "idioms")
    )
