"""Random, sensible choices from the lexicon: who does what to which thing, with which determiner.

Everything that the compositional split may hold out is noted as it is chosen: verb with object, noun with adjective,
construction with verb, governor with verb.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from corpora.alignment import linked, plain
from corpora.phrasebook import french
from corpora.phrasebook.clauses import Clause
from corpora.phrasebook.lexicon import Adjective, Adverbial, Governor, Lexicon, Noun, Verb, load_lexicon
from corpora.phrasebook.phrases import PRONOUNS, NounPhrase, Subject, named, noun_phrase

T = TypeVar("T")
Combination = tuple[str, str, str]

OWNABLE = (
    "clothing",
    "jewel",
    "eyewear",
    "portable",
    "device",
    "vehicle",
    "pet",
    "furniture",
    "home",
    "room",
    "relation",
    "tool",
    "toy",
    "luggage",
    "instrument",
    "worktask",
    "present",
    "workplace",
    "linen",
    "container",
    "electronic",
)
# Things of which there is one: nobody says "a sun" or "this breakfast" out of the blue.
DEFINITE_ONLY = (
    "unique",
    "lawn",
    "laundry",
    "chore",
    "heat",
    "rentcost",
    "place",
    "transport",
    "work",
    "=télévision",
    "=couloir",
    "=salon",
    "=cuisine",
    "=garage",
    "=grenier",
    "=cave",
    "=lumière",
    "=musique",
    "=radio",
    "=ville",
)
GENERIC_ONLY = ("tongue", "subject", "sport", "meal", "money")
PLURAL_OWNERS = (0, 2, 7, 9)  # je, tu, nous, vous: owners whose possessive does not depend on anybody's gender


@cache
def nouns_of(classes: tuple[str, ...]) -> tuple[Noun, ...]:
    """All nouns of the given classes, in lexicon order."""
    return tuple(noun for noun in load_lexicon().nouns if noun.has(*classes))


@cache
def adjectives_for(noun: Noun, is_predicate: bool) -> tuple[Adjective, ...]:
    """Adjectives that can describe a noun, beside it or after "être"; one for each French form."""
    tags = (*noun.tags, "=" + noun.french) + (("nationality",) if noun.has("job", "relation") else ())
    found: dict[str, Adjective] = {}  # by French form, so that no form has two meanings for one noun
    for adjective in load_lexicon().adjectives:
        fits = any(tag in adjective.tags for tag in tags)
        if (
            fits
            and (is_predicate or adjective.position != "p")
            and not (is_predicate and adjective.english == "former")
        ):
            found.setdefault(adjective.forms[0], adjective)
    return tuple(found.values())


@cache
def graded_nouns_of(classes: tuple[str, ...]) -> tuple[Noun, ...]:
    """Nouns of the given classes that some adjective with degrees describes."""
    return tuple(noun for noun in nouns_of(classes) if any(one.is_gradable for one in adjectives_for(noun, True)))


@cache
def verbs_of(frames: str, needed: str, banned: str) -> tuple[Verb, ...]:
    """Verbs with one of the frames (a string of letters), all needed flags and no banned one."""
    return tuple(
        verb
        for verb in load_lexicon().verbs
        if verb.frame in frames and all(flag in verb.flags for flag in needed) and not set(banned) & set(verb.flags)
    )


@cache
def verbs_named(frames: str, lemmas: tuple[str, ...], banned: str = "") -> tuple[Verb, ...]:
    """Verbs with one of the frames and one of the lemmas, without any banned flag."""
    return tuple(verb for verb in verbs_of(frames, "", banned) if verb.lemma in lemmas)


@cache
def verbs_of_persons() -> tuple[Verb, ...]:
    """Verbs that are done to anybody: help, wait for, follow."""
    return tuple(verb for verb in verbs_of("t", "", "k") if "person" in verb.classes)


@cache
def adverbials_of(slot: str) -> tuple[Adverbial, ...]:
    """Adverbials that fill a slot: past, future, habit, since …"""
    return tuple(adverbial for adverbial in load_lexicon().adverbials if adverbial.slot == slot)


_DESCRIBABLE = tuple(noun for noun in load_lexicon().nouns if adjectives_for(noun, True))


class Sampler:
    """Draws parts of sentences and notes the combinations that it makes.

    Args:
        rng: the only source of chance.
        lexicon: what to draw from.
    """

    def __init__(self, rng: random.Random, lexicon: Lexicon) -> None:
        self.rng = rng
        self.lexicon = lexicon
        self.construction = ""
        self.combinations: list[Combination] = []
        self.is_negative = False
        self.is_habitual = False
        self.adjective_rate = 0.35

    def begin(self, construction: str) -> None:
        """Start a new sentence of a construction."""
        self.construction = construction
        self.combinations = []
        self.is_negative = self.is_habitual = False
        self.adjective_rate = 0.35

    def repeat(self) -> None:
        """Let the objects of this sentence be such as suit a habit."""
        self.is_habitual = True

    def deny(self) -> None:
        """Let the objects of this sentence be such as suit a negation."""
        self.is_negative = True

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.rng.random() * len(items))]

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return self.rng.random() < probability

    def note(self, kind: str, first: str, second: str) -> None:
        """Note a combination of two lexemes (or of a construction and a lexeme)."""
        self.combinations.append((kind, first, second))

    def noun(self, *classes: str) -> Noun:
        """A noun of one of the classes."""
        return self.choice(nouns_of(classes))

    def graded_noun(self, *classes: str) -> Noun:
        """A noun of one of the classes that some adjective with degrees describes."""
        return self.choice(graded_nouns_of(classes))

    def verb(self, frames: str, needed: str = "", banned: str = "") -> Verb:
        """A verb, noted with the construction that uses it."""
        verb = self.choice(verbs_of(frames, needed, banned))
        self.note("construction-verb", self.construction, verb.lemma)
        return verb

    def governor(self, verb: Verb, banned: str = "") -> Governor:
        """A verb that takes another's infinitive."""
        governor = self.choice([one for one in self.lexicon.governors if not set(banned) & set(one.flags)])
        self.note("governor-verb", f"{governor.french} {governor.tail}".strip(), verb.lemma)
        return governor

    def adjective(self, noun: Noun, is_predicate: bool = False, is_graded: bool = False) -> Adjective | None:
        """An adjective that fits a noun, if there is one; only such as have degrees if asked."""
        candidates = adjectives_for(noun, is_predicate)
        if is_graded:
            candidates = tuple(one for one in candidates if one.is_gradable)
        if not candidates:
            return None
        adjective = self.choice(candidates)
        self.note("noun-adjective", noun.french, adjective.forms[0])
        return adjective

    def adverbial(self, slot: str) -> Adverbial:
        """An adverbial for a slot."""
        return self.choice(adverbials_of(slot))

    def name(self) -> Subject:
        """Somebody called by name."""
        return named(*self.choice(self.lexicon.names))

    def another_name(self, subject: Subject) -> Subject:
        """Somebody called by name who is not the subject."""
        name = self.name()
        while plain(name.french) == plain(subject.french):
            name = self.name()
        return name

    def pronoun(self, *allowed: str) -> Subject:
        """A personal pronoun, one of the given French ones if any are given."""
        return self.choice([one for one in PRONOUNS if not allowed or one.french in allowed]).again()

    def owner(self, subject: Subject | None) -> Subject:
        """Whose thing it is: mostly the subject's own, for son and sa say nothing about the owner's gender."""
        if subject is not None and self.chance(0.75):
            return subject
        return PRONOUNS[self.choice(PLURAL_OWNERS)]

    def person(self, *classes: str, can_be_plural: bool = True) -> NounPhrase:
        """A person as a noun phrase: the doctor, my sister."""
        noun = self.noun(*(classes or ("family", "relation", "job")))
        is_plural = can_be_plural and not noun.has("one") and self.chance(0.2)
        if noun.has("family"):
            return noun_phrase(noun, "possessive", is_plural, owner=self.owner(None))
        if noun.has("relation"):
            return noun_phrase(noun, "possessive", is_plural, owner=self.owner(None))
        adjectives = self._adjectives(noun)
        return noun_phrase(noun, "definite", is_plural, adjectives)

    def subject(self, *pronouns: str) -> Subject:
        """Anybody: a pronoun, a name, a relative, a person."""
        draw = self.rng.random()
        if draw < 0.5 or pronouns:
            return self.pronoun(*pronouns)
        return self.name() if draw < 0.75 else self.person().as_subject()

    def subject_of(self, verb: Verb) -> Subject:
        """Somebody who can do it; intransitive verbs list their subjects."""
        draw = self.rng.random()
        if "m" in verb.flags or "f" in verb.flags:
            gender = "f" if "f" in verb.flags else "m"
            return self.choice([one for one in PRONOUNS if one.gender == gender and not one.is_plural]).again()
        if verb.frame == "i" and draw < 0.35:
            noun = self.noun(*verb.classes)
            owner = self.owner(None)
            kind = "possessive" if noun.has("family", "relation") or (noun.has("pet") and draw < 0.15) else "definite"
            is_plural = not noun.has("one") and self.chance(0.25)
            return noun_phrase(noun, kind, is_plural, self._adjectives(noun), owner).as_subject()
        if "y" in verb.flags and draw < 0.1:
            return noun_phrase(self.noun("young"), "definite", self.chance(0.3)).as_subject()
        return self.subject()

    def described(self) -> tuple[Subject, Adjective]:
        """Somebody or something as a subject, and an adjective to say of it."""
        draw = self.rng.random()
        if draw < 0.35:
            subject = self.pronoun() if draw < 0.2 else self.name()
            return subject, self.human_adjective()
        noun = self.choice(_DESCRIBABLE)
        kinds = ("definite", "definite", "demonstrative", *(("possessive",) if noun.has(*OWNABLE) else ()))
        phrase = self.thing(noun, None, *kinds)
        adjective = self.adjective(noun, is_predicate=True)
        assert adjective is not None, noun
        return phrase.as_subject(), adjective

    def human_adjective(self) -> Adjective:
        """An adjective for people."""
        return self.choice([one for one in self.lexicon.adjectives if {"person", "nationality"} & set(one.tags)])

    def _adjectives(self, noun: Noun) -> tuple[Adjective, ...]:
        # People whom one knows are seldom described in passing.
        rate = self.adjective_rate * (0.1 if noun.has("family", "relation") else 0.5 if noun.has("person") else 1)
        adjective = self.adjective(noun) if self.chance(rate) else None
        return (adjective,) if adjective else ()

    def object_noun(self, verb: Verb) -> Noun:
        """Something that the verb can be done to."""
        noun = self.noun(*verb.classes)
        self.note("verb-object", verb.lemma, noun.french)
        return noun

    def object_of(self, verb: Verb, subject: Subject | None = None, *kinds: str) -> NounPhrase:
        """A direct object for a verb."""
        if verb.frame == "g":
            return self.generic(self.object_noun(verb))
        # One finds or steals a watch, not one's own.
        if "d" in verb.flags and not kinds:
            kinds = ("definite", "indefinite", "indefinite", "demonstrative")
        return self.thing(self.object_noun(verb), subject, *kinds)

    def generic(self, noun: Noun) -> NounPhrase:
        """A whole kind of things: les chats (cats), le thé (tea)."""
        return noun_phrase(noun, "generic", noun.count not in ("m", "d"))

    def thing(self, noun: Noun, subject: Subject | None = None, *kinds: str) -> NounPhrase:
        """A noun phrase with a determiner that suits the noun, from the given kinds if any are given."""
        kind = self.choice(kinds) if kinds else self._kind(noun)
        if noun.has(*GENERIC_ONLY):
            kind = "generic"
        elif noun.has("family", "relation") or noun.french == "devoirs":
            kind = "possessive"
        elif noun.has(*DEFINITE_ONLY) and not (noun.has("place") and kind == "demonstrative"):
            kind = "definite"
        can_be_plural = not noun.has("one", "workplace", "transport", *DEFINITE_ONLY, *GENERIC_ONLY)
        is_plural = can_be_plural and self.chance(0.8 if noun.has("pair", "many") else 0.22)
        if self.is_negative and kind == "indefinite":
            # "Il n'a pas lu de lettres", but "il n'attend pas le médecin": what is denied is a kind, or somebody known.
            kind, is_plural = ("definite", is_plural) if noun.has("person") else (kind, can_be_plural)
        if self.is_habitual and kind == "indefinite" and not noun.has("food", "drink"):
            is_plural = can_be_plural  # one waters flowers every day, not a flower
        adjectives = () if noun.has(*GENERIC_ONLY) else self._adjectives(noun)
        return noun_phrase(noun, kind, is_plural, adjectives, self.owner(subject))

    def _kind(self, noun: Noun) -> str:
        draw = self.rng.random()
        if noun.count == "m":
            return "partitive" if draw < 0.6 else "definite" if draw < 0.85 else "demonstrative"
        if draw < 0.3 and noun.has(*OWNABLE):
            return "possessive"
        return "definite" if draw < 0.55 else "indefinite" if draw < 0.85 else "demonstrative"

    def clause(
        self,
        tense: str,
        frames: str = "tttir",
        needed: str = "",
        banned: str = "",
        subject: Subject | None = None,
        kinds: tuple[str, ...] = (),
    ) -> Clause:
        """A clause about anybody doing anything.

        Args:
            tense: see `Clause`.
            frames: letters of verb frames; a letter that is repeated is that much likelier.
            needed, banned: verb flags.
            subject: who does it; drawn if None.
            kinds: determiners of the object.
        """
        # Shaving and makeup choose their own subject; a few states have no natural passé composé.
        banned += ("n" if tense == "past" else "") + ("mf" if subject else "")
        verb = self.verb(self.choice(frames), needed, banned)
        if subject is None:
            subject = self.subject_of(verb)
        direct = self.object_of(verb, subject, *kinds) if verb.frame in "tvgd" else None
        clause = Clause(subject, verb, tense, direct)
        if verb.frame in "ab":
            recipient = self.recipient(verb)
            clause = clause.with_tail(*recipient)
        if verb.frame == "d":
            clause = clause.with_tail(*self.recipient(verb, "to "))
        return clause

    def recipient(self, verb: Verb, english_preposition: str = "") -> tuple[str, str]:
        """An indirect object: à Marie, aux enfants."""
        classes = verb.classes if verb.frame in "ab" else ("relation", "family")
        if self.chance(0.4):
            name = self.name()
            return linked(f"à {name.french}", english_preposition + name.english)
        phrase = self.thing(self.noun(*classes), None, "definite")
        return linked(french.with_a(phrase.raw), english_preposition + phrase.english())
