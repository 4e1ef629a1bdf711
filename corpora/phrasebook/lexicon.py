"""The lexicon as typed entries: nouns, adjectives, verbs, governors, adverbials, names.

Meaning is kept by tags. A noun carries classes (food, portable, place …); a verb says which classes it takes as
objects, an adjective which classes it describes, so that nobody reads a soup or wears a station. `=noun` names one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from corpora.phrasebook import english, french
from corpora.tables import read_table


# Entries are compared and hashed by identity: there is one of each, and caches look them up very often.
@dataclass(frozen=True, eq=False)
class Noun:
    """A noun in both languages.

    Attributes:
        labels: the tags and `=noun`.
        count: c countable, m mass, p plural only in both languages, x plural in French and mass in English,
            d mass in French and plural in English.
        tags: semantic classes.
    """

    french: str
    gender: str
    english: str
    count: str
    tags: tuple[str, ...]
    labels: frozenset[str]
    french_plural: str
    english_plural: str

    @property
    def is_always_plural(self) -> bool:
        """True if the noun has no singular in French: les lunettes, les devoirs."""
        return self.count in ("p", "x")

    def has(self, *tags: str) -> bool:
        """Return True if the noun belongs to one of the classes; `=noun` matches the noun itself."""
        return not self.labels.isdisjoint(tags)


@dataclass(frozen=True, eq=False)
class Adjective:
    """An adjective: four French forms (masculine, feminine, and their plurals) and an invariable English one.

    Attributes:
        position: b before the noun in French, a after it, p predicate only.
        is_gradable: whether very, more and most go with it: nobody is very dead.
    """

    forms: tuple[str, str, str, str]
    english: str
    position: str
    tags: tuple[str, ...]
    is_gradable: bool

    def agree(self, gender: str, is_plural: bool) -> str:
        """The French form for a gender and number."""
        return self.forms[(gender == "f") + 2 * is_plural]


@dataclass(frozen=True, eq=False)
class Verb:
    """A verb in one sense.

    Attributes:
        french: infinitive, without the reflexive pronoun.
        english: base form with particle, "~" where an object pronoun goes between: "turn~off".
        frame: t transitive, v transitive in a further sense, g generic object (aimer le thé), d direct and indirect
            object, a indirect object of à, i intransitive, r reflexive.
        classes: object classes, or subject classes of an intransitive verb.
        flags: s stative (simple present in English), k punctual (no progressive), h habitual, e takes être,
            l large event, y for children too, n no passé composé, o "to" object only, u unwilled (no orders, no
            plans), p at home anywhere, w with a clock time, d another's thing (no possessive), m men, f women.
    """

    french: str
    english: str
    frame: str
    classes: tuple[str, ...]
    flags: str
    is_reflexive: bool

    @property
    def uses_etre(self) -> bool:
        """True if compound tenses take être."""
        return self.is_reflexive or "e" in self.flags

    @property
    def lemma(self) -> str:
        """A name for reports and for the compositional rule."""
        return ("se " if self.is_reflexive else "") + self.french


@dataclass(frozen=True)
class Governor:
    """A verb that takes an infinitive: vouloir, commencer à, avoir besoin de.

    Attributes:
        french: infinitive of its verb; `tail` follows the finite form ("besoin de").
        english: base form up to the infinitive ("want to", "enjoy"); `is_gerund`: followed by -ing.
    """

    french: str
    tail: str
    english: str
    is_gerund: bool
    flags: str


@dataclass(frozen=True)
class Adverbial:
    """A phrase of time, frequency or place, with the slot that it can fill."""

    french: str
    english: str
    slot: str


@dataclass(frozen=True)
class Place:
    """A city or country with its French preposition for both "in" and "to": en France, au Japon, à Paris."""

    french: str
    english: str
    preposition: str


@dataclass(frozen=True)
class Lexicon:
    """All tables, in file order."""

    nouns: tuple[Noun, ...]
    adjectives: tuple[Adjective, ...]
    verbs: tuple[Verb, ...]
    governors: tuple[Governor, ...]
    adverbials: tuple[Adverbial, ...]
    places: tuple[Place, ...]
    names: tuple[tuple[str, str], ...]
    authored: tuple[tuple[str, str], ...]


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Read every table once."""
    return Lexicon(
        nouns=tuple(_noun(*row) for row in read_table("phrasebook", "nouns")),
        adjectives=tuple(_adjective(*row) for row in read_table("phrasebook", "adjectives")),
        verbs=tuple(_verb(*row) for row in read_table("phrasebook", "verbs")),
        governors=tuple(
            Governor(row[0], row[1], row[2], row[3] == "ing", row[4]) for row in read_table("phrasebook", "governors")
        ),
        adverbials=tuple(Adverbial(row[1], row[2], row[0]) for row in read_table("phrasebook", "adverbials")),
        places=tuple(Place(row[0], row[1], row[2]) for row in read_table("phrasebook", "places")),
        names=tuple((row[0], row[1]) for row in read_table("phrasebook", "names")),
        authored=tuple((row[0], row[1]) for row in read_table("phrasebook", "authored")),
    )


def _noun(masculine: str, gender: str, singular: str, count: str, tags: str, plurals: str) -> Noun:
    french_plural, _, english_plural = plurals.partition("/")
    return Noun(
        masculine,
        gender,
        singular,
        count,
        tuple(tags.split(",")),
        frozenset((*tags.split(","), "=" + masculine)),
        french_plural or french.plural(masculine),
        english_plural or english.plural(singular),
    )


def _adjective(
    masculine: str, feminine: str, meaning: str, position: str, tags: str, plurals: str, degree: str
) -> Adjective:
    feminine = feminine or french.feminine(masculine)
    masculine_plural, _, feminine_plural = plurals.partition("/")
    forms = (
        masculine,
        feminine,
        masculine_plural or french.plural(masculine),
        feminine_plural or french.plural(feminine),
    )
    return Adjective(forms, meaning, position, tuple(tags.split(",")), degree != "n")


def _verb(infinitive: str, meaning: str, frame: str, classes: str, flags: str) -> Verb:
    bare = infinitive.removeprefix("se ").removeprefix("s'")
    is_reflexive = frame == "r"
    return Verb(bare, meaning, frame, tuple(filter(None, classes.split(","))), flags, is_reflexive)
