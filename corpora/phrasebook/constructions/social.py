"""Among people: likes, jobs, games, weather, politeness, exclamations, how and where things are done."""

from __future__ import annotations

from dataclasses import replace

from corpora.alignment import linked, mark, parallel
from corpora.phrasebook import english, french
from corpora.phrasebook.clauses import GOING_TO, Clause
from corpora.phrasebook.constructions.base import (
    Construction,
    Sentences,
    finish,
    maybe_negation,
    named_verb,
    statement,
    time_slot,
    timed,
)
from corpora.phrasebook.constructions.infinitives import infinitive
from corpora.phrasebook.constructions.situations import in_place
from corpora.phrasebook.lexicon import Verb
from corpora.phrasebook.phrases import noun_phrase
from corpora.phrasebook.sampler import Sampler

_ETRE = named_verb("être")


def _preference(sampler: Sampler) -> Sentences:
    """aimer, adorer, détester with a whole kind of things; préférer one to another."""
    verb = sampler.verb("g")
    negation = maybe_negation(sampler, 0.4) if verb.french == "aimer" else ""
    subject = sampler.subject()
    noun = sampler.object_noun(verb)
    phrase = sampler.generic(noun)
    tense = sampler.choice(("present", "present", "present", "imparfait"))
    if verb.french == "préférer" and sampler.chance(0.8):
        shared = [tag for tag in ("fruit", "drink", "sport", "animal", "subject", "food") if noun.has(tag)]
        other = sampler.noun(*shared) if shared else noun
        if other != noun:
            rival = sampler.generic(other)
            clause = Clause(subject, verb, tense, phrase)
            return statement(clause.with_tail(french.with_a(rival.raw), f"to {rival.english()}"))
    adverb = (
        sampler.choice((("", ""), ("", ""), ("beaucoup", "a lot")))
        if verb.french == "aimer" and not negation
        else ("", "")
    )
    clause = Clause(subject, verb, tense, phrase, negation=negation, english_tail=adverb[1])
    if adverb[0]:
        clause = replace(clause, frequency=(adverb[0], ""), english_tail=mark(adverb[1], clause.marks.frequency))
        return finish(clause.french(), replace(clause, frequency=("", "")).english())
    return statement(clause)


def _job(sampler: Sampler) -> Sentences:
    """No article before a profession in French."""
    noun = sampler.noun("job")
    people = ("il", "ils") if noun.gender == "m" else ("elle", "elles")
    subject = sampler.pronoun("je", "tu", "vous", *people)
    while subject.gender != noun.gender:
        subject = sampler.pronoun("je", "tu", *people)
    if sampler.chance(0.4):
        subject = sampler.name()
        while subject.gender != noun.gender:
            subject = sampler.name()
    phrase = noun_phrase(noun, "indefinite", subject.is_plural)
    meaning = phrase.english("bare")
    sampler.note("construction-noun", sampler.construction, noun.french)
    if sampler.chance(0.45):
        become = named_verb("devenir", "x")
        governor = sampler.choice((sampler.lexicon.governors[0], GOING_TO))
        clause = Clause(subject, become, sampler.choice(("present", "imparfait")), governor=governor)
        clause = clause if sampler.chance(0.7) else Clause(subject, become, sampler.choice(("past", "future")))
        clause = replace(clause, negation=maybe_negation(sampler, 0.15))
    else:
        tense = sampler.choice(("present", "present", "imparfait", "future"))
        clause = Clause(subject, _ETRE, tense, negation=maybe_negation(sampler, 0.2))
    return statement(clause.with_tail(phrase.body, meaning))


def _play(sampler: Sampler) -> Sentences:
    """jouer à a sport, jouer de an instrument."""
    noun = sampler.noun("sport", "instrument")
    sampler.note("verb-object", "jouer", noun.french)
    phrase = noun_phrase(noun, "definite", False)
    is_sport = noun.has("sport")
    tail = french.with_a(phrase.raw) if is_sport else french.with_de(phrase.raw)
    english_noun = mark(noun.english, phrase.mark)
    meaning = english_noun if is_sport else f"{mark('the', phrase.determiner_mark)} {english_noun}"
    subject = sampler.subject()
    verb = named_verb("jouer", "p")
    draw = sampler.rng.random()
    if draw < 0.25:
        clause = Clause(subject, verb, is_habit=True).with_tail(tail, meaning)
        return timed(sampler, clause, "habit")
    if draw < 0.4:
        tense = sampler.choice(("past", "future", "imparfait", "present"))
        return statement(Clause(subject, verb, tense, negation=maybe_negation(sampler, 0.3)).with_tail(tail, meaning))
    if draw < 0.7:
        governor = sampler.governor(verb, banned="jm")
        tense = (
            "past"
            if "k" in governor.flags
            else sampler.choice(("present", "imparfait") if "s" in governor.flags else ("present", "past"))
        )
        return statement(
            Clause(subject, verb, tense, governor=governor, negation=maybe_negation(sampler, 0.15)).with_tail(
                tail, meaning
            )
        )
    clause = Clause(subject, verb, sampler.choice(("past", "future"))).with_tail(tail, meaning)
    return timed(sampler, clause, "past" if clause.tense == "past" else "future")


_WEATHER = (
    ("fait froid", "cold"),
    ("fait chaud", "hot"),
    ("fait très froid", "very cold"),
    ("fait trop chaud", "too hot"),
    ("fait beau", "sunny"),
    ("fait frais", "cool"),
    ("fait doux", "mild"),
    ("fait nuit", "dark"),
)
_FALLING = (("pleuvoir", "rain"), ("neiger", "snow"))
_FAIRE = {"present": "fait", "imparfait": "faisait", "future": "fera", "past": "a fait"}


def _weather(sampler: Sampler) -> Sentences:
    where, place = "", ""
    if sampler.chance(0.75):
        town = sampler.choice(sampler.lexicon.places)
        sampler.note("construction-place", sampler.construction, town.french)
        where, place = in_place(town)
        place = f"in {place}"
    tense = sampler.choice(("present", "past", "future"))
    time = sampler.adverbial(tense) if tense != "present" and sampler.chance(0.7) else None
    where, place = linked(where, place)
    when, meaning_when = linked(time.french, time.english) if time else ("", "")
    it = sampler.pronoun("il")
    it = replace(it, english="it").again()
    negation = maybe_negation(sampler, 0.2)
    if sampler.chance(0.5):
        infinitive_form, base = sampler.choice(_FALLING)
        verb = Verb(infinitive_form, base, "x", (), "", False)
        clause = Clause(it, verb, tense, negation=negation)
        if tense == "future" and sampler.chance(0.5):
            clause = replace(clause, tense="present", governor=GOING_TO)
    else:
        text, adjective = sampler.choice(_WEATHER)
        verb = Verb("faire", "be", "x", (), "s", False)
        clause = Clause(it, verb, "imparfait" if tense == "past" else tense, negation=negation)
        clause = clause.with_tail(text.removeprefix("fait "), adjective)
    clause = clause.with_tail(" ".join(filter(None, (where, when))), english.join(place, meaning_when))
    if not negation and sampler.chance(0.2):
        return finish(f"est-ce que {clause.french()}", clause.english_question(), "?")
    return statement(clause)


_ORDERED = (
    "drink",
    "dish",
    "snack",
    "fruit",
    "clothing",
    "tableware",
    "bookable",
    "desk",
    "readable",
    "linen",
    "staple",
)


def _polite(sampler: Sampler) -> Sentences:
    """The conditional of politeness."""
    sampler.adjective_rate = 0.1
    draw = sampler.rng.random()
    if draw < 0.45:
        subject = sampler.pronoun("je", "nous", "on")
        phrase = sampler.thing(sampler.noun(*_ORDERED), subject, "indefinite")
        sampler.note("construction-noun", sampler.construction, phrase.noun.french)
        wish = french.conjugate("vouloir", "conditional", subject.person)
        please = sampler.choice(("s'il vous plaît", "s'il vous plaît", "s'il te plaît"))
        text, meaning = linked(f"{subject.french} {wish} {phrase.raw}", f"{subject.english}'d like {phrase.english()}")
        if sampler.chance(0.6):
            return finish(f"{text}, {please}", f"{meaning}, please")
        return finish(text, meaning)
    if draw < 0.75:
        subject = sampler.pronoun("tu", "vous", "tu", "vous", "je")
        can = french.conjugate("pouvoir", "conditional", subject.person)
        can = "pourrais" if can.startswith("pourrais") else can
        clause = sampler.clause("present", "ttda", banned="usle", subject=subject)
        words, meaning = infinitive(clause)
        can, could = linked(can, "could")
        asks = f"est-ce que {subject.french} {can} {words}"
        if subject.is_named("je"):
            return finish(asks, f"{could} {subject.english} {meaning}", "?")
        if sampler.chance(0.6):
            return finish(f"{can}-{subject.french} {words}", f"{could} {subject.english} {meaning}", "?")
        return finish(asks, f"{could} {subject.english} {meaning}", "?")
    subject = sampler.subject()
    would = french.conjugate("aimer", "conditional", subject.person)
    clause = sampler.clause("present", "tttira", banned="us", subject=subject)
    words, meaning = infinitive(clause)
    like = f"{subject.english}'d like" if subject.is_pronoun else f"{subject.english} would like"
    return finish(f"{subject.french} {would} {words}", f"{like} to {meaning}")


_ADMIRED = (
    "home",
    "clothing",
    "plant",
    "picture",
    "vehicle",
    "jewel",
    "sight",
    "dish",
    "thought",
    "animal",
    "room",
    "landscape",
    "event",
    "young",
    "media",
    "gift",
    "device",
    "baked",
)


def _exclamation(sampler: Sampler) -> Sentences:
    """Quel beau jardin !, Comme c'est beau !, C'est une belle robe."""
    noun = sampler.graded_noun(*_ADMIRED)
    adjective = sampler.adjective(noun, is_graded=True)
    is_plural = noun.is_always_plural or noun.has("pair") or (noun.count == "c" and sampler.chance(0.2))
    phrase = noun_phrase(noun, "indefinite", is_plural, (adjective,) if adjective else ())
    what = "quel" if noun.gender == "m" else "quelle"
    what += "s" if is_plural else ""
    if sampler.chance(0.6):
        return finish(f"{what} {phrase.body}", f"what {phrase.english('bare')}", "!")
    start, be = parallel("ce|sont", "these|are") if is_plural else parallel("c'|est", "it|'s")
    if sampler.chance(0.3):
        start, be = parallel("ce|ne sont pas", "these|aren't") if is_plural else parallel("ce|n'est pas", "it|isn't")
    return finish(f"{start} {phrase.raw}", f"{be} {phrase.english('bare')}")


_WITH = (
    ("avec un ami", "with a friend"),
    ("avec Paul", "with Paul"),
    ("avec Marie", "with Marie"),
    ("avec les enfants", "with the children"),
    ("avec mes parents", "with my parents"),
    ("avec nos voisins", "with our neighbors"),
    ("sans nous", "without us"),
    ("sans moi", "without me"),
    ("sans lui", "without him"),
    ("avec elle", "with her"),
    ("avec eux", "with them"),
    ("avec toi", "with you"),
)


def _activity(sampler: Sampler) -> Sentences:
    """Return a sentence of an activity: how long, where and with whom."""
    tense = sampler.choice(("past", "past", "future", "near"))
    verb = sampler.verb("tiir", needed="p", banned="sek")
    subject = sampler.subject()
    direct = sampler.object_of(verb, subject, "definite", "indefinite") if verb.frame == "t" else None
    direct = (
        None
        if direct
        and sampler.chance(0.2)
        and verb.french in ("manger", "boire", "lire", "dessiner", "chanter", "écrire")
        else direct
    )
    negation = maybe_negation(sampler, 0.1)
    clause = Clause(subject, verb, tense, direct, negation=negation)
    if tense == "near":
        clause = replace(clause, tense="present", governor=GOING_TO)
    draw = sampler.rng.random()
    if draw < 0.4:
        where = sampler.adverbial("where")
        clause = clause.with_tail(where.french, where.english)
    if draw < 0.15 or draw > 0.7:
        company = sampler.choice(_WITH)
        return statement(clause.with_tail(*company))
    slot = "duration" if verb.frame in "ir" else time_slot(clause)
    adverbial = sampler.adverbial(slot)
    return statement(clause.with_tail(adverbial.french, adverbial.english))


CONSTRUCTIONS = (
    Construction("preference", _preference),
    Construction("job", _job, 0.7),
    Construction("play", _play, 0.8),
    Construction("weather", _weather, 0.8),
    Construction("polite", _polite, 0.9),
    Construction("exclamation", _exclamation, 0.7),
    Construction("activity", _activity),
)
