"""Infinitives: after modal and other verbs, after il faut, after prepositions."""

from __future__ import annotations

from dataclasses import replace

from corpora.alignment import linked, mark
from corpora.phrasebook import english, french
from corpora.phrasebook.clauses import Clause
from corpora.phrasebook.constructions.base import (
    Construction,
    Sentences,
    finish,
    maybe_negation,
    named_verb,
    statement,
    timed,
)
from corpora.phrasebook.sampler import Sampler, verbs_named, verbs_of


def _modal(sampler: Sampler) -> Sentences:
    """vouloir, pouvoir, devoir + infinitive."""
    governor = sampler.choice(sampler.lexicon.governors[:3])
    tense = sampler.choice(("present", "present", "imparfait", "future"))
    # "Il ne doit pas" forbids, which "he doesn't have to" would not say.
    negation = "" if "p" in governor.flags else maybe_negation(sampler, 0.25)
    clause = sampler.clause("present", "tttirda", banned="u", subject=sampler.subject())
    sampler.note("governor-verb", governor.french, clause.verb.lemma)
    clause = replace(clause, tense=tense, negation=negation, governor=governor)
    if tense != "imparfait" and sampler.chance(0.4):
        return timed(sampler, clause, "future")
    return statement(clause)


def _infinitive(sampler: Sampler) -> Sentences:
    """Other verbs with an infinitive, with de, à or nothing."""
    negation = maybe_negation(sampler, 0.15)
    clause = sampler.clause("present", "tttirda", banned="ue", subject=sampler.subject())
    governor = sampler.governor(clause.verb, banned="m")
    allowed = ["present", "present"] if "k" not in governor.flags else []
    allowed += ["past", "past"] if "s" not in governor.flags else ["imparfait"]
    allowed += [] if "j" in governor.flags else ["future"]
    tense = "present" if "j" in governor.flags else sampler.choice(allowed)
    negation = "" if {"j", "p"} & set(governor.flags) else negation
    return statement(replace(clause, tense=tense, governor=governor, negation=negation))


def _must(sampler: Sampler) -> Sentences:
    """il faut: nobody in particular, you in English."""
    french_start, english_start, is_negative = sampler.choice(
        (
            ("il faut", "you have to", False),
            ("il faut", "you have to", False),
            ("il ne faut pas", "you must not", True),
            ("il faudra", "you will have to", False),
            ("il fallait", "you had to", False),
        )
    )
    if is_negative:
        sampler.deny()
    clause = sampler.clause("present", "ttttia", banned="uske", subject=sampler.pronoun("vous"))
    words, meaning = infinitive(clause, is_negative)
    return finish(f"{french_start} {words}", f"{english_start} {meaning}")


def infinitive(clause: Clause, is_negative: bool = False) -> Sentences:
    """The predicate of a clause in the infinitive, in both languages."""
    direct = clause.object
    raw = "" if direct is None else direct.negated() if is_negative else direct.raw
    meaning = "" if direct is None else direct.english("any" if is_negative else "some")
    main = clause.marks.main
    reflexive = mark(french.REFLEXIVES[clause.subject.person] if clause.verb.is_reflexive else "", main)
    words = " ".join(filter(None, (reflexive, mark(clause.verb.french, main), raw, clause.french_tail)))
    base = mark(clause.subject.fill(clause.verb.english.replace("~", " ")), main)
    return words, english.join(base, meaning, clause.english_tail)


def _purpose(sampler: Sampler) -> Sentences:
    """pour, avant de, sans and après + infinitive."""
    sampler.adjective_rate = 0.1
    draw = sampler.rng.random()
    if draw < 0.4:
        place = sampler.choice(_ERRANDS)
        verb = sampler.choice(verbs_named("t", place[2]))
        subject = sampler.subject()
        errand = Clause(subject, verb, object=sampler.object_of(verb, subject, "indefinite"))
        words, meaning = infinitive(errand)
        went = Clause(subject, named_verb("aller", "m"), sampler.choice(("past", "future"))).with_tail(
            place[0], place[1]
        )
        return finish(f"{went.french()} pour {words}", f"{went.english()} to {meaning}")
    if draw < 0.8:
        first = sampler.clause(sampler.choice(("past", "future")), "ttir", needed="h", banned="us")
        french_end, english_end = linked(*sampler.choice(_BEFORE))
        return statement(first.with_tail(f"avant de {french_end}", f"before {english_end}"))
    first = Clause(sampler.subject(), sampler.choice(_WITHOUT_VERBS), "past")
    sampler.note("construction-verb", sampler.construction, first.verb.lemma)
    french_end, english_end = linked(*sampler.choice(_WITHOUT))
    return statement(first.with_tail(f"sans {french_end}", f"without {english_end}"))


_BEFORE = (
    ("partir", "leaving"),
    ("sortir", "going out"),
    ("dormir", "sleeping"),
    ("dîner", "having dinner"),
    ("rentrer", "going home"),
    ("travailler", "working"),
    ("prendre une décision", "making a decision"),
    ("aller au lit", "going to bed"),
    ("regarder la télévision", "watching television"),
    ("prendre le train", "taking the train"),
    ("quitter la maison", "leaving the house"),
    ("boire un café", "drinking a coffee"),
)


_WITHOUT_VERBS = tuple(
    verb
    for verb in verbs_of("i", "", "")
    if verb.french
    in ("partir", "entrer", "sortir", "travailler", "courir", "répondre", "rire", "revenir", "rentrer", "marcher")
)


_WITHOUT = (
    ("dire au revoir", "saying goodbye"),
    ("faire de bruit", "making any noise"),
    ("attendre", "waiting"),
    ("réfléchir", "thinking"),
    ("frapper à la porte", "knocking on the door"),
    ("regarder l'heure", "checking the time"),
    ("dire un mot", "saying a word"),
    ("fermer la porte", "closing the door"),
    ("demander la permission", "asking for permission"),
    ("manger", "eating"),
    ("prendre de parapluie", "taking an umbrella"),
    ("regarder derrière", "looking back"),
)


_ERRANDS = (
    ("au supermarché", "to the supermarket", ("acheter",)),
    ("à la bibliothèque", "to the library", ("lire", "étudier")),
    ("au marché", "to the market", ("acheter", "vendre")),
    ("en ville", "downtown", ("acheter", "voir")),
    ("au restaurant", "to the restaurant", ("manger",)),
    ("à la gare", "to the station", ("attendre",)),
    ("au musée", "to the museum", ("photographier", "admirer")),
    ("au café", "to the café", ("boire",)),
    ("dans le jardin", "into the garden", ("planter", "cueillir", "arroser", "peindre")),
)


CONSTRUCTIONS = (
    Construction("modal", _modal, 1.2),
    Construction("infinitive", _infinitive, 1.3),
    Construction("must", _must, 0.8),
    Construction("purpose", _purpose, 0.8),
)
