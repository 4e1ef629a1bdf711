"""Word classes from the contexts of words: gender and number of nouns, infinitives, names.

A French noun follows a determiner and ends its phrase: a mark, a preposition or an auxiliary comes next. A word that
does so seldom is an adjective, an adverb or a verb. Its English translation must occur in the same way. No tagger is
needed, and rare words that are used wrongly are left out rather than guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from scripts.word_translations import tokens


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MARKS = frozenset('.,;:!?)»…"”')
MASCULINE = _words("un le ce cet du au")
FEMININE = _words("une la cette ma ta sa")
PLURAL = _words("les des ces mes tes ses nos vos leurs aux deux trois quatre plusieurs")
FRENCH_DETERMINERS = MASCULINE | FEMININE | PLURAL | _words("l' mon ton son notre votre leur")
ARTICLE = frozenset(("a", "an"))
SINGULAR_DETERMINERS = ARTICLE | _words("the this that my your his her its our their")
PLURAL_DETERMINERS = _words("the these those my your his her its our their some two three four several")
FRENCH_AFTER = MARKS | _words(
    "à a ai as au aux avait avec car chez comme contre d' dans de depuis des dont du dès en entre est et étaient était "
    "fut mais n' ne ont ou où par parce pendant pour puis qu' quand que qui s' sans se sera si son sont sous sur "
    "vers"
)
ENGLISH_AFTER = MARKS | _words(
    "about after against and are as at be because before between but by can could did do does during for from had has "
    "have he i if in into is it may might must not of on or over she should since so than that they through to under "
    "until was we were when where which while who whose will with without would you"
)
BEFORE_INFINITIVE = _words(
    "à allez allons de devez devoir devons devait dois doit doivent faut peut peuvent peux pour pouvez pouvons va vais "
    "vas veulent veut veux voulez voulons vont"
)
BEFORE_VERB = _words("can could may might must should to will would")

# Endings of nouns that tell their gender, for words of the dictionary that the corpus lacks.
FEMININE_ENDINGS = ("tion", "sion", "ance", "ence", "ette", "esse", "ure", "ade", "aison", "rie", "gie")
MASCULINE_ENDINGS = ("isme", "eau", "oir", "age", "ement", "eur", "ier", "iste")

INFINITIVE_ENDINGS = ("er", "ir", "re")

# Endings of nouns whose plural may be irregular.
_IRREGULAR_FRENCH = ("s", "x", "z", "al", "ail", "ou", "eu")
_IRREGULAR_ENGLISH = ("f", "fe", "man", "is", "fish")

_SENTENCE_START = frozenset('.!?:«"“(-–—…')
_MIN_SHARE = 0.1  # of the occurrences of a word, those as a noun that ends its phrase


class WordClass(NamedTuple):
    """What a word must share with the word that it replaces.

    Attributes:
        kind: "masculine", "feminine", "masculine plural", "feminine plural" or "infinitive"
        elides: whether words before it are elided (l'arbre, cet arbre, d'aller); False for plurals
    """

    kind: str
    elides: bool


@dataclass(frozen=True)
class Usage:
    """Counts of the lowercase words of one language, in all places and in those that tell the class of a word."""

    count: Counter[str]
    nouns: dict[str, Counter[str]]
    infinitive: Counter[str]
    with_object: Counter[str]
    capital: Counter[str]

    def spelling(self, word: str) -> str:
        """Return a lowercase word as it is mostly written inside sentences: `Californie`, `OTAN`, `chat`."""
        spellings = {word.capitalize(), word.title(), word.upper()} - {word}
        capital, form = max(((self.capital[form], form) for form in sorted(spellings)), default=(0, word))
        return form if capital > 0.5 * self.count[word] else word


def count_french(texts: Iterable[str]) -> Usage:
    """Count the contexts of French words."""
    roles = {"masculine": MASCULINE, "feminine": FEMININE, "plural": PLURAL}
    return _count(texts, roles, FRENCH_AFTER, BEFORE_INFINITIVE, FRENCH_DETERMINERS)


def count_english(texts: Iterable[str]) -> Usage:
    """Count the contexts of English words."""
    determiners = SINGULAR_DETERMINERS | PLURAL_DETERMINERS
    roles = {"article": ARTICLE, "determiner": determiners - ARTICLE}
    return _count(texts, roles, ENGLISH_AFTER, BEFORE_VERB, determiners)


def _count(
    texts: Iterable[str],
    roles: dict[str, frozenset[str]],
    after: frozenset[str],
    before_verb: frozenset[str],
    determiners: frozenset[str],
) -> Usage:
    usage = Usage(Counter(), {role: Counter() for role in roles}, Counter(), Counter(), Counter())
    counter_after = {word: usage.nouns[role] for role, before in roles.items() for word in before}
    for text in texts:
        surface = [token for token in tokens(text) if not token.isspace()]
        lowered = [token.lower() for token in surface]
        usage.count.update(lowered)
        for index in range(1, len(lowered)):
            previous, word = lowered[index - 1], lowered[index]
            following = lowered[index + 1] if index + 1 < len(lowered) else "."
            if previous in counter_after and following in after:
                counter_after[previous][word] += 1
            if previous in before_verb:
                usage.infinitive[word] += 1
            if following in determiners:
                usage.with_object[word] += 1
            if surface[index] != word and previous not in _SENTENCE_START:
                usage.capital[surface[index]] += 1
    return usage


@dataclass(frozen=True)
class WordClasses:
    """Classes of pairs of a French word and its English translation, from the usage of both."""

    french: Usage
    english: Usage

    def find(self, french: str, english: str) -> WordClass | None:
        """Return the class of a pair of words, or None for names, other classes and doubtful words."""
        if not (french.isalpha() and english.isalpha() and len(french) > 2 and len(english) > 1):
            return None
        if self.french.spelling(french) != french or self.english.spelling(english) != english:
            return None
        if french[0] in "hyw":  # aspirated or not
            return None
        if self._is_infinitive(french, english):
            return WordClass("infinitive", _elides(french))
        if french.endswith(("s", "x")) and (gender := self._plural_gender(french, english)):
            return WordClass(f"{gender} plural", False)
        if self._is_singular(english) and (gender := self._gender(french)):
            return WordClass(gender, _elides(french))
        return None

    def plural(self, french: str, english: str) -> tuple[str, str] | None:
        """Return the regular plurals of two singular nouns; None if frequent nouns lack them in the corpus."""
        if french.endswith(_IRREGULAR_FRENCH) or english.endswith(_IRREGULAR_ENGLISH):
            return None
        plurals = french + ("x" if french.endswith("au") else "s"), _english_plural(english)
        for usage, singular, plural in zip((self.french, self.english), (french, english), plurals, strict=True):
            if usage.count[singular] >= 5 and not usage.count[plural]:
                return None
        return plurals

    def _is_infinitive(self, french: str, english: str) -> bool:
        if not french.endswith(INFINITIVE_ENDINGS):
            return False
        for usage, word in ((self.french, french), (self.english, english)):
            as_noun = sum(nouns[word] for nouns in usage.nouns.values())
            enough = max(1, _MIN_SHARE * usage.count[word])
            if usage.infinitive[word] < max(as_noun, enough) or usage.with_object[word] < enough:
                return False
        return True

    def _gender(self, french: str) -> str | None:
        nouns = self.french.nouns
        masculine, feminine, plural = (nouns[role][french] for role in ("masculine", "feminine", "plural"))
        count = self.french.count[french]
        if not count:
            if french.endswith(FEMININE_ENDINGS):
                return "feminine"
            return "masculine" if french.endswith(MASCULINE_ENDINGS) else None
        # An infinitive may follow a pronoun that is also an article: `le conjecturer`.
        enough = 3 if french.endswith(INFINITIVE_ENDINGS) else 1
        if max(masculine, feminine) < max(enough, plural, _MIN_SHARE * count):
            return None
        if masculine > 4 * feminine:
            return "masculine"
        return "feminine" if feminine > 4 * masculine else None

    def _plural_gender(self, french: str, english: str) -> str | None:
        found = self.french.nouns["plural"][french]
        singular = self.french.nouns["masculine"][french] + self.french.nouns["feminine"][french]
        if found <= 2 * singular or found < _MIN_SHARE * self.french.count[french]:
            return None
        seen = self.english.nouns["determiner"][english]
        if not english.endswith("s") or seen < max(1, self.english.nouns["article"][english]):
            return None
        genders = (self._gender(base) for base in (french[:-1], f"{french[:-3]}al") if self.french.count[base])
        return next((gender for gender in genders if gender), None)

    def _is_singular(self, english: str) -> bool:
        article, other = self.english.nouns["article"][english], self.english.nouns["determiner"][english]
        return article > 0 and article + other >= _MIN_SHARE * self.english.count[english]


def _elides(french: str) -> bool:
    return french[0] in "aeiouàâäéèêëîïôöùûüœæ"


def _english_plural(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")
