"""Questions in their three French forms, with question words, and inside other sentences."""

from __future__ import annotations

from dataclasses import replace

from corpora.alignment import linked, parallel
from corpora.phrasebook import english, french
from corpora.phrasebook.clauses import GOING_TO, Clause
from corpora.phrasebook.constructions.base import Construction, Sentences, finish, named_verb, time_slot
from corpora.phrasebook.constructions.statements import OPEN_OBJECTS
from corpora.phrasebook.lexicon import Verb
from corpora.phrasebook.phrases import Subject, noun_phrase
from corpora.phrasebook.sampler import Sampler, verbs_named, verbs_of, verbs_of_persons

_ASKED = ("tu", "vous", "il", "elle", "ils", "elles")


def _asked(sampler: Sampler) -> Subject:
    """Whom one asks about: anybody but oneself."""
    draw = sampler.rng.random()
    if draw < 0.1:
        return sampler.pronoun("nous", "on")
    return sampler.pronoun(*_ASKED) if draw < 0.75 else sampler.name()


def _yes_no(sampler: Sampler) -> Clause:
    tense = sampler.choice(("present", "present", "past", "past", "future", "near"))
    subject = _asked(sampler)
    if tense == "near":
        return replace(sampler.clause("present", "tttird", banned="u", subject=subject), governor=GOING_TO)
    frames = "tttirdg" if tense == "present" else "tttird"
    banned = {"present": "k", "future": "u", "past": ""}[tense]
    clause = sampler.clause(tense, frames, banned=banned, subject=subject)
    if tense == "present" or sampler.chance(0.6):
        return clause
    adverbial = sampler.adverbial(time_slot(clause))
    return clause.with_tail(adverbial.french, adverbial.english)


def _est_ce_que(sampler: Sampler) -> Sentences:
    clause = _yes_no(sampler)
    return finish(f"est-ce que {clause.french()}", clause.english_question(), "?")


def _inversion(sampler: Sampler) -> Sentences:
    clause = _yes_no(sampler)
    return finish(clause.french(is_inverted=True), clause.english_question(), "?")


def _intonation(sampler: Sampler) -> Sentences:
    clause = _yes_no(sampler)
    return finish(clause.french(), clause.english_question(), "?")


def _asked_with(sampler: Sampler, clause: Clause, french_word: str, english_word: str) -> Sentences:
    """A question word with inversion or with est-ce que."""
    french_word, english_word = linked(french_word, english_word)
    if sampler.chance(0.5):
        text = f"{french_word} {clause.french(is_inverted=True)}"
    else:
        text = f"{french_word} est-ce que {clause.french()}"
    return finish(text, clause.english_question(english_word), "?")


def _where_when_why(sampler: Sampler) -> Sentences:
    word = sampler.choice(("où", "quand", "quand", "pourquoi", "pourquoi", "comment"))
    subject = _asked(sampler)
    if word == "où":
        clause = sampler.clause(sampler.choice(("past", "past", "future")), "tti", needed="p", subject=subject)
        return _asked_with(sampler, clause, "où", "where")
    if word == "quand":
        tense = sampler.choice(("past", "future", "future"))
        return _asked_with(sampler, sampler.clause(tense, "ttir", banned="su", subject=subject), "quand", "when")
    if word == "pourquoi":
        tense = sampler.choice(("present", "past", "past"))
        clause = sampler.clause(tense, "ttird", banned="k" if tense == "present" else "", subject=subject)
        return _asked_with(sampler, clause, "pourquoi", "why")
    clause = Clause(subject, sampler.choice(_FEATS), "past")
    sampler.note("construction-verb", sampler.construction, clause.verb.lemma)
    direct = sampler.object_of(clause.verb, subject, "definite", "demonstrative")
    return _asked_with(sampler, replace(clause, object=direct), "comment", "how")


_FEATS_INFINITIVES = [
    "trouver",
    "ouvrir",
    "réparer",
    "préparer",
    "choisir",
    "apprendre",
    "perdre",
    "casser",
    "résoudre",
    "traduire",
    "construire",
    "fabriquer",
    "découvrir",
    "éteindre",
    "allumer",
    "fermer",
    "payer",
    "nettoyer",
    "laver",
    "dessiner",
]
_FEATS = tuple(verb for verb in verbs_of("t", "", "") if verb.french in _FEATS_INFINITIVES)


def open_verbs(tense: str) -> tuple[Verb, ...]:
    """Verbs of which one asks "what?"."""
    return verbs_named("td", OPEN_OBJECTS, {"present": "k", "future": "u"}.get(tense, "n"))


def _what(sampler: Sampler) -> Sentences:
    tense = sampler.choice(("present", "past", "past", "future"))
    clause = Clause(_asked(sampler), sampler.choice(open_verbs(tense)), tense)
    sampler.note("construction-verb", sampler.construction, clause.verb.lemma)
    if tense == "present" and sampler.chance(0.4):
        clause = replace(clause, governor=GOING_TO)
    if sampler.chance(0.5):
        adverbial = sampler.adverbial("now" if tense == "present" and not clause.governor else time_slot(clause))
        clause = clause.with_tail(adverbial.french, adverbial.english)
    # "Que Marie mange-t-elle ?" is bookish: a name takes est-ce que.
    if clause.subject.is_pronoun and sampler.chance(0.4):
        return finish(f"que {clause.french(is_inverted=True)}", clause.english_question("what"), "?")
    return finish(f"qu'est-ce que {clause.french()}", clause.english_question("what"), "?")


_WHO = Subject("qui", "who", 2, "m", False, "third", 2, "his", False)


def _who(sampler: Sampler) -> Sentences:
    if sampler.chance(0.6):
        tense = sampler.choice(("past", "past", "future", "present"))
        clause = sampler.clause(tense, "tttdi", banned="k" if tense == "present" else "", subject=_WHO.again())
        return finish(clause.french(), clause.english(), "?")
    verb = sampler.choice(verbs_of_persons())
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    clause = Clause(_asked(sampler), verb, sampler.choice(("present", "past", "future")))
    if "n" in verb.flags:
        clause = replace(clause, tense="present")
    return _asked_with(sampler, clause, "qui", "who")


_CHOSEN = (
    "clothing",
    "fruit",
    "dish",
    "readable",
    "watchable",
    "=chanson",
    "furniture",
    "vehicle",
    "picture",
    "tool",
    "toy",
)


def _which(sampler: Sampler) -> Sentences:
    """Quel and combien de put the object first: the participle agrees with it."""
    noun = sampler.noun(*_CHOSEN)
    verb = sampler.choice(
        [
            one
            for one in verbs_of("t", "", "n")
            if noun.has(*one.classes) and one.french not in ("commencer", "terminer")
        ]
    )
    sampler.note("verb-object", verb.lemma, noun.french)
    tense = sampler.choice(("past", "past", "future"))
    counts = noun.count == "c" and tense == "past" and not noun.has("watchable") and sampler.chance(0.35)
    is_plural = counts or (noun.count == "c" and sampler.chance(0.3))
    is_plural = is_plural or noun.is_always_plural
    phrase = noun_phrase(noun, "definite", is_plural)
    clause = Clause(_asked(sampler), verb, tense, agreement=(noun.gender, is_plural))
    if counts:
        word, asked = f"combien de {phrase.body}", "how many"
    else:
        word = french.agree("quel", "m", is_plural) if noun.gender == "m" else "quelles" if is_plural else "quelle"
        word, asked = f"{word} {phrase.body}", "which"
    return _asked_with(sampler, clause, word, f"{asked} {phrase.english_body}")


_WONDERING = (
    ("je|ne sais pas", "I|don't know"),
    ("je|me demande", "I|wonder"),
    ("dis-moi", "tell me"),
    ("il|veut|savoir", "he|wants to|know"),
    ("nous|voulons|savoir", "we|want to|know"),
    ("personne ne|sait", "nobody|knows"),
    ("elle|a oublié", "she|forgot"),
    ("vous|savez", "you|know"),
    ("Paul|se demande", "Paul|wonders"),
    ("j'|aimerais|savoir", "I|'d like to|know"),
)


def _indirect(sampler: Sampler) -> Sentences:
    french_start, english_start = sampler.choice(_WONDERING)
    can_be_if = french_start not in ("elle|a oublié", "vous|savez")
    french_start, english_start = parallel(french_start, english_start)
    words = (("pourquoi", "why"), ("quand", "when"), ("comment", "how"), *((("si", "if"),) * 2 if can_be_if else ()))
    french_word, english_word = sampler.choice(words)
    subject = sampler.choice(
        (sampler.pronoun("il", "elle", "ils", "elles"), sampler.name(), sampler.person().as_subject())
    )
    tense = "future" if french_word == "quand" else sampler.choice(("past", "past", "future"))
    if french_word == "comment":
        verb = sampler.choice(_FEATS)
        sampler.note("construction-verb", sampler.construction, verb.lemma)
        clause = Clause(subject, verb, "past", sampler.object_of(verb, subject, "definite", "demonstrative"))
    else:
        clause = sampler.clause(tense, "tttir", banned="su" if tense == "future" else "s", subject=subject)
    text = f"{french_start} {french_word} {clause.french()}"
    return finish(text, english.join(english_start, english_word, clause.english()))


def _where_is(sampler: Sampler) -> Sentences:
    """Où est … ?, asked directly or politely."""
    noun = sampler.noun(
        "place", "portable", "jewel", "eyewear", "room", "pet", "tool", "relation", "family", "tableware"
    )
    kinds = ("possessive", "definite") if noun.has("portable", "jewel", "eyewear", "pet", "tool") else ("definite",)
    phrase = sampler.thing(noun, None, *kinds)
    subject = phrase.as_subject()
    etre, be = linked("sont" if phrase.is_plural else "est", "are" if phrase.english_plural else "is")
    ou, where = linked("où", "where")
    draw = sampler.rng.random()
    if draw < 0.4:
        return finish(f"{ou} {etre} {phrase.raw}", f"{where} {be} {subject.english}", "?")
    if draw < 0.55:
        return finish(f"{phrase.raw} {etre} {ou}", f"{where} {be} {subject.english}", "?")
    if draw < 0.7:
        clause = Clause(sampler.pronoun("tu", "vous"), named_verb("savoir"))
        text = f"{clause.french(is_inverted=True)} {ou} {etre} {phrase.raw}"
        return finish(text, f"{clause.english_question()} {where} {subject.english} {be}", "?")
    if draw < 0.85:
        start = sampler.choice(("peux-tu me dire", "pouvez-vous me dire"))
        start, can_you = linked(start.removesuffix(" me dire"), "can you")
        (me, english_me), (dire, tell) = linked("me", "me"), linked("dire", "tell")
        text = f"{start} {me} {dire} {ou} {etre} {phrase.raw}"
        return finish(text, f"{can_you} {tell} {english_me} {where} {subject.english} {be}", "?")
    seeker = sampler.choice((sampler.pronoun("je", "il", "elle", "nous", "ils"), sampler.name()))
    knows = Clause(seeker, named_verb("savoir"), negation="pas")
    return finish(f"{knows.french()} {ou} {etre} {phrase.raw}", f"{knows.english()} {where} {subject.english} {be}")


CONSTRUCTIONS = (
    Construction("question_est_ce_que", _est_ce_que),
    Construction("question_inversion", _inversion),
    Construction("question_intonation", _intonation),
    Construction("where_when_why", _where_when_why),
    Construction("what", _what, 0.8),
    Construction("who", _who, 0.9),
    Construction("which_how_many", _which, 0.8),
    Construction("indirect_question", _indirect),
    Construction("where_is", _where_is, 0.7),
)
