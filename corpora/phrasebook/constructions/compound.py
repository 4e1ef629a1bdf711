"""Subordinate clauses: relatives, time, conditions, depuis."""

from __future__ import annotations

from dataclasses import replace

from corpora.alignment import linked, parallel
from corpora.phrasebook import english, french
from corpora.phrasebook.clauses import Clause
from corpora.phrasebook.constructions.base import (
    Construction,
    Sentences,
    finish,
    maybe_negation,
    named_verb,
    statement,
)
from corpora.phrasebook.constructions.feelings import state
from corpora.phrasebook.constructions.statements import childhood
from corpora.phrasebook.lexicon import Verb
from corpora.phrasebook.phrases import noun_phrase
from corpora.phrasebook.sampler import Sampler, adjectives_for, nouns_of, verbs_named, verbs_of_persons

_ETRE = named_verb("être")


def _relative_subject(sampler: Sampler) -> Sentences:
    """The woman who is reading …: qui."""
    sampler.adjective_rate = 0.1
    is_plural = sampler.chance(0.25)
    head = noun_phrase(sampler.noun("job", "=homme", "=femme", "=touriste", "=client", "=maire"), "definite", is_plural)
    who = replace(head.as_subject(), french="qui", english="who").again()
    clause = sampler.clause(sampler.choice(("present", "past")), "tttid", banned="ks", subject=who)
    if sampler.chance(0.5):
        adjective = sampler.human_adjective()
        form, shape = linked(adjective.agree(head.gender, is_plural), adjective.english)
        etre, be = linked("sont" if is_plural else "est", "are" if head.english_plural else "is")
        return finish(
            f"{head.raw} {clause.french()} {etre} {form}", f"{head.english()} {clause.english()} {be} {shape}"
        )
    verb = sampler.choice(verbs_of_persons())
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    outer = Clause(sampler.pronoun("je", "il", "elle", "nous", "ils"), verb, "present", head)
    return finish(f"{outer.french()} {clause.french()}", f"{outer.english()} {clause.english()}")


def _relative_object(sampler: Sampler) -> Sentences:
    """The dress that Marie bought: que, with agreement."""
    sampler.adjective_rate = 0.1
    verb = sampler.verb("t", banned="n")
    noun = sampler.graded_noun(*verb.classes) if any_graded(verb) else sampler.object_noun(verb)
    is_plural = noun.count == "c" and not noun.has("unique", "one") and sampler.chance(0.25)
    head = noun_phrase(noun, "definite", is_plural)
    maker = sampler.choice((sampler.name(), sampler.pronoun("je", "tu", "il", "elle", "nous", "vous", "ils", "elles")))
    tense = "past" if "k" in verb.flags or sampler.chance(0.7) else "present"
    clause = Clause(maker, verb, tense, agreement=(noun.gender, head.is_plural))
    sampler.note("verb-object", verb.lemma, noun.french)
    adjective = sampler.adjective(noun, is_predicate=True)
    outer = Clause(head.as_subject(), _ETRE, sampler.choice(("present", "imparfait")))
    word = "who" if noun.has("person", "family") else "that"
    that, word = linked("que", word)
    start = f"{head.raw} {that} {clause.french()}"
    meaning = f"{head.english()} {word} {clause.english()}"
    if adjective is None:
        return finish(f"voilà {start}", f"here is {meaning}")
    be_french = french.conjugate("être", outer.tense, outer.subject.person)
    be_english = english.verb_group(
        "be", "past" if outer.tense == "imparfait" else "simple", outer.subject.agreement, False
    )
    be_french, be = linked(be_french, be_english.auxiliary)
    form, shape = linked(adjective.agree(noun.gender, head.is_plural), adjective.english)
    return finish(f"{start} {be_french} {form}", f"{meaning} {be} {shape}")


def any_graded(verb: Verb) -> bool:
    """Return True if a gradable adjective describes some object of the verb."""
    return any(one.is_gradable for noun in nouns_of(verb.classes) for one in adjectives_for(noun, True))


def _when(sampler: Sampler) -> Sentences:
    """quand with the future in French and the present in English; childhood with the imparfait."""
    sampler.adjective_rate = 0.1
    if sampler.chance(0.25):
        clause = sampler.clause("imparfait", "ttir", needed="h", subject=sampler.pronoun())
        start, meaning = childhood(clause.subject)
        return finish(f"{start}, {clause.french()}", f"{meaning}, {clause.english()}")
    first = occasion(sampler, "future")
    now = replace(first, tense="present", is_habit=True)
    second = consequence(sampler)
    return finish(f"quand {first.french()}, {second.french()}", f"when {now.english()}, {second.english()}")


_OCCASIONS = (
    "arriver",
    "partir",
    "venir",
    "revenir",
    "sortir",
    "rentrer",
    "entrer",
    "téléphoner",
    "répondre",
    "appeler",
)


_ENDINGS = ("terminer", "réparer", "nettoyer", "ranger", "préparer", "lire", "trouver", "vendre")


def occasion(sampler: Sampler, tense: str) -> Clause:
    """Something that other things wait for: an arrival, the end of some work, hunger."""
    subject = sampler.subject()
    draw = sampler.rng.random()
    if draw < 0.2:
        return state(sampler, subject, tense)
    names = _OCCASIONS if draw < 0.65 else _ENDINGS
    verb = sampler.choice(verbs_named("ti", names))
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    direct = sampler.object_of(verb, subject, "definite", "definite", "demonstrative") if verb.frame == "t" else None
    return Clause(subject, verb, tense, direct)


_CONSEQUENCES = (
    "préparer",
    "manger",
    "dîner",
    "sortir",
    "partir",
    "appeler",
    "aider",
    "boire",
    "regarder",
    "visiter",
    "acheter",
    "rentrer",
    "cuisiner",
    "danser",
    "jouer",
    "se promener",
    "se reposer",
    "se coucher",
    "déjeuner",
    "raconter",
    "montrer",
    "expliquer",
    "donner",
    "envoyer",
    "prendre",
    "attendre",
    "inviter",
    "fermer",
    "ouvrir",
    "lire",
    "écouter",
    "nettoyer",
    "ranger",
    "laver",
    "apporter",
    "chanter",
    "revenir",
    "téléphoner",
    "parler",
)


def consequence(sampler: Sampler) -> Clause:
    """Return a clause of what somebody will do then: things that people do at home and together."""
    verb = sampler.choice(verbs_named("tirda", _CONSEQUENCES, "mf"))
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    subject = (
        sampler.subject("je", "tu", "il", "elle", "nous", "vous", "on", "ils")
        if sampler.chance(0.7)
        else sampler.name()
    )
    clause = Clause(subject, verb, "future")
    if verb.frame in "td":
        clause = replace(clause, object=sampler.object_of(verb, subject))
    if verb.frame in "da":
        clause = clause.with_tail(*sampler.recipient(verb, "to " if verb.frame == "d" else ""))
    return clause


_WEATHER_IFS = (
    ("s'|il|pleut", "if|it|rains"),
    ("s'|il|neige", "if|it|snows"),
    ("s'|il fait|beau", "if|the weather is|nice"),
    ("s'|il|fait|froid", "if|it|'s|cold"),
    ("s'|il|fait|trop|chaud", "if|it|'s|too|hot"),
    ("si|le|train|est|en retard", "if|the|train|is|late"),
)


def _if(sampler: Sampler) -> Sentences:
    sampler.adjective_rate = 0.1
    negation = maybe_negation(sampler, 0.1)
    result = replace(consequence(sampler), negation=negation)
    if sampler.chance(0.3):
        start, meaning = parallel(*sampler.choice(_WEATHER_IFS))
    else:
        condition = replace(occasion(sampler, "present"), is_habit=True)
        start, meaning = f"si {condition.french()}", f"if {condition.english()}"
    return finish(f"{start}, {result.french()}", f"{meaning}, {result.english()}")


_LASTING = (
    "lire",
    "regarder",
    "écouter",
    "attendre",
    "chercher",
    "réparer",
    "nettoyer",
    "dormir",
    "travailler",
    "marcher",
    "nager",
    "danser",
    "chanter",
    "pleurer",
    "jouer",
    "étudier",
    "courir",
    "ranger",
    "suivre",
    "bavarder",
    "réfléchir",
    "peindre",
)


def _since(sampler: Sampler) -> Sentences:
    """depuis with the French present, has been …ing in English."""
    subject = sampler.subject()
    draw = sampler.rng.random()
    if draw < 0.25:
        place = sampler.choice(sampler.lexicon.places)
        name = place.french if place.preposition == "à" else place.french.split(" ")[-1].removeprefix("l'")
        clause = Clause(subject, replace(named_verb("habiter", "l"), flags=""), "since")
        name, english_name = linked(name, place.english)
        clause = clause.with_tail(f"{place.preposition} {name}", f"in {english_name}")
        slot = "long since"
    elif draw < 0.4:
        friend = sampler.name()
        clause = Clause(subject, named_verb("connaître", "t"), "since").with_tail(friend.french, friend.english)
        slot = "long since"
    elif draw < 0.65:
        verb = sampler.choice(verbs_named("t", ("étudier", "apprendre", "enseigner")))
        noun = sampler.noun("tongue", "subject" if verb.french != "apprendre" else "tongue", "instrument")
        noun = noun if noun.has(*verb.classes) else sampler.noun("tongue")
        sampler.note("verb-object", verb.lemma, noun.french)
        clause = Clause(subject, verb, "since", sampler.thing(noun, subject))
        slot = "long since"
    else:
        verb = sampler.choice(verbs_named("ti", _LASTING, "e"))
        sampler.note("construction-verb", sampler.construction, verb.lemma)
        direct = sampler.object_of(verb, subject, "definite", "demonstrative") if verb.frame == "t" else None
        clause = Clause(subject, verb, "since", direct)
        slot = "since"
    adverbial = sampler.adverbial(slot)
    return statement(clause.with_tail(adverbial.french, adverbial.english))


CONSTRUCTIONS = (
    Construction("relative_subject", _relative_subject),
    Construction("relative_object", _relative_object),
    Construction("when", _when, 0.9),
    Construction("if", _if, 0.9),
    Construction("since", _since, 0.8),
)
