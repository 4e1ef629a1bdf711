"""English morphology: articles, plurals, verb forms, do-support, contractions, comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from corpora.alignment import mark, plain, split_marks
from corpora.tables import read_table

_VOWELS = "aeiou"
_CONSONANT_SOUND = ("uni", "use", "eur", "one", "ukr", "ut")
_VOWEL_SOUND = ("hour", "honest", "heir", "8", "11", "18")
_BE_PRESENT = {"first": "am", "third": "is", "plural": "are"}
_BE_PAST = {"first": "was", "third": "was", "plural": "were"}
_NEGATIVES = {"will": "won't", "can": "can't", "am": "am not", "would": "wouldn't"}
_CLITICS = {"am": "'m", "is": "'s", "are": "'re", "will": "'ll", "would": "'d"}
_PRONOUNS = ("I", "you", "he", "she", "it", "we", "they")
_COMPARATIVES = {"good": "better", "bad": "worse", "far": "farther"}
_SUPERLATIVES = {"good": "best", "bad": "worst", "far": "farthest"}
_PERIPHRASTIC = ("tired", "wrong", "fun", "fair", "torn", "French", "glad", "ready", "raw", "Greek", "Swiss")


@cache
def _irregulars() -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for row in read_table("phrasebook", "english_irregular")}


def article(phrase: str) -> str:
    """ "a" or "an", by the sound that follows."""
    word = phrase.lower()
    vowel = word.startswith(_VOWEL_SOUND) or (word[0] in _VOWELS and not word.startswith(_CONSONANT_SOUND))
    return "an" if vowel else "a"


def plural(noun: str) -> str:
    """Regular plural; the lexicon lists the others."""
    if noun.endswith(("s", "x", "z", "ch", "sh", "tato", "mato")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in _VOWELS:
        return noun[:-1] + "ies"
    return noun + "s"


def _split(verb: str) -> tuple[str, str]:
    """Split a verb into its first word without marks, and the rest with them."""
    first, space, rest = verb.partition(" ")
    head, marks = split_marks(first)
    return head, marks + space + rest


def third_person(verb: str) -> str:
    """Present tense with he, she or it: watches, carries, gets up."""
    head, rest = _split(verb)
    listed = _irregulars().get(head, ("",) * 4)[3]
    if listed:
        return listed + rest
    if head.endswith(("s", "x", "z", "ch", "sh", "o")):
        return head + "es" + rest
    if head.endswith("y") and head[-2] not in _VOWELS:
        return head[:-1] + "ies" + rest
    return head + "s" + rest


def past(verb: str) -> str:
    """Simple past: bought, carried, got up."""
    head, rest = _split(verb)
    return (_irregulars()[head][0] if head in _irregulars() else _with_ed(head)) + rest


def participle(verb: str) -> str:
    """Past participle: eaten, got up."""
    head, rest = _split(verb)
    return (_irregulars()[head][1] if head in _irregulars() else _with_ed(head)) + rest


def _with_ed(head: str) -> str:
    if head.endswith("e"):
        return head + "d"
    if head.endswith("y") and head[-2] not in _VOWELS:
        return head[:-1] + "ied"
    return (head + head[-1] if _doubles(head) else head) + "ed"


def _doubles(head: str) -> bool:
    """One short stressed syllable doubles its last consonant: stop, stopped, but rain, rained."""
    short = sum(letter in _VOWELS + "y" for letter in head) == 1
    return short and len(head) > 2 and head[-1] not in _VOWELS + "wxy" and head[-2] in _VOWELS


def gerund(verb: str) -> str:
    """The -ing form: making, running, getting up."""
    head, rest = _split(verb)
    listed = _irregulars().get(head, ("",) * 4)[2]
    if listed:
        return listed + rest
    if head.endswith("e") and not head.endswith("ee"):
        return head[:-1] + "ing" + rest
    return (head + head[-1] if _doubles(head) else head) + "ing" + rest


def comparative(adjective: str) -> str:
    """bigger, easier, better, more interesting."""
    if adjective in _COMPARATIVES:
        return _COMPARATIVES[adjective]
    stem = _inflecting_stem(adjective)
    return stem + "er" if stem else f"more {adjective}"


def superlative(adjective: str) -> str:
    """biggest, easiest, best, most interesting."""
    if adjective in _SUPERLATIVES:
        return _SUPERLATIVES[adjective]
    stem = _inflecting_stem(adjective)
    return stem + "est" if stem else f"most {adjective}"


def _inflecting_stem(adjective: str) -> str:
    """Return the stem that takes -er and -est; empty for adjectives that take more and most."""
    if adjective in _PERIPHRASTIC or " " in adjective:
        return ""
    if adjective in ("quiet", "simple", "narrow"):
        return adjective.removesuffix("e")
    if adjective.endswith("y") and adjective[-2] not in _VOWELS:
        return adjective[:-1] + "i" if len(adjective) < 9 else ""
    syllables = sum(
        letter in _VOWELS and (index == 0 or adjective[index - 1] not in _VOWELS)
        for index, letter in enumerate(adjective.removesuffix("e"))
    )
    if syllables > 1:
        return ""
    return adjective + adjective[-1] if _doubles(adjective) else adjective.removesuffix("e")


@dataclass(frozen=True)
class VerbGroup:
    """A finite English verb group: an auxiliary, if any, and what follows it.

    Attributes:
        auxiliary: am, did, will …; empty if the main verb is finite.
        main: the rest: "eating", "eat", "ate".
    """

    auxiliary: str
    main: str


def verb_group(verb: str, tense: str, agreement: str, needs_auxiliary: bool) -> VerbGroup:
    """Conjugate a verb.

    Args:
        verb: base form with its particle: "be going to eat", "listen to", "can swim".
        tense: simple, progressive, past, past_progressive, perfect, perfect_progressive, used, future or conditional.
        agreement: first, third or plural.
        needs_auxiliary: True in questions and negations, where English wants do-support.
    """
    head = _split(verb)[0]
    first, _, rest = verb.partition(" ")
    if head == "can":
        if tense == "future":
            return VerbGroup("will", f"be able to {rest}")
        return VerbGroup("could" if tense in ("past", "used") else "can", rest)
    if head == "just":
        return VerbGroup("has" if agreement == "third" else "have", f"{first} {participle(rest)}")
    if tense == "future":
        return VerbGroup("will", verb)
    if tense == "conditional":
        return VerbGroup("would", verb)
    if tense in ("perfect", "perfect_progressive"):
        done = participle(verb) if tense == "perfect" else f"been {gerund(verb)}"
        return VerbGroup("has" if agreement == "third" else "have", done)
    if head == "be" and tense in ("simple", "past", "progressive", "past_progressive"):
        return VerbGroup((_BE_PRESENT if tense in ("simple", "progressive") else _BE_PAST)[agreement], rest)
    if tense == "used":
        return VerbGroup("did", f"use to {verb}") if needs_auxiliary else VerbGroup("", f"used to {verb}")
    if tense == "progressive":
        return VerbGroup(_BE_PRESENT[agreement], gerund(verb))
    if tense == "past_progressive":
        return VerbGroup(_BE_PAST[agreement], gerund(verb))
    if needs_auxiliary:
        does = "did" if tense == "past" else "does" if agreement == "third" else "do"
        return VerbGroup(does, verb)
    if tense == "past":
        return VerbGroup("", past(verb))
    return VerbGroup("", third_person(verb) if agreement == "third" else verb)


def with_auxiliary(subject: str, auxiliary: str, is_negative: bool, negation: str = "") -> str:
    """Join subject and auxiliary, contracted as in speech: I'm, she'll, they don't.

    Args:
        negation: marks of "not".
    """
    finite, marks = split_marks(auxiliary)
    if is_negative and finite != "am":
        stem = _NEGATIVES.get(finite, finite + "n't").removesuffix("n't")
        return f"{subject} {stem}{marks}n't{negation}"
    is_pronoun = plain(subject) in _PRONOUNS
    joined = f"{subject} {auxiliary}"
    if is_pronoun and finite in _CLITICS:
        joined = subject + _CLITICS[finite] + marks
    if is_pronoun and finite in ("have", "has"):
        joined = subject + ("'ve" if finite == "have" else "'s") + marks
    return f"{joined} {mark('not', negation)}" if is_negative else joined.rstrip()


def join(*parts: str) -> str:
    """Join parts with spaces; empty parts vanish."""
    return " ".join(part for part in parts if part)


def sentence(text: str, mark: str = ".") -> str:
    """Capitalise a sentence and end it with its mark."""
    return text[0].upper() + text[1:] + mark
