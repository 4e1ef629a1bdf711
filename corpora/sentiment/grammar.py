"""Remarks sampled from the lexicon: a topic, words that judge it, and a construction that decides the label.

A frame says whether the words in its slots have the polarity of the whole ("=") or are turned over ("!"); so do the
predicates inside it. Every word is thus said in praise and in blame, and only the construction tells which.

Slots of a frame:
    {T} the topic, {this} with a demonstrative, {N} bare, {something} with an indefinite article; {V} what one does with
    it, {pp} the same, done; {il} its pronoun; {est} {soit} {était} … agree with it.
    {W} a clause about it, {w} the same with a pronoun; {C} a clause about an aspect; {K} a verdict, {I} an idiom, {E}
    one that names the topic, {J} one that does not. All have the frame's polarity.
    {A} an aspect's clause, {S} the same in the subjunctive, {B} the aspect as a noun phrase; {Y} a clause about the
    topic, {y} with a pronoun, {adverse} an adjective: the concession, of the opposite polarity.
    {X} any adjective, {x} one that can be denied, {p} one of which one can fall short, {c} and {l} with degrees
    up and down, {deg} with an adverb of degree, {z} another beside it; {Xm} {xm} {m} {cm} masculine; {x2} what the
    topic is not.
    {M} mieux or pire.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from corpora.phrasebook import french
from corpora.sentiment import lexicon
from corpora.sentiment.lexicon import Adjective, Noun, Pattern

T = TypeVar("T")
Combination = tuple[str, str]
Slots = dict[str, Callable[[], str]]

_SLOT = re.compile(r"\{(\w+)\}")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
# Singular and plural of what agrees with the topic.
_VERBS = {
    "est": ("est", "sont"),
    "soit": ("soit", "soient"),
    "était": ("était", "étaient"),
    "serait": ("serait", "seraient"),
    "pourrait": ("pourrait", "pourraient"),
    "a": ("a", "ont"),
    "veut": ("veut", "veulent"),
    "t": ("t", "ent"),
    "nt": ("", "nt"),
}
# Slots of adjectives: in the masculine (m), with "plus" (c), with "moins" (l).
_ADJECTIVES = {"X": "", "z": "", "x": "", "p": "", "Xm": "m", "xm": "m", "m": "m", "c": "c", "cm": "cm", "l": "l"}
_INNER = ("film", "livre", "scène", "restaurant", "hôtel", "cours")
# Predicates that are simple enough for one half of a concession, with an adjective each.
_HALVES = ("is", "not", "far from", "all but", "nothing", "never")
_MAIN_CLAUSES_ONLY = ("not only",)
_SUBORDINATE = re.compile(r"\b(que|si)\b[^.]*\{W\}")


class DeadEndError(Exception):
    """The lexicon has nothing for a slot; another remark is drawn instead."""


class Remark:
    """One remark in the making.

    Args:
        rng: the only source of chance.
        topic: what it is about.
        label: +1 praise, -1 blame.
    """

    def __init__(self, rng: random.Random, topic: Noun, label: int) -> None:
        self.rng = rng
        self.topic = topic
        self.label = label
        self.combinations: list[Combination] = []
        self._said: list[tuple[Adjective, int]] = []  # adjectives, and what they amount to: praise or blame
        self._aspects: list[Noun] = []

    def write(self, frame: Pattern) -> str:
        """The remark in a frame.

        Raises:
            DeadEndError: nothing in the lexicon fits.
        """
        if frame.label not in (0, self.label) or not self._serves(frame):
            raise DeadEndError
        self._is_embedded = bool(_SUBORDINATE.search(frame.text))
        self._inner = self.label * frame.sign
        slots = self._topic_slots() | self._clause_slots(frame)
        return typeset(self._fill(frame.text, self.topic, self._inner, self.label, frame.name, slots))

    def _topic_slots(self) -> Slots:
        """Return the judged topic in the forms that frames and idioms ask for."""
        topic = self.topic
        article = "des" if topic.is_plural else "une" if topic.gender == "f" else "un"
        this = self._named(topic, "ce")
        return {
            "T": lambda: self._named(topic, self._choice(("ce", "ce", "le"))),
            "this": lambda: this,
            "This": lambda: this,
            "N": lambda: topic.french,
            "something": lambda: f"{article} {topic.french}",
            "V": lambda: f"{topic.infinitive} {this}",
            "pp": lambda: f"{topic.participle} {this}",
        }

    def _clause_slots(self, frame: Pattern) -> Slots:
        """Clauses about the topic and its aspects; in a concession about the topic both have an adjective."""
        has_halves = "{Y}" in frame.text or "{y}" in frame.text
        says = self._half if has_halves else lambda polarity: self._says(self.topic, polarity)
        polarity = self.label if has_halves else self._inner
        pronoun = self._pronoun(self.topic)
        return {
            "W": lambda: f"{self._named(self.topic, self._choice(('ce', 'le')))} {says(polarity)}",
            "w": lambda: f"{pronoun} {says(self.label)}",
            "C": lambda: self._aspect_clause(self.label),
            "A": lambda: self._aspect_clause(-self.label),
            "S": self._subjunctive_aspect,
            "B": self._aspect_phrase,
            "Y": lambda: f"{self._named(self.topic, 'ce')} {self._half(-self.label)}",
            "y": lambda: f"{pronoun} {self._half(-self.label)}",
            "adverse": self._adverse,
            "Adverse": self._adverse,
            "K": self._nominal,
            "I": lambda: self._idiom("I"),
            "J": lambda: self._idiom("J"),
            "E": lambda: self._idiom("E"),
            "M": lambda: self._choice(("", "", "bien ")) + ("mieux" if self._inner > 0 else "pire"),
            "x2": lambda: self._adjective(self.topic, self.label, -self.label, frame.name, is_weak=True),
        }

    def _serves(self, frame: Pattern) -> bool:
        """Return True if the frame suits the topic."""
        if "inner" in frame.needs:
            return self.topic.domains[0] in _INNER
        if "art" in frame.needs:
            return self.topic.domains[0] in ("film", "livre", "scène")
        return True

    def _fill(self, text: str, noun: Noun, polarity: int, meaning: int, name: str, slots: Slots | None = None) -> str:
        """A pattern with its choices made and its slots filled, from left to right."""

        def fill(match: re.Match[str]) -> str:
            slot = match[1]
            if slots and slot in slots:
                return slots[slot]()
            if slot in _VERBS:
                return _VERBS[slot][noun.is_plural]
            return self._pronoun(noun) if slot == "il" else self._word(slot, noun, polarity, meaning, name)

        return _SLOT.sub(fill, self._choose(text))

    def _choose(self, text: str) -> str:
        """A pattern with one of each [choice|of|words]."""
        return _CHOICE.sub(lambda match: self._choice(match[1].split("|")), text)

    def _word(self, slot: str, noun: Noun, polarity: int, meaning: int, name: str) -> str:
        """An adjective or a verb for a slot."""
        if slot == "deg":
            return self._graded(noun, polarity, name)
        if slot in ("verb", "notverb"):
            return self._verb(noun, polarity, slot == "notverb", name)
        assert slot in _ADJECTIVES, slot
        # Far from excellent is bad; far from awful may be bad as well.
        is_weak = polarity < 0 if slot in ("p", "m") else slot not in ("X", "Xm")
        return self._adjective(noun, polarity, meaning, name, is_weak, _ADJECTIVES[slot])

    def _says(self, noun: Noun, polarity: int) -> str:
        """A predicate of a polarity."""
        found = self._pattern("predicates", lambda one: not one.needs or bool(one.needs & noun.tags))
        if self._is_embedded and found.name in _MAIN_CLAUSES_ONLY:
            raise DeadEndError
        return self._fill(found.text, noun, polarity * found.sign, polarity, found.name)

    def _half(self, polarity: int) -> str:
        """A predicate with one adjective, as one half of a concession."""

        def fits(one: Pattern) -> bool:
            return one.name in _HALVES and (not one.needs or bool(one.needs & self.topic.tags))

        found = self._pattern("predicates", fits)
        return self._fill(found.text, self.topic, polarity * found.sign, polarity, found.name)

    def _aspect(self) -> Noun:
        aspects = [one for one in lexicon.aspects_of(self.topic) if one not in self._aspects]
        found = self._choice(aspects)
        self._aspects.append(found)
        return found

    def _aspect_clause(self, polarity: int) -> str:
        aspect = self._aspect()
        return f"{self._named(aspect, 'le')} {self._says(aspect, polarity)}"

    def _subjunctive_aspect(self) -> str:
        aspect = self._aspect()
        copula = _VERBS["soit"][aspect.is_plural]
        return f"{self._named(aspect, 'le')} {copula} {self._graded(aspect, -self.label, 'subjunctive')}"

    def _aspect_phrase(self) -> str:
        """An aspect with an adjective: un scénario prévisible, de bons acteurs."""
        aspect = self._aspect()
        form = self._adjective(aspect, -self.label, -self.label, "noun phrase")
        is_before = self._said[-1][0].is_before
        article = "des" if aspect.is_plural else "une" if aspect.gender == "f" else "un"
        if is_before:
            return f"{'de' if aspect.is_plural else article} {form} {aspect.french}"
        return f"{article} {aspect.french} {form}"

    def _adverse(self) -> str:
        """An adjective to concede: un peu long, plutôt drôle."""
        form = self._adjective(self.topic, -self.label, -self.label, "conceded", is_weak=True)
        if self._said[-1][0].is_absolute or self._chance(0.35):
            return form
        return f"{self._choice(('plutôt', 'assez') if self.label < 0 else ('un peu', 'un peu', 'assez'))} {form}"

    def _graded(self, noun: Noun, polarity: int, name: str) -> str:
        """An adjective with or without an adverb of degree."""
        form = self._adjective(noun, polarity, polarity, name)
        adjective = self._said[-1][0]
        if self._chance(0.45):
            return form
        if adjective.is_absolute:
            return f"vraiment {form}"
        if adjective.is_strong:
            return f"{self._choice(('vraiment', 'tout simplement', 'franchement'))} {form}"
        return f"{self._choice(('très', 'très', 'vraiment', 'plutôt', 'franchement'))} {form}"

    def _nominal(self) -> str:
        """A verdict that is a noun: c'est une réussite, cela n'a rien d'un échec."""
        found = self._pattern("nominals")
        nouns = [
            one
            for one in lexicon.verdicts()
            if one.polarity == self.label * found.sign and self.topic.domains[0] in one.domains
        ]
        noun = self._choice(nouns)
        self._note(found.name, noun.french)
        article, ending = ("une", "le") if noun.gender == "f" else ("un", "")
        parts = {"un": f"{article} {noun.french}", "le": ending, "verdict": noun.french}
        return _SLOT.sub(lambda match: parts[match[1]], self._choose(found.text))

    def _idiom(self, slot: str) -> str:
        """A verdict that is said as a whole, with or without the topic."""
        wanted = {"", self.topic.domains[0], "=alone", *(("=experience",) if self.topic.infinitive else ())}
        fits = [
            one
            for one in lexicon.idioms()
            if one.polarity == self.label
            and wanted & (one.domains or {""})
            and not (slot == "J" and "{" in one.text)
            and not (slot == "E" and "{" not in one.text)
        ]
        return self._fill(self._choice(fits).text, self.topic, self.label, self.label, "idiom", self._topic_slots())

    def _adjective(
        self,
        noun: Noun,
        polarity: int,
        meaning: int,
        name: str,
        is_weak: bool = False,
        kind: str = "",
    ) -> str:
        """An adjective in the form that agrees with a noun (or in the masculine).

        Args:
            polarity: of the word.
            meaning: of what is said with it: of "pas drôle" -1.
            name: of the construction, for the combination that is noted.
            is_weak: only such as can be denied.
            kind: a letter of the slot: c only such as go with "plus", l with "moins", m with "rien de" and in the
                masculine.
        """
        fits = [
            one
            for one in lexicon.adjectives()
            if one.polarity == polarity
            and one.tags & noun.tags
            and not (is_weak and one.is_strong)
            and not (kind and one.is_phrase)
            and not ("m" in kind and " " in one.french)
            and not (one.is_absolute and ("c" in kind or "l" in kind))
            and not ("c" in kind and not one.has_more)
            and self._agrees(one, meaning, noun)
        ]
        found = self._choice(fits)
        self._said.append((found, meaning))
        self._note(name, found.french)
        return found.forms[0] if "m" in kind else found.forms[(noun.gender == "f") + 2 * noun.is_plural]

    def _agrees(self, adjective: Adjective, meaning: int, noun: Noun) -> bool:
        """Return True if an adjective neither repeats nor contradicts earlier ones."""
        for other, said in self._said:
            if other.dimension == adjective.dimension or (other.group == adjective.group and said != meaning):
                return False
        # What is good or bad as a whole cannot be conceded.
        return not (noun is self.topic and meaning != self.label and adjective.dimension == "quality")

    def _verb(self, noun: Noun, polarity: int, is_denied: bool, name: str) -> str:
        """A verb phrase, or its denial."""
        fits = [
            one
            for one in lexicon.verbs()
            if one.polarity == polarity
            and one.tags & noun.tags
            and (one.plural or not noun.is_plural)
            and not (self._is_embedded and one.singular.startswith("m'"))  # nobody else knows what I liked
        ]
        verb = self._choice(fits)
        form = verb.plural if noun.is_plural else verb.singular
        self._note(name, verb.singular)
        if not is_denied:
            return form
        # A reflexive pronoun stays before its verb: ne se casse pas.
        words = form.split(" ")
        end = 2 if words[0] == "se" else 1
        negation = self._choice(verb.negations)
        return " ".join(["ne", *words[:end], negation, *words[end:]])

    def _named(self, noun: Noun, article: str) -> str:
        """The noun with an article that agrees: "ce" or "le"."""
        if noun.is_plural:
            return f"{article}s {noun.french}" if article == "ce" else f"les {noun.french}"
        if article == "le":
            return f"{'la' if noun.gender == 'f' else 'le'} {noun.french}"
        vowel = french.starts_with_vowel(noun.french)
        return f"{'cette' if noun.gender == 'f' else 'cet' if vowel else 'ce'} {noun.french}"

    def _pronoun(self, noun: Noun) -> str:
        return ("elle" if noun.gender == "f" else "il") + ("s" if noun.is_plural else "")

    def _pattern(self, table: str, fits: Callable[[Pattern], bool] = lambda one: True) -> Pattern:
        found = [one for one in lexicon.patterns(table) if fits(one)]
        return self.rng.choices(found, [one.weight for one in found])[0]

    def _choice(self, items: Sequence[T]) -> T:
        if not items:
            raise DeadEndError
        return items[int(self.rng.random() * len(items))]

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _note(self, construction: str, word: str) -> None:
        self.combinations.append((construction, word))


def typeset(text: str) -> str:
    """Elision, French spaces before marks, a capital at each beginning."""
    # "De" swallows the article "des": en dépit de décors pauvres.
    text = french.spell(*text.replace(" de des ", " de ").split()).replace(" .", ".").replace(" ,", ",")
    for mark, space in ((":", french.NO_BREAK), *((mark, french.NARROW_NO_BREAK) for mark in ";?!")):
        text = text.replace(f" {mark}", space + mark)
    if text[-1] not in ".?!":
        text += "."
    return re.sub(r"(^|[.?!] )(\w)", lambda match: match[1] + match[2].upper(), text)
