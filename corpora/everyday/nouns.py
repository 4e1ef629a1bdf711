"""Forms of the nouns of the lexicon in both languages: with articles, in the plural and in small frames."""

from __future__ import annotations

import random
from dataclasses import dataclass

from corpora.everyday.frames import Pair
from corpora.phrasebook import english
from corpora.phrasebook.french import plural, starts_with_vowel

# Nouns with an h that blocks elision, beyond those that the phrasebook has.
_ASPIRATED = ("hanche", "haine", "hérisson", "handicap")
_FRENCH_PLURALS = {
    "œil": "yeux",
    "travail": "travaux",
    "ciel": "cieux",
    **{noun: f"{noun}x" for noun in ("bijou", "caillou", "chou", "genou", "hibou")},
}
_ENGLISH_PLURALS = {
    **{"man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet", "tooth": "teeth"},
    **{"goose": "geese", "mouse": "mice", "knife": "knives", "life": "lives", "leaf": "leaves", "half": "halves"},
    **{"shelf": "shelves", "thief": "thieves", "wolf": "wolves", "calf": "calves", "scarf": "scarves"},
    **{"hero": "heroes", "mosquito": "mosquitoes", "crisis": "crises", "wife": "wives", "ox": "oxen"},
    **{noun: noun for noun in ("sheep", "fish", "deer", "dice", "crossroads", "barracks", "species", "trout")},
}
# English nouns that are plural where the French one is singular: un pantalon, trousers.
_PLURAL_ONLY = frozenset(("trousers", "jeans", "shorts", "pyjamas", "underpants", "knickers"))
_NO_PLURAL = ("people", "knowledge", "news")


@dataclass(frozen=True)
class Noun:
    """A noun of the lexicon.

    Attributes:
        french: noun without article.
        english: its translation without article.
        gender: `m` or `f`; `m` for nouns with "de l'" or in the plural, where the gender has no effect.
        count: `one` for "un" and "une", `some` for a mass noun with "du", `many` for a noun with "des".
    """

    french: str
    english: str
    gender: str
    count: str

    @property
    def elides(self) -> bool:
        """Return True if "le" and "de" lose their vowel before the noun."""
        return starts_with_vowel(self.french) and not self.french.startswith(_ASPIRATED)

    @property
    def the(self) -> str:
        """The French noun with the definite article."""
        if self.count == "many":
            return f"les {self.french}"
        return f"l'{self.french}" if self.elides else f"{'le' if self.gender == 'm' else 'la'} {self.french}"

    @property
    def some(self) -> str:
        """The French noun with the article that the lexicon lists: un, une, du, de la, des."""
        if self.count == "one":
            return f"{'un' if self.gender == 'm' else 'une'} {self.french}"
        if self.count == "many":
            return f"des {self.french}"
        return f"de {self.the}" if self.elides or self.gender == "f" else f"du {self.french}"

    @property
    def of(self) -> str:
        """The French noun after "de"."""
        return f"d'{self.french}" if self.elides else f"de {self.french}"

    @property
    def mine(self) -> str:
        """The French noun after the possessive of the first person."""
        if self.count == "many":
            return f"mes {self.french}"
        return f"{'mon' if self.gender == 'm' or self.elides else 'ma'} {self.french}"

    @property
    def this(self) -> str:
        """The French noun after the demonstrative."""
        if self.count == "many":
            return f"ces {self.french}"
        return f"{'cette' if self.gender == 'f' else 'cet' if self.elides else 'ce'} {self.french}"

    @property
    def is_plural_in_english(self) -> bool:
        """True if the English noun takes no "a" and a plural verb."""
        return self.count == "many" or self.english in _PLURAL_ONLY

    @property
    def a(self) -> str:
        """The English noun with the indefinite article, or without where it takes none."""
        if self.count != "one" or self.english in _PLURAL_ONLY:
            return self.english
        return f"{english.article(self.english)} {self.english}"

    @property
    def plurals(self) -> Pair | None:
        """Both nouns in the plural; None for mass nouns, plurals and compounds."""
        is_compound = any(mark in self.french for mark in " -'")
        if self.count != "one" or is_compound or self.is_plural_in_english or self.english.endswith(_NO_PLURAL):
            return None
        return _FRENCH_PLURALS.get(self.french) or plural(self.french), english_plural(self.english)


def parse_noun(french: str, translation: str) -> Noun:
    """Return the noun of a row of the lexicon, which begins with an indefinite or partitive article.

    Raises:
        ValueError: if the French cell has no such article.
    """
    articles = (
        ("un ", "m", "one"),
        ("une ", "f", "one"),
        ("des ", "m", "many"),
        ("du ", "m", "some"),
        ("de la ", "f", "some"),
        ("de l'", "m", "some"),
    )
    for article, gender, count in articles:
        if french.startswith(article):
            return Noun(french.removeprefix(article), translation, gender, count)
    raise ValueError(f"A noun must begin with un, une, des, du, de la or de l'. Received: {french!r}.")


def english_plural(noun: str) -> str:
    """Return the plural of an English noun, whose head may be before "of" or "-in-law"."""
    for tail in (" of ", "-in-law"):
        head, mark, rest = noun.partition(tail)
        if mark:
            return f"{english_plural(head)}{mark}{rest}"
    start = noun.rfind(" ") + 1
    last = noun[start:]
    if last.endswith("man") and last != "human":
        return f"{noun[:-3]}men"
    return noun[:start] + _ENGLISH_PLURALS.get(last, english.plural(last))


def singular_forms(noun: Noun) -> list[Pair]:
    """Return the noun as the lexicon lists it: alone, and with each article."""
    forms = [(noun.french, noun.english), (noun.the, f"the {noun.english}")]
    return forms if noun.count == "some" else [*forms, (noun.some, noun.a)]


def plural_forms(noun: Noun) -> list[Pair]:
    """Return the plural of the noun, alone and with each article; nothing if there is none."""
    if not noun.plurals:
        return []
    french, translation = noun.plurals
    return [(french, translation), (f"les {french}", f"the {translation}"), (f"des {french}", translation)]


def abstract_forms(noun: Noun) -> list[Pair]:
    """Return forms of an abstract mass noun, which has no article in English: la liberté, freedom."""
    return [
        (noun.french, noun.english),
        (noun.the, noun.english),
        (f"sans {noun.french}", f"without {noun.english}"),
        (f"beaucoup {noun.of}", f"a lot of {noun.english}"),
        (f"J'ai besoin {noun.of}", f"I need {noun.english}"),
    ]


def framed_noun(draw: random.Random, noun: Noun) -> Pair:
    """Return the noun in a random frame that fits things and people."""
    verb, this = ("are", "these") if noun.is_plural_in_english else ("is", "this")
    frames = [
        (f"Où {'sont' if noun.count == 'many' else 'est'} {noun.the} ?", f"Where {verb} the {noun.english}?"),
        (f"Voici {noun.the}.", f"Here {verb} the {noun.english}."),
        (f"Voilà {noun.mine}.", f"There {verb} my {noun.english}."),
        (noun.mine, f"my {noun.english}"),
        (noun.this, f"{this} {noun.english}"),
        (f"avec {noun.the}", f"with the {noun.english}"),
        (f"sans {noun.the}", f"without the {noun.english}"),
        (f"Je vois {noun.the}.", f"I can see the {noun.english}."),
        (f"Je cherche {noun.the}.", f"I'm looking for the {noun.english}."),
    ]
    if noun.count == "one":
        frames += [
            (f"Il y a {noun.some}.", f"There {verb} {noun.a}."),
            (f"J'ai besoin d'{noun.some}.", f"I need {noun.a}."),
            (f"Je cherche {noun.some}.", f"I'm looking for {noun.a}."),
            (f"avec {noun.some}", f"with {noun.a}"),
        ]
    else:
        frames += [
            (f"beaucoup {noun.of}", f"a lot of {noun.english}"),
            (f"pas {noun.of}", f"no {noun.english}"),
            (f"J'ai besoin {noun.of}.", f"I need {noun.english}."),
        ]
    if noun.plurals:
        french, translation = noun.plurals
        of = f"d'{french}" if noun.elides else f"de {french}"
        number, english_number = draw.choice((("deux", "two"), ("trois", "three"), ("dix", "ten"), ("mes", "my")))
        frames += [
            (f"{number} {french}", f"{english_number} {translation}"),
            (f"beaucoup {of}", f"a lot of {translation}"),
            (f"Combien {of} ?", f"How many {translation}?"),
        ]
    return draw.choice(frames)
