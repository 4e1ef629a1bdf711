"""Plain statements: tenses, negation, reflexives, orders."""

from __future__ import annotations

from dataclasses import replace

from corpora.alignment import linked, mark, new_mark, parallel, plain
from corpora.phrasebook import english, french
from corpora.phrasebook.clauses import GOING_TO, Clause
from corpora.phrasebook.constructions.base import (
    Construction,
    Sentences,
    finish,
    maybe_negation,
    statement,
    time_slot,
    timed,
)
from corpora.phrasebook.lexicon import load_lexicon
from corpora.phrasebook.phrases import PRONOUNS, Subject
from corpora.phrasebook.sampler import Sampler, verbs_named

# Verbs after which "rien" and "que ?" are at home.
OPEN_OBJECTS = (
    "manger",
    "boire",
    "lire",
    "regarder",
    "écouter",
    "comprendre",
    "trouver",
    "chercher",
    "voir",
    "entendre",
    "acheter",
    "vendre",
    "écrire",
    "préparer",
    "perdre",
    "oublier",
    "casser",
    "voler",
    "choisir",
    "accepter",
    "refuser",
    "apprendre",
    "recevoir",
    "apporter",
    "dessiner",
    "expliquer",
    "payer",
    "cacher",
    "garder",
    "commander",
    "découvrir",
    "envoyer",
    "jeter",
    "réparer",
    "cuisiner",
    "étudier",
    "emprunter",
)


def _present(sampler: Sampler) -> Sentences:
    clause = sampler.clause("present", "tttiid", banned="k")
    return timed(sampler, clause, "now") if sampler.chance(0.25) else statement(clause)


def _habit(sampler: Sampler) -> Sentences:
    sampler.repeat()
    clause = replace(sampler.clause("present", "tttiir", needed="h"), is_habit=True)
    return timed(sampler, clause, "habit")


def _frequency(sampler: Sampler) -> Sentences:
    sampler.repeat()
    adverb = sampler.adverbial("frequency")
    clause = sampler.clause("present", "tttiira", needed="h")
    return statement(replace(clause, frequency=(adverb.french, adverb.english), is_habit=True))


def _negation(sampler: Sampler) -> Sentences:
    sampler.deny()
    clause = sampler.clause("present", "tttia", banned="k")
    return statement(replace(clause, negation="pas"))


def _never_anymore(sampler: Sampler) -> Sentences:
    sampler.deny()
    clause = sampler.clause("present", "tttiir", needed="h")
    return statement(replace(clause, negation=sampler.choice(("jamais", "plus"))))


def _nothing(sampler: Sampler) -> Sentences:
    tense = sampler.choice(("present", "past", "past", "future"))
    verb = sampler.choice(verbs_named("td", OPEN_OBJECTS, {"present": "k", "future": "u"}.get(tense, "n")))
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    clause = Clause(sampler.subject(), verb, tense, negation="rien")
    if tense == "present" and sampler.chance(0.4):
        clause = replace(clause, governor=GOING_TO)
    if tense == "present" or sampler.chance(0.5):
        return statement(clause)
    return timed(sampler, clause, tense)


def _past(sampler: Sampler) -> Sentences:
    clause = sampler.clause("past", "tttttvddai", banned="e")
    if sampler.chance(0.2):
        return statement(clause)
    return timed(sampler, clause, time_slot(clause))


def _past_with_etre(sampler: Sampler) -> Sentences:
    negation = maybe_negation(sampler)
    clause = replace(sampler.clause("past", "i", needed="e"), negation=negation)
    if sampler.chance(0.3):
        return statement(clause)
    return timed(sampler, clause, time_slot(clause))


def _past_negative(sampler: Sampler) -> Sentences:
    sampler.deny()
    clause = sampler.clause("past", "ttttiar")
    return statement(replace(clause, negation=sampler.choice(("pas", "pas", "jamais"))))


def _already_yet(sampler: Sampler) -> Sentences:
    if sampler.chance(0.5):
        return statement(replace(sampler.clause("past", "tttird"), frequency=("déjà", "already")))
    sampler.deny()
    return statement(replace(sampler.clause("past", "tttird"), negation="pas encore"))


def childhood(subject: Subject) -> Sentences:
    """ "quand il était petit", with whoever is meant."""
    size = ("petites" if subject.gender == "f" else "petits") if subject.is_plural else "petit"
    size = "petite" if size == "petit" and subject.gender == "f" else size
    be, was = linked(french.imparfait("être")[subject.person], "were" if subject.agreement == "plural" else "was")
    when, meaning = linked("quand", "when")
    size, little = linked(size, "little")
    again = subject.again()
    return f"{when} {again.french} {be} {size}", f"{meaning} {again.english} {was} {little}"


def _imparfait(sampler: Sampler) -> Sentences:
    sampler.repeat()
    clause = sampler.clause("imparfait", "tttiir", needed="h", banned="k")
    if clause.subject.is_pronoun and sampler.chance(0.5):
        return statement(clause.with_tail(*childhood(clause.subject)))
    return timed(sampler, clause, sampler.choice(("formerly", "formerly", "habit")))


def _background(sampler: Sampler) -> Sentences:
    clause = sampler.clause("background", "tttiir", banned="ksleu")
    if sampler.chance(0.4):
        french_event, english_event = parallel(*sampler.choice(_EVENTS))
    else:
        verb = sampler.choice(_INTERRUPTING)
        sampler.note("construction-verb", "interruption", verb.lemma)
        witness = sampler.subject()
        # Nobody interrupts himself.
        if witness.is_named(plain(clause.subject.french)):
            witness = sampler.another_name(clause.subject)
        event = Clause(witness, verb, "past")
        french_event, english_event = event.french(), event.english()
    return finish(f"{clause.french()} quand {french_event}", f"{clause.english()} when {english_event}")


_INTERRUPTING = tuple(
    verb
    for verb in load_lexicon().verbs
    if verb.frame == "i" and verb.french in ("arriver", "entrer", "tomber", "revenir", "crier", "éternuer")
)
_EVENTS = (
    ("le|téléphone|a sonné", "the|phone|rang"),
    ("la|lumière|s'est éteinte", "the|light|went out"),
    ("quelqu'un|a frappé|à|la|porte", "someone|knocked|on|the|door"),
    ("il|a commencé|à|pleuvoir", "it|started|to|rain"),
    ("le|bébé|s'est réveillé", "the|baby|woke up"),
    ("le|train|est arrivé", "the|train|arrived"),
    ("le|chien|a aboyé", "the|dog|barked"),
    ("on|a entendu|un|cri", "we|heard|a|scream"),
)


def _while(sampler: Sampler) -> Sentences:
    first = sampler.clause("background", "tttir", banned="ksleu")
    second = sampler.clause("background", "tttir", banned="ksleu", subject=sampler.another_name(first.subject))
    joint = f"{first.french()} pendant que {second.french()}"
    return finish(joint, f"{first.english()} while {second.english()}")


def _future(sampler: Sampler) -> Sentences:
    negation = maybe_negation(sampler, 0.15)
    clause = replace(sampler.clause("future", "ttttiidr", banned="u"), negation=negation)
    return timed(sampler, clause, time_slot(clause))


def _near_future(sampler: Sampler) -> Sentences:
    negation = maybe_negation(sampler, 0.15)
    clause = replace(sampler.clause("present", "ttttiidr", banned="u"), governor=GOING_TO, negation=negation)
    if sampler.chance(0.5):
        return statement(clause)
    return timed(sampler, clause, time_slot(clause))


def _reflexive(sampler: Sampler) -> Sentences:
    tense = sampler.choice(("present", "future", "present"))
    clause = replace(
        sampler.clause(tense, "r", banned="u" if tense == "future" else ""), negation=maybe_negation(sampler, 0.25)
    )
    if tense == "present":
        clause = replace(clause, is_habit=True)
        if "w" in clause.verb.flags:
            hour = sampler.adverbial("hour")
            return statement(clause.with_tail(hour.french, hour.english))
        return timed(sampler, clause, "habit") if "h" in clause.verb.flags else statement(_modal(sampler, clause))
    return timed(sampler, clause, time_slot(clause))


def _modal(sampler: Sampler, clause: Clause) -> Clause:
    governor = sampler.choice((GOING_TO, *load_lexicon().governors[:3]))
    return replace(clause, governor=governor, negation="" if "p" in governor.flags else clause.negation)


def _reflexive_past(sampler: Sampler) -> Sentences:
    clause = replace(sampler.clause("past", "r"), negation=maybe_negation(sampler, 0.25))
    if sampler.chance(0.25):
        return statement(clause)
    return timed(sampler, clause, time_slot(clause))


_ORDERED = (PRONOUNS[2], PRONOUNS[7], PRONOUNS[9], PRONOUNS[10])  # tu, nous, vous (one or several)


def _imperative(sampler: Sampler) -> Sentences:
    subject = sampler.choice(_ORDERED)
    is_negative = maybe_negation(sampler, 0.35) == "pas"
    verb = sampler.verb(sampler.choice("ttttr"), banned="kslmfu")
    kinds = ("definite", "definite", "demonstrative") if sampler.chance(0.7) else ()
    direct = sampler.object_of(verb, subject, *kinds) if verb.frame == "t" else None
    verb_mark, not_mark = new_mark(), new_mark()
    form = french.imperative(verb.french, subject.person)
    base = mark(subject.fill(verb.english.replace("~", " ")), verb_mark)
    reflexive = mark(french.REFLEXIVES[subject.person] if verb.is_reflexive else "", verb_mark)
    lets = mark("let's", verb_mark)
    if is_negative:
        no, part = mark("ne", not_mark), mark("pas", not_mark)
        words = french.spell(no, reflexive, mark(form, verb_mark), part, direct.negated() if direct else "")
        do_not = f"do{verb_mark}n't{not_mark}"
        order = f"{lets} {mark('not', not_mark)} {base}" if subject.person == 3 else f"{do_not} {base}"
    else:
        attached = f"-{french.STRESSED_REFLEXIVES[subject.person]}" if verb.is_reflexive else ""
        words = french.spell(mark(form + attached, verb_mark), direct.raw if direct else "")
        order = f"{lets} {base}" if subject.person == 3 else base
    order = english.join(order, direct.english("any" if is_negative else "some") if direct else "")
    if subject.person == 3 or sampler.chance(0.6):
        return finish(words, order, "!")
    please = "s'il te plaît" if subject.person == 1 else "s'il vous plaît"
    return finish(f"{words}, {please}", f"{order}, please")


CONSTRUCTIONS = (
    Construction("present", _present, 1.3),
    Construction("habit", _habit),
    Construction("frequency", _frequency, 0.8),
    Construction("negation", _negation),
    Construction("never_anymore", _never_anymore, 0.8),
    Construction("nothing", _nothing, 0.7),
    Construction("past", _past, 1.8),
    Construction("past_with_etre", _past_with_etre, 0.7),
    Construction("past_negative", _past_negative),
    Construction("already_yet", _already_yet, 0.8),
    Construction("imparfait", _imparfait),
    Construction("background", _background),
    Construction("while", _while, 0.6),
    Construction("future", _future, 1.3),
    Construction("near_future", _near_future),
    Construction("reflexive", _reflexive, 0.8),
    Construction("reflexive_past", _reflexive_past, 0.6),
    Construction("imperative", _imperative, 0.9),
)
