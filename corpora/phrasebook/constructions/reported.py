"""Reported thought and speech, and clauses side by side."""

from __future__ import annotations

from dataclasses import replace

from corpora.alignment import linked, parallel
from corpora.phrasebook import english, french
from corpora.phrasebook.clauses import Clause, ClauseMarks
from corpora.phrasebook.constructions.base import (
    Construction,
    Sentences,
    finish,
    maybe_negation,
    named_verb,
)
from corpora.phrasebook.constructions.feelings import pronoun_for, state
from corpora.phrasebook.sampler import Sampler

_ETRE = named_verb("être")

_THINKING = (
    ("je|pense|que", "I|think|that"),
    ("je|crois|que", "I|believe|that"),
    ("il|pense|que", "he|thinks|that"),
    ("elle|croit|que", "she|believes|that"),
    ("nous|savons|que", "we|know|that"),
    ("je|suis|sûr|que", "I|'m|sure|that"),
    ("j'|espère|que", "I|hope|that"),
    ("ils|croient|que", "they|believe|that"),
    ("tu|sais|que", "you|know|that"),
    ("Marie|dit|que", "Marie|says|that"),
    ("on|dit|que", "people|say|that"),
    ("le|médecin|pense|que", "the|doctor|thinks|that"),
)


def _that(sampler: Sampler) -> Sentences:
    sampler.adjective_rate = 0.1
    french_start, english_start = parallel(*sampler.choice(_THINKING))
    if sampler.chance(0.35):
        subject, adjective = sampler.described()
        form = adjective.agree(subject.gender, subject.is_plural)
        clause = Clause(subject, _ETRE, "present").with_tail(form, adjective.english)
    else:
        tense = sampler.choice(("past", "past", "future", "present"))
        negation = maybe_negation(sampler, 0.2)
        clause = sampler.clause(tense, "tttird", banned="k" if tense == "present" else "u")
        clause = replace(clause, negation=negation)
    return finish(f"{french_start} {clause.french()}", f"{english_start} {clause.english()}")


def _quoted(sampler: Sampler) -> Sentences:
    """Reported speech between guillemets."""
    speaker = sampler.choice((sampler.name(), sampler.person(can_be_plural=False).as_subject()))
    draw = sampler.rng.random()
    me = replace(sampler.pronoun("je"), gender=speaker.gender) if sampler.chance(0.6) else sampler.pronoun("nous")
    tense = sampler.choice(("present", "past", "future"))
    clause = replace(
        sampler.clause(tense, "tttir", banned="k" if tense == "present" else "u", subject=me),
        negation="",
    )
    if draw < 0.25:
        clause = state(sampler, me, "present")
    said = french.sentence(clause.french())
    meaning = english.sentence(clause.english())
    if draw < 0.6:
        tells, says = linked("dit", "says")
        text = french.spell(*f"{french.quoted(said.rstrip('.'))}, {tells} {speaker.french}.".split(" "))
        return text, f'"{meaning.rstrip(".")}," {says} {speaker.english}.'
    told, said_so = linked("a dit", "said")
    start = french.spell(*f"{speaker.french} {told}{french.NO_BREAK}:".split(" "))
    opening = start[0].upper() + start[1:]
    teller = speaker.english[0].upper() + speaker.english[1:]
    return f"{opening} {french.quoted(said)}", f'{teller} {said_so}, "{meaning}"'


def _coordination(sampler: Sampler) -> Sentences:
    sampler.adjective_rate = 0.1
    tense = sampler.choice(("past", "past", "future"))
    if sampler.chance(0.35):
        return _contrast(sampler, tense)
    first = sampler.clause(tense, "tttir", needed="h", banned="us", subject=sampler.subject())
    link, meaning = sampler.choice(((" et", " and"), (", puis", ", then")))
    same = link == ", puis" or sampler.chance(0.3)
    other = (
        (first.subject.again() if first.subject.is_pronoun else pronoun_for(sampler, first.subject))
        if same
        else sampler.another_name(first.subject)
    )
    second = sampler.clause(tense, "tttir", needed="h", banned="us", subject=other)
    return finish(f"{first.french()}{link} {second.french()}", f"{first.english()}{meaning} {second.english()}")


def _contrast(sampler: Sampler, tense: str) -> Sentences:
    """One person did it, the other did not."""
    first = sampler.clause(tense, "tttir", banned="us", subject=sampler.subject(), kinds=("definite", "demonstrative"))
    second = replace(
        first, subject=sampler.another_name(first.subject), negation="pas", object=None, marks=ClauseMarks.new()
    )
    if first.object:
        pronoun = "les" if first.object.is_plural else "la" if first.object.gender == "f" else "le"
        living = first.object.noun.has("person", "family")
        singular = "it" if not living else "her" if first.object.gender == "f" else "him"
        second = replace(
            second,
            clitics=pronoun,
            english_object="them" if first.object.english_plural else singular,
            agreement=(first.object.gender, first.object.is_plural),
        )
    return finish(f"{first.french()}, mais {second.french()}", f"{first.english()}, but {second.english()}")


CONSTRUCTIONS = (
    Construction("that", _that),
    Construction("quoted", _quoted, 0.8),
    Construction("coordination", _coordination, 0.8),
)
