"""Pairs from the words of the lexicon: each alone, with articles, and in small frames."""

from __future__ import annotations

import random
from pathlib import Path

from corpora.everyday.adjectives import feminine, framed_person, framed_thing
from corpora.everyday.frames import Pair
from corpora.everyday.nouns import Noun, abstract_forms, framed_noun, parse_noun, plural_forms, singular_forms
from corpora.everyday.phrases import THEMES, courtesies, phrases
from corpora.everyday.slots import LANGUAGES
from corpora.everyday.styles import in_word_style
from corpora.phrasebook.french import spell, with_a, with_de
from corpora.tables import read_table

NOUN_TABLES = tuple(
    f"nouns/{path.stem}" for path in sorted((Path(__file__).parent / "lexicon" / "words" / "nouns").glob("*.tsv"))
)
OTHER_TABLES = ("adverbs", "calendar", "grammar")
ADJECTIVE_FRAMES = {"adjectives": framed_thing, "adjectives-of-people": framed_person, "nationalities": framed_person}
_FRAMES_PER_WORD = 3


def words(table: str) -> list[Pair]:
    """Return the rows of a table of words, such as `nouns/food` or `verbs`."""
    return [(french, english) for french, english in read_table("everyday", f"words/{table}")]


def word_pairs(draw: random.Random) -> list[Pair]:
    """Return the distinct pairs of all words. Each form stands alone, as it is and in a random style, and in frames."""
    nouns = [(table, parse_noun(*row)) for table in NOUN_TABLES for row in words(table)]
    alone = [pair for table, noun in nouns for pair in _singular_forms(table, noun)]
    grammar = {pair for table in OTHER_TABLES for pair in words(table)}
    alone += [pair for table in OTHER_TABLES for pair in words(table)]
    alone += [(infinitive, f"to {english}") for infinitive, english in words("verbs")]
    for table in ADJECTIVE_FRAMES:
        alone += [(form, english) for adjective, english in words(table) for form in (adjective, feminine(adjective))]
    for country, english in words("countries"):
        alone += [(country, english), (_without_article(country), english)]
    alone += [(spell("le", word), english) for word, english in LANGUAGES]
    alone += [pair for _, noun in nouns for pair in plural_forms(noun)]
    # One translation for each form: "fils" is the son, and not the plural of "fil".
    translations: dict[str, str] = {}
    for french, english in alone:
        translations.setdefault(french, english)
    listed = _listed_phrases()
    bare = {pair: None for pair in translations.items() if pair in grammar or pair[0] not in listed}
    styled = [in_word_style(draw, *pair) for pair in bare if pair[0] not in listed]
    framed = [pair for pair in _framed(draw, nouns) if pair[0].rstrip(" .?!").casefold() not in listed]
    return list(dict.fromkeys([*bare, *styled, *framed]))


def _listed_phrases() -> set[str]:
    """Return the French of the phrases, which decide how a word that is one of them is translated: Envoyer, Send.

    Questions are not among them: "pourquoi" is "why" without a mark.
    """
    rows = [*courtesies(), *(pair for theme in THEMES for pair in phrases(theme))]
    return {french.casefold() for french, english in rows if not english.endswith("?")}


def _singular_forms(table: str, noun: Noun) -> list[Pair]:
    return abstract_forms(noun) if table == "nouns/abstract" and noun.count == "some" else singular_forms(noun)


def _framed(draw: random.Random, nouns: list[tuple[str, Noun]]) -> list[Pair]:
    """Return words in small sentences and phrases."""
    pairs: list[Pair] = []
    for table, noun in nouns:
        if table != "nouns/abstract" or noun.count != "some":
            pairs += [framed_noun(draw, noun) for _ in range(_FRAMES_PER_WORD)]
        if table == "nouns/food" and noun.count == "some":
            pairs.append((f"Je voudrais {noun.some}.", f"I would like some {noun.english}."))
        if table == "nouns/jobs":
            pairs.append(_framed_job(draw, noun))
    for table, frame in ADJECTIVE_FRAMES.items():
        pairs += [frame(draw, *row) for row in words(table) for _ in range(_FRAMES_PER_WORD)]
    pairs += [_framed_verb(draw, *row) for row in words("verbs") for _ in range(_FRAMES_PER_WORD)]
    pairs += [_framed_country(draw, *row) for row in words("countries") for _ in range(_FRAMES_PER_WORD)]
    for language, english in LANGUAGES:
        pairs += [(f"en {language}", f"in {english}"), (f"Je parle {language}.", f"I speak {english}.")]
    return [_with_or_without_mark(draw, *pair) for pair in pairs]


def _with_or_without_mark(draw: random.Random, french: str, english: str) -> Pair:
    if draw.random() < 0.15 and french.endswith("."):
        return french.removesuffix("."), english.removesuffix(".")
    return french, english


def _framed_job(draw: random.Random, noun: Noun) -> Pair:
    french_pronoun, english_pronoun = draw.choice(
        (("Je suis", "I'm"), ("Il est", "He is") if noun.gender == "m" else ("Elle est", "She is"))
    )
    return f"{french_pronoun} {noun.french}.", f"{english_pronoun} {noun.a}."


def _framed_verb(draw: random.Random, infinitive: str, english: str) -> Pair:
    if infinitive.startswith(("se ", "s'")):
        return draw.choice(
            (
                (f"Il va {infinitive}.", f"He is going to {english}."),
                (f"Elle veut {infinitive}.", f"She wants to {english}."),
                (f"pour {infinitive}", f"to {english}"),
            )
        )
    return draw.choice(
        (
            (f"Je vais {infinitive}.", f"I'm going to {english}."),
            (f"Je veux {infinitive}.", f"I want to {english}."),
            (f"Il faut {infinitive}.", f"You have to {english}."),
            (f"Ne pas {infinitive}", f"Do not {english}"),
            (f"pour {infinitive}", f"to {english}"),
            (spell("commencer", "à", infinitive), f"to start to {english}"),
        )
    )


def _without_article(country: str) -> str:
    return country.removeprefix("l'").removeprefix("le ").removeprefix("la ").removeprefix("les ")


def _framed_country(draw: random.Random, country: str, english: str) -> Pair:
    bare = _without_article(country)
    if country.startswith(("la ", "l'")):
        there = f"en {bare}"
        from_there = f"d'{bare}" if country.startswith("l'") else f"de {bare}"
    else:
        there, from_there = with_a(country), with_de(country)
    return draw.choice(
        (
            (f"J'habite {there}.", f"I live in {english}."),
            (f"Je viens {from_there}.", f"I come from {english}."),
            (f"Elle habite {there}.", f"She lives in {english}."),
            (f"Nous allons {there}.", f"We're going to {english}."),
            (there, f"in {english}"),
            (f"Vive {country} !", f"Long live {english}!"),
        )
    )
