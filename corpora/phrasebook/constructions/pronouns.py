"""Clitic pronouns: le, la, les, lui, leur, me, te, nous, vous, y, en, and agreement with them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from corpora.alignment import linked, mark
from corpora.phrasebook import french
from corpora.phrasebook.clauses import GOING_TO, Clause
from corpora.phrasebook.constructions.base import (
    Construction,
    Sentences,
    finish,
    maybe_negation,
    named_verb,
    statement,
    time_slot,
)
from corpora.phrasebook.constructions.situations import comparison
from corpora.phrasebook.lexicon import Verb, load_lexicon
from corpora.phrasebook.numbers import english_number, french_number
from corpora.phrasebook.phrases import Subject, noun_phrase
from corpora.phrasebook.sampler import Sampler, nouns_of, verbs_named, verbs_of

_LIVING = ("person", "family", "relation", "young", "animal", "pet", "bird", "tiny", "royal", "wild")
_TO_PERSONS = (("me", "me", "je"), ("te", "you", "tu"), ("nous", "us", "nous"), ("vous", "you", "vous"))


@cache
def _verbs_with_pronoun(takes_persons: bool) -> tuple[Verb, ...]:
    """Verbs whose objects are all people, or all things, so that le means him, or it, whatever the context."""
    senses: dict[str, list[Verb]] = {}
    for verb in load_lexicon().verbs:
        if verb.frame in "tv":
            senses.setdefault(verb.french, []).append(verb)
    chosen = []
    for verbs in senses.values():
        living = [noun.has(*_LIVING) for verb in verbs for noun in nouns_of(verb.classes)]
        if len(verbs) == 1 and (all(living) if takes_persons else not any(living)):
            animals = any(noun.has("animal") for noun in nouns_of(verbs[0].classes))
            chosen += [] if takes_persons and animals else verbs
    return tuple(chosen)


def _tensed(sampler: Sampler, verb: Verb, subject: Subject) -> Clause:
    """A clause in some tense, perhaps negated, perhaps with a time, still without its object."""
    tenses = (
        ["past", "past"]
        + ([] if "u" in verb.flags else ["future", "near"])
        + ([] if "k" in verb.flags else ["present", "present"])
    )
    tense = sampler.choice([one for one in tenses if one != "past" or "n" not in verb.flags])
    negation = maybe_negation(sampler, 0.25)
    if tense == "near":
        return Clause(subject, verb, governor=GOING_TO, negation=negation)
    return Clause(subject, verb, tense, negation=negation)


def _with_time(sampler: Sampler, clause: Clause) -> Sentences:
    if clause.tense == "present" or sampler.chance(0.6):
        return statement(clause)
    adverbial = sampler.adverbial(time_slot(clause))
    return statement(clause.with_tail(adverbial.french, adverbial.english))


def _direct(sampler: Sampler) -> Sentences:
    is_person = sampler.chance(0.45)
    verb = sampler.choice(_verbs_with_pronoun(is_person))
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    if is_person and sampler.chance(0.4):
        return _direct_speaker(sampler, verb)
    clause = _tensed(sampler, verb, sampler.subject())
    gender = sampler.choice(("m", "f"))
    is_plural = sampler.chance(0.35)
    # "Je l'invite" does not tell him from her; only a participle would.
    is_elided = french.starts_with_vowel(verb.french) and clause.tense != "past"
    gender = "m" if is_elided and not is_plural else gender
    pronoun = "les" if is_plural else "la" if gender == "f" else "le"
    singular = "it" if not is_person else "her" if gender == "f" else "him"
    meaning = "them" if is_plural else singular
    return _with_time(sampler, replace(clause, clitics=pronoun, english_object=meaning, agreement=(gender, is_plural)))


def _direct_speaker(sampler: Sampler, verb: Verb) -> Sentences:
    """me, te, nous, vous as direct objects of somebody else's action."""
    pronoun, meaning, own = sampler.choice(_TO_PERSONS)
    clause = _tensed(sampler, verb, _another(sampler, own))
    agreement = (sampler.choice(("m", "f")), pronoun == "nous" or (pronoun == "vous" and sampler.chance(0.5)))
    return _with_time(sampler, replace(clause, clitics=pronoun, english_object=meaning, agreement=agreement))


def _another(sampler: Sampler, own: str) -> Subject:
    """A subject other than the person of a pronoun."""
    others = {"je": ("tu", "vous"), "tu": ("je",), "nous": ("tu", "vous"), "vous": ("je", "nous")}[own]
    if sampler.chance(0.4):
        return sampler.name()
    return sampler.pronoun(*others, "il", "elle", "ils", "elles")


def _indirect(sampler: Sampler) -> Sentences:
    frame = sampler.choice("aadd")
    verb = sampler.verb(frame, banned="k")
    meanings = {"lui": "him", "leur": "them"}
    if sampler.chance(0.5):
        pronoun = sampler.choice(("lui", "leur"))
        meaning, subject = meanings[pronoun], sampler.subject()
    else:
        pronoun, meaning, own = sampler.choice(_TO_PERSONS)
        subject = _another(sampler, own)
    clause = replace(_tensed(sampler, verb, subject), clitics=pronoun)
    if frame == "a":
        return _with_time(sampler, replace(clause, english_object=meaning))
    clause = replace(clause, object=sampler.object_of(verb, subject))
    if "o" in verb.flags:
        return _with_time(sampler, clause.with_tail("", mark(f"to {meaning}", clause.marks.pronouns)))
    return _with_time(sampler, replace(clause, english_object=meaning))


_STORIES = (
    (
        "acheter",
        ("perdre", "casser", "vendre", "manger", "oublier", "porter", "lire", "boire", "cacher", "essayer", "laver"),
    ),
    ("trouver", ("perdre", "cacher", "oublier", "garder", "casser")),
    ("préparer", ("manger", "goûter", "dévorer", "partager", "servir")),
    ("recevoir", ("lire", "ouvrir", "perdre", "jeter", "cacher", "garder", "oublier")),
    ("écrire", ("relire", "jeter", "perdre", "corriger", "traduire", "imprimer", "copier")),
    ("choisir", ("essayer", "acheter", "refuser", "commander", "payer")),
    ("emprunter", ("perdre", "casser", "lire", "oublier", "réparer", "utiliser", "garer")),
    ("couper", ("manger", "laver", "goûter", "cuisiner", "éplucher")),
    ("laver", ("repasser", "plier", "essuyer", "porter", "manger", "garer", "casser")),
    ("ouvrir", ("fermer", "nettoyer", "réparer", "peindre", "vider")),
)


def _antecedent(sampler: Sampler) -> Sentences:
    """ "Marie a acheté une robe, mais elle l'a perdue": the pronoun stands for what has just been named."""
    first_name, later = sampler.choice(_STORIES)
    first = named_verb(first_name, "tv")
    candidates = verbs_named("t", later)
    noun = sampler.choice(
        [one for one in nouns_of(first.classes) if any(one.has(*verb.classes) for verb in candidates)]
    )
    second = sampler.choice([verb for verb in candidates if noun.has(*verb.classes)])
    sampler.note("verb-object", first.lemma, noun.french)
    sampler.note("verb-object", second.lemma, noun.french)
    person = sampler.name() if sampler.chance(0.5) else sampler.pronoun("je", "il", "elle", "tu", "nous", "ils")
    phrase = sampler.thing(noun, person, "indefinite", "definite", "demonstrative")
    again = (
        person.again()
        if person.is_pronoun
        else sampler.choice([sampler.pronoun("elle" if person.gender == "f" else "il")])
    )
    pronoun = "les" if phrase.is_plural else "la" if phrase.gender == "f" else "le"
    meaning = "them" if phrase.english_plural else "it"
    told = Clause(person, first, "past", phrase)
    is_mishap = "u" in second.flags
    is_negative = not is_mishap and sampler.chance(0.4)
    follow = Clause(
        again,
        second,
        "past",
        clitics=pronoun,
        english_object=meaning,
        negation="pas" if is_negative else "",
        agreement=(phrase.gender, phrase.is_plural),
    )
    french_link, english_link = (", mais", ", but") if is_negative or is_mishap else (" et", " and")
    return finish(
        f"{told.french()}{french_link} {follow.french()}", f"{told.english()}{english_link} {follow.english()}"
    )


def _there(sampler: Sampler) -> Sentences:
    verb = sampler.choice(
        [named_verb("aller", "m"), named_verb("retourner", "m"), named_verb("habiter", "l"), named_verb("rester", "x")]
        + [one for one in verbs_of("i", "p", "") if one.french != "jouer"]
        + [one for one in verbs_of("i", "e", "") if one.french in ("arriver", "rentrer", "entrer")][:1]
    )
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    clause = _tensed(sampler, verb, sampler.subject())
    if "s" in verb.flags:
        clause = replace(clause, tense=sampler.choice(("present", "future")), governor=None)
    place = "" if verb.french == "rentrer" else "there"
    # "il y ira" is avoided in French for its sound: aller takes the near future instead.
    if verb.french == "aller" and clause.tense == "future":
        clause = replace(clause, tense="past")
    return _with_time(sampler, replace(clause, clitics="y", english_object=place))


_COUNTED = (
    "manger",
    "acheter",
    "vendre",
    "perdre",
    "casser",
    "trouver",
    "choisir",
    "commander",
    "préparer",
    "recevoir",
    "planter",
    "cueillir",
    "lire",
    "écrire",
    "voir",
    "couper",
    "laver",
    "dessiner",
    "cacher",
    "réparer",
)


def _some_of_it(sampler: Sampler) -> Sentences:
    """en with and without a number: j'en ai trois, je n'en veux pas."""
    frames = verbs_named("t", _COUNTED)
    verb = sampler.choice(
        [*frames, named_verb("avoir", "x"), named_verb("vouloir", "x")] * 2 + [named_verb("boire", "t")]
    )
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    subject = sampler.subject()
    if "s" in verb.flags and verb.french != "voir":
        clause = Clause(subject, verb, sampler.choice(("present", "imparfait", "future")), clitics="en")
    else:
        clause = replace(_tensed(sampler, verb, subject), clitics="en", negation="")
    of_them = mark("of them", clause.marks.pronouns)
    draw = sampler.rng.random()
    if draw < 0.2 or verb.french == "boire":
        if sampler.chance(0.5):
            sampler.deny()
            return statement(replace(clause, negation="pas", english_object="any"))
        return statement(replace(clause, english_object="some"))
    if draw < 0.35:
        word, meaning = sampler.choice((("plusieurs", "several"), ("beaucoup", "many"), ("quelques-uns", "a few")))
        return statement(clause.with_tail(word, f"{meaning} {of_them}"))
    number = sampler.rng.randint(2, 20)
    return statement(clause.with_tail(french_number(number), f"{english_number(number)} {of_them}"))


def _owned(sampler: Sampler) -> Sentences:
    """le mien, la tienne, les nôtres: in comparisons with one's own."""
    noun = sampler.graded_noun(
        "clothing", "vehicle", "home", "furniture", "device", "pet", "container", "instrument", "room"
    )
    owner, rival = sampler.choice(((0, 1), (0, 4), (1, 0), (3, 1), (3, 4), (4, 0), (4, 3), (5, 0), (5, 3), (1, 5)))
    own = Subject("", "", owner, "m", False, "", owner, ("my", "your", "", "our", "your", "their")[owner], True)
    is_plural = noun.has("pair") or sampler.chance(0.15)
    phrase = noun_phrase(noun, "possessive", is_plural, owner=own)
    adjective = sampler.adjective(noun, is_predicate=True, is_graded=True)
    assert adjective is not None, noun
    form = adjective.agree(noun.gender, is_plural)
    verb = Clause(phrase.as_subject(), named_verb("être"), sampler.choice(("present", "imparfait")))
    mine = ("mine", "yours", "his", "ours", "yours", "theirs")[rival]
    theirs, mine = linked(_mine(rival, noun.gender, is_plural), mine)
    degree, meaning = comparison(sampler.choice(("plus", "moins", "aussi")), form, adjective)
    return statement(verb.with_tail(f"{degree} {theirs}", f"{meaning} {mine}"))


def _mine(person: int, gender: str, is_plural: bool) -> str:
    """The French possessive pronoun: le mien, la tienne, les vôtres."""
    article = "les" if is_plural else "la" if gender == "f" else "le"
    if person < 3:
        word = ("mien", "tien", "sien")[person] + ("ne" if gender == "f" else "")
    else:
        word = ("nôtre", "vôtre", "leur")[person - 3]
    return f"{article} {word}{'s' if is_plural else ''}"


CONSTRUCTIONS = (
    Construction("object_pronoun", _direct, 1.3),
    Construction("indirect_pronoun", _indirect, 1.2),
    Construction("antecedent", _antecedent),
    Construction("pronoun_y", _there, 0.6),
    Construction("pronoun_en", _some_of_it, 0.8),
    Construction("possessive_pronoun", _owned, 0.6),
)
