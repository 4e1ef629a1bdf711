"""Bodies and states of mind: pain, hunger, fear, needs, and what people do because of them."""

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
from corpora.phrasebook.lexicon import Verb
from corpora.phrasebook.phrases import Subject, noun_phrase
from corpora.phrasebook.sampler import Sampler, verbs_named
from corpora.tables import read_table


def _body(sampler: Sampler) -> Sentences:
    """avoir mal à; washing and breaking with the definite article in French."""
    # One person at a time: "elles ont mal au ventre" is several stomachs in English and one in French.
    subject = sampler.pronoun("je", "tu", "il", "elle") if sampler.chance(0.5) else sampler.name()
    if sampler.chance(0.3):
        subject = sampler.person(can_be_plural=False).as_subject()
    noun = sampler.noun("body")
    draw = sampler.rng.random()
    is_plural = noun.french not in ("tête", "ventre", "dos", "gorge", "cou") and sampler.chance(0.4)
    phrase = noun_phrase(noun, "definite", is_plural)
    sampler.note("construction-noun", sampler.construction, noun.french)
    if draw < 0.7:
        tense = sampler.choice(("present", "present", "imparfait"))
        owner = mark(subject.english_possessive, subject.mark) if subject.is_pronoun else f"{subject.english}'s"
        part = Subject(
            "", f"{owner} {phrase.english_body}", 2, "m", False, "plural" if is_plural else "third", 2, "his", False
        )
        negation = maybe_negation(sampler, 0.15)
        felt = Clause(part, Verb("avoir", "hurt", "x", (), "s", False), tense, negation=negation)
        tail = f"{mark('mal', felt.marks.main)} {french.with_a(phrase.raw)}"
        said = Clause(subject, named_verb("avoir"), tense, negation=negation, marks=felt.marks).with_tail(tail, "")
        return finish(said.french(), felt.english())
    french_verb, meaning, nouns = sampler.choice(_INJURIES)
    noun = sampler.choice([one for one in sampler.lexicon.nouns if one.french in nouns])
    hurt = noun_phrase(noun, "definite")
    injured = f"{mark(_OWN, hurt.determiner_mark)} {mark(noun.english, hurt.mark)}"
    verb = Verb(french_verb, f"{meaning} {injured}", "r", (), "", True)
    # The participle does not agree: the reflexive pronoun is an indirect object here.
    bare = replace(subject, gender="m", is_plural=False)
    clause = Clause(bare, verb, "past", negation=maybe_negation(sampler, 0.15)).with_tail(hurt.raw, "")
    return timed(sampler, clause, "past") if sampler.chance(0.4) else statement(clause)


_OWN = "one's"  # becomes the subject's possessive
_INJURIES = (
    ("casser", "break", ("bras", "jambe", "cheville", "doigt", "pied")),
    ("brûler", "burn", ("main", "doigt", "bras")),
    ("blesser", "hurt", ("genou", "épaule", "dos", "pied", "main")),
    ("couper", "cut", ("doigt", "main")),
    ("fouler", "sprain", ("cheville",)),
)


_SENSATIONS = (
    ("faim", "hungry", True),
    ("soif", "thirsty", True),
    ("froid", "cold", True),
    ("chaud", "hot", True),
    ("sommeil", "sleepy", True),
    ("peur", "afraid", True),
    ("honte", "ashamed", True),
    ("raison", "right", False),
    ("tort", "wrong", False),
    ("de la chance", "lucky", False),
    ("mal au cœur", "nauseous", False),
    ("le vertige", "dizzy", False),
)


def _sensation(sampler: Sampler) -> Sentences:
    """avoir faim, avoir besoin de, avoir peur de: be hungry, need, be afraid of."""
    subject = sampler.subject()
    tense = sampler.choice(("present", "present", "imparfait", "future"))
    negation = maybe_negation(sampler, 0.2)
    if sampler.chance(0.4):
        sensation, meaning, is_gradable = sampler.choice(_SENSATIONS)
        degree = sampler.choice((("", ""), ("très", "very"))) if is_gradable else ("", "")
        named = sensation.replace("de la", "de") if negation else sensation
        clause = Clause(subject, Verb("avoir", "be", "x", (), "s", False), tense, negation=negation)
        very, english_very = linked(*degree)
        named, meaning = linked(named, meaning)
        clause = clause.with_tail(f"{very} {named}".strip(), english.join(english_very, meaning))
        if tense == "present" and not negation and not degree[0] and subject.is_pronoun and sampler.chance(0.3):
            return finish(f"est-ce que {clause.french()}", clause.english_question(), "?")
        return statement(clause)
    word, meaning, groups = sampler.choice(
        (
            (
                "besoin",
                "need",
                ("portable", "tool", "clothing", "device", "=médicament", "=conseil", "linen", "staple"),
            ),
            ("envie", "want", ("dish", "fruit", "drink", "snack")),
            ("peur", "be afraid of", ("wild", "insect", "=chien", "=cheval", "=souris", "=médecin", "=dentiste")),
        )
    )
    noun = sampler.noun(*groups)
    sampler.note("verb-object", f"avoir {word}", noun.french)
    if word == "peur":
        phrase = noun_phrase(noun, "generic", not noun.has("job"))
        phrase = phrase if not noun.has("job") else noun_phrase(noun, "definite")
        tail = f"peur {french.with_de(phrase.raw)}"
    else:
        phrase = noun_phrase(noun, "indefinite", noun.has("pair"))
        is_bare = phrase.is_plural or noun.count == "m"
        tail = f"{word} de {phrase.body}" if is_bare else f"{word} de {phrase.raw}"
    verb = Verb("avoir", meaning, "x", (), "s", False)
    clause = Clause(subject, verb, tense, negation=negation)
    tail = mark(tail, clause.marks.main)
    return statement(clause.with_tail(tail, phrase.english("any" if negation else "some")))


# A state, what one does in it, and what one does not do.
_STATES = tuple(
    (verb, tail, meaning, tuple(does.split(",")), tuple(avoids.split(",")))
    for verb, tail, meaning, does, avoids in read_table("phrasebook", "states")
)


def state(sampler: Sampler, subject: Subject, tense: str, index: int | None = None) -> Clause:
    """Somebody is hungry, sick, late …"""
    verb, tail, meaning, _, _ = sampler.choice(_STATES) if index is None else _STATES[index]
    mood = Verb(verb, meaning, "x", (), "s", False)
    form = french.plural(tail) if subject.is_plural and tail in ("malade", "triste") else tail
    clause = Clause(subject, mood, tense)
    return replace(clause, french_tail=mark(form, clause.marks.main))


def _because(sampler: Sampler) -> Sentences:
    sampler.adjective_rate = 0.1
    index = sampler.rng.randrange(len(_STATES))
    negation = maybe_negation(sampler, 0.6)
    lemmas = _STATES[index][4 if negation else 3]
    # "s'endormir" stands in the table as people say it; a reflexive lemma is "se endormir".
    lemmas = tuple(lemma.replace("s'", "se ") for lemma in lemmas)
    verb = sampler.choice(verbs_named("tir", lemmas, "mfn"))
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    subject = sampler.subject()
    direct = sampler.object_of(verb, subject) if verb.frame == "t" else None
    clause = Clause(subject, verb, "past", direct, negation=negation)
    again = subject.again() if subject.is_pronoun else pronoun_for(sampler, subject)
    reason = state(sampler, again, "imparfait", index)
    return finish(f"{clause.french()} parce que {reason.french()}", f"{clause.english()} because {reason.english()}")


def pronoun_for(sampler: Sampler, subject: Subject) -> Subject:
    form = ("elle" if subject.gender == "f" else "il") + ("s" if subject.is_plural else "")
    return sampler.pronoun(form)


CONSTRUCTIONS = (
    Construction("body", _body, 0.7),
    Construction("sensation", _sensation, 0.9),
    Construction("because", _because),
)
