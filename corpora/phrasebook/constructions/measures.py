"""Numbers, prices, clock times, dates, ages, quantities."""

from __future__ import annotations

from dataclasses import replace

from corpora.alignment import linked, mark, parallel
from corpora.phrasebook import english
from corpora.phrasebook.clauses import Clause
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
from corpora.phrasebook.french import agree, conjugate
from corpora.phrasebook.numbers import (
    DAYS,
    MONTH_LENGTHS,
    clock_time,
    date,
    english_number,
    french_number,
)
from corpora.phrasebook.phrases import NounPhrase, Subject, noun_phrase
from corpora.phrasebook.sampler import Sampler, nouns_of, verbs_named

_ETRE = named_verb("être")


def _between(sampler: Sampler, low: int, high: int) -> int:
    """A number in a range; large ones are round now and then, as in life."""
    number = sampler.rng.randint(low, high)
    if number > 200 and sampler.chance(0.3):
        step = sampler.choice((10, 50, 100))
        return max(low, number // step * step)
    return number


def _price(sampler: Sampler) -> Sentences:
    noun = sampler.noun(
        "clothing", "device", "furniture", "jewel", "tool", "toy", "dish", "desk", "vehicle", "tableware"
    )
    sampler.note("construction-noun", sampler.construction, noun.french)
    is_plural = noun.is_always_plural or (noun.count == "c" and (noun.has("pair") or sampler.chance(0.15)))
    phrase = noun_phrase(noun, sampler.choice(("demonstrative", "demonstrative", "definite")), is_plural, adjectives=())
    subject = phrase.as_subject()
    cost = named_verb("coûter", "x")
    draw = sampler.rng.random()
    if draw < 0.2:
        how_much, meaning = linked("combien", "how much")
        does = "do" if phrase.english_plural else "does"
        verb, does_cost = linked("coûtent" if is_plural else "coûte", f"{does} cost")
        does, cost_word = does_cost.split(" ")
        return finish(f"{how_much} {verb} {phrase.raw}", f"{meaning} {does} {subject.english} {cost_word}", "?")
    low, high = next(bounds for tags, bounds in _PRICES if noun.has(*tags))
    euros = sampler.rng.randint(low, high)
    tense = sampler.choice(("present", "present", "present", "imparfait"))
    clause = Clause(subject, cost, tense)
    if draw < 0.4 and euros < 300:
        cents = sampler.choice((5, 10, 20, 25, 50, 75, 90, 95, 99))
        return statement(clause.with_tail(*_euros(f"{euros},{cents:02d}", f"{euros}.{cents:02d}")))
    if draw < 0.6:
        return statement(clause.with_tail(*_euros(str(euros), str(euros))))
    return statement(clause.with_tail(*_euros(french_number(euros), english_number(euros))))


def _euros(number: str, english_number: str) -> Sentences:
    number, english_number = linked(number, english_number)
    return linked(f"{number} euros", f"{english_number} euros")


_PRICES: tuple[tuple[tuple[str, ...], tuple[int, int]], ...] = (
    (("vehicle",), (900, 9999)),
    (("electronic", "furniture", "jewel"), (60, 1500)),
    (("dish",), (2, 18)),
    (("desk", "tableware", "toy"), (2, 40)),
    (("clothing", "device", "tool"), (10, 250)),
)


def _clock(sampler: Sampler) -> Sentences:
    hour, minute = sampler.rng.randint(0, 23), 5 * sampler.rng.randint(0, 11)
    told, meaning = clock_time(hour, minute)
    sampler.note("construction-time", sampler.construction, told)
    told, meaning = linked(told, meaning)
    part = linked(*_part_of_day(hour, minute))
    draw = sampler.rng.random()
    if draw < 0.25:
        return finish(f"il est {told} {part[0]}".strip(), english.join(f"it's {meaning}", part[1]))
    if draw < 0.6:
        thing, scheduled, infinitive_form = sampler.choice(_SCHEDULE)
        begins, english_thing = scheduled.split(" ")[-1], scheduled.rpartition(" ")[0]
        thing, english_thing = linked(thing, english_thing)
        verb_form, begins = linked(infinitive_form, begins)
        return finish(f"{thing} {verb_form} à {told}", f"{english_thing} {begins} at {meaning}")
    if draw < 0.7:
        thing, _, does = sampler.choice(_ASK_SCHEDULE)
        return finish(f"à quelle heure {thing}", does, "?")
    subject = sampler.subject()
    verb = sampler.choice(verbs_named("ir", _DAILY, "mf"))
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    tense = sampler.choice(("present", "past", "future"))
    clause = Clause(subject, verb, tense, is_habit=True)
    return statement(clause.with_tail(f"à {told}", f"at {meaning}"))


def _part_of_day(hour: int, minute: int) -> Sentences:
    """du matin, de l'après-midi, du soir; noon and midnight need none."""
    if hour in (0, 12) or (hour in (11, 23) and minute > 30):
        return "", ""
    if hour < 12:
        return "du matin", "in the morning"
    return ("de l'après-midi", "in the afternoon") if hour < 18 else ("du soir", "in the evening")


_DAILY = ("arriver", "partir", "rentrer", "sortir", "déjeuner", "dîner", "se lever", "se coucher", "se réveiller")
_SCHEDULE = (
    ("le train", "the train leaves", "part"),
    ("le train", "the train arrives", "arrive"),
    ("le film", "the movie starts", "commence"),
    ("le cours", "the class starts", "commence"),
    ("la réunion", "the meeting starts", "commence"),
    ("le concert", "the concert starts", "commence"),
    ("le magasin", "the store opens", "ouvre"),
    ("le musée", "the museum closes", "ferme"),
    ("la banque", "the bank opens", "ouvre"),
    ("la bibliothèque", "the library closes", "ferme"),
    ("le bus", "the bus leaves", "part"),
    ("l'avion", "the plane leaves", "part"),
    ("l'avion", "the plane arrives", "arrive"),
    ("le match", "the game starts", "commence"),
    ("l'école", "the school opens", "ouvre"),
    ("la poste", "the post office closes", "ferme"),
)
_ASK_SCHEDULE = (
    ("part le train", "", "what time does the train leave"),
    ("arrive l'avion", "", "what time does the plane arrive"),
    ("commence le film", "", "what time does the movie start"),
    ("commence la réunion", "", "what time does the meeting start"),
    ("ouvre la banque", "", "what time does the bank open"),
    ("ferme le musée", "", "what time does the museum close"),
    ("ferme le magasin", "", "what time does the store close"),
    ("part le prochain bus", "", "what time does the next bus leave"),
    ("est-ce que tu te lèves", "", "what time do you get up"),
    ("dînez-vous", "", "what time do you have dinner"),
)


def _date(sampler: Sampler) -> Sentences:
    month = sampler.rng.randrange(12)
    day = sampler.rng.randint(1, MONTH_LENGTHS[month])
    told, meaning = date(day, month)
    weekday, english_weekday = linked(*sampler.choice(DAYS))
    sampler.note("construction-date", sampler.construction, told)
    told, meaning = _linked_date(told, meaning)
    draw = sampler.rng.random()
    if draw < 0.15:
        return finish(f"nous sommes le {told}", f"today is {meaning}")
    if draw < 0.3:
        return finish(f"nous sommes le {weekday} {told}", f"today is {english_weekday}, {meaning}")
    if draw < 0.6:
        subject = sampler.subject()
        born, was_born = _born(subject)
        year = sampler.rng.randint(1930, 2019)
        if sampler.chance(0.5):
            text, translation = linked(f"{told} {year}", f"{meaning}, {year}")
            return finish(f"{born} le {text}", f"{subject.english} {was_born} on {translation}")
        when, meaning = linked(str(year), str(year))
        return finish(f"{born} en {when}", f"{subject.english} {was_born} in {meaning}")
    if draw < 0.75:
        thing, english_thing = parallel(*sampler.choice(_ANNUAL))
        be, is_ = linked("est", "is")
        return finish(f"{thing} {be} le {told}", f"{english_thing} {is_} on {meaning}")
    verb = sampler.choice(verbs_named("i", ("arriver", "partir", "venir", "revenir", "rentrer", "déménager")))
    sampler.note("construction-verb", sampler.construction, verb.lemma)
    clause = Clause(sampler.subject(), verb, sampler.choice(("past", "future")))
    return statement(clause.with_tail(f"le {told}", f"on {meaning}"))


_ANNUAL = (
    ("mon|anniversaire", "my|birthday"),
    ("ton|anniversaire", "your|birthday"),
    ("la|fête", "the|party"),
    ("l'|examen", "the|exam"),
    ("le|concert", "the|concert"),
    ("le|mariage", "the|wedding"),
    ("la|réunion", "the|meeting"),
    ("l'anniversaire de Paul", "Paul's birthday"),
    ("l'anniversaire de Marie", "Marie's birthday"),
    ("le|prochain|match", "the|next|game"),
)


def _linked_date(told: str, meaning: str) -> Sentences:
    """Link "3 mai" and "May 3" crosswise."""
    day, month = told.split(" ")
    english_month, english_day = meaning.split(" ")
    (day, english_day), (month, english_month) = linked(day, english_day), linked(month, english_month)
    return f"{day} {month}", f"{english_month} {english_day}"


def _born(subject: Subject) -> Sentences:
    """ "elle est née", "ils sont nés"; "was born", "were born"."""
    be, was = linked(conjugate("être", "present", subject.person), "were" if subject.agreement == "plural" else "was")
    participle, born = linked(agree("né", subject.gender, subject.is_plural), "born")
    return f"{subject.french} {be} {participle}", f"{was} {born}"


def _age(sampler: Sampler) -> Sentences:
    draw = sampler.rng.random()
    subject = sampler.subject() if draw < 0.8 else sampler.name()
    if draw < 0.15:
        asked = subject if not subject.is_named("je", "nous", "on") else sampler.pronoun("tu", "vous")
        have = Clause(asked, named_verb("avoir"))
        be = Clause(asked, _ETRE, marks=have.marks)
        return finish(f"quel âge {have.french(is_inverted=True)}", be.english_question("how old"), "?")
    years = sampler.rng.randint(2, 99)
    sampler.note("construction-number", sampler.construction, str(years))
    if draw > 0.8:
        rival = sampler.person("family", "relation", can_be_plural=False).as_subject()
        gap = sampler.rng.randint(2, 30)
        how, meaning = sampler.choice((("plus", "older"), ("moins", "younger")))
        clause = Clause(subject, named_verb("avoir"))
        number, english_gap = linked(french_number(gap), english_number(gap))
        years_fr, years_en = linked("ans", "years")
        more, meaning = linked(f"de {how}", meaning)
        than, english_than = linked("que", "than")
        return finish(
            f"{clause.french()} {number} {years_fr} {more} {than} {rival.french}",
            f"{subject.english} {mark('is', clause.marks.auxiliary)} {english_gap} {years_en} {meaning} "
            f"{english_than} {rival.english}",
        )
    tense = sampler.choice(("present", "present", "imparfait", "future"))
    negation = maybe_negation(sampler, 0.1)
    have = Clause(subject, named_verb("avoir"), tense, negation=negation)
    be = Clause(subject, _ETRE, tense, negation=negation, marks=have.marks)
    time = {"future": ("bientôt", "soon"), "imparfait": ("à cette époque", "at that time")}.get(tense, ("", ""))
    time = linked(*time) if sampler.chance(0.4) else ("", "")
    is_written = sampler.chance(0.75)
    number, meaning = (french_number(years), english_number(years)) if is_written else (str(years), str(years))
    number, meaning = linked(number, meaning)
    return finish(
        f"{have.french()} {number} ans {time[0]}".strip(),
        english.join(be.english(), f"{meaning} years old", time[1]),
    )


_COUNTS = (
    ("il y a|{}|élèves|dans|cette|école", "there are|{}|pupils|in|this|school", "m", 90, 900),
    ("ce|livre|a|{}|pages", "this|book|has|{}|pages", "f", 50, 1200),
    ("il y a|{}|habitants|dans|notre|village", "there are|{}|inhabitants|in|our|village", "m", 100, 9999),
    ("la|bibliothèque|a|{}|livres", "the|library|has|{}|books", "m", 1000, 9999),
    ("{}|personnes|sont venues|au|concert", "{}|people|came|to the|concert", "f", 40, 5000),
    ("le|voyage|a duré|{}|jours", "the|trip|lasted|{}|days", "m", 3, 60),
    ("cette|tour|a|{}|marches", "this|tower|has|{}|steps", "f", 60, 999),
    ("nous|avons marché|pendant|{}|kilomètres", "we|walked|for|{}|kilometers", "m", 500, 4900),
    ("il y a|{}|chaises|dans|la|salle", "there are|{}|chairs|in|the|room", "f", 10, 200),
    ("j'|ai compté|{}|étoiles", "I|counted|{}|stars", "f", 10, 400),
    ("le|stade|a|{}|places", "the|stadium|has|{}|seats", "f", 1000, 9999),
    ("cette|usine|fabrique|{}|voitures|par|mois", "this|factory|makes|{}|cars|a|month", "f", 100, 5000),
    ("elle|a écrit|{}|mots", "she|wrote|{}|words", "m", 50, 9999),
    ("la|montagne|fait|{}|mètres|de haut", "the|mountain|is|{}|meters|high", "m", 500, 4900),
    ("ils|ont vendu|{}|billets", "they|sold|{}|tickets", "m", 30, 6000),
    ("nous|avons reçu|{}|lettres", "we|received|{}|letters", "f", 3, 300),
    ("il|me doit|{}|euros", "he|owes me|{}|euros", "m", 5, 3000),
    ("le|village|est à|{}|kilomètres|d'ici", "the|village|is|{}|kilometers|from here", "m", 2, 300),
)


_COUNTABLE_ACTS = ("acheter", "cueillir", "planter", "laver", "photographier", "dessiner", "lire", "éplucher", "plier")


def _number(sampler: Sampler) -> Sentences:
    if sampler.chance(0.4):
        subject, verb = (
            sampler.subject(),
            sampler.choice(verbs_named("t", _COUNTABLE_ACTS)),
        )
        noun = sampler.choice([one for one in nouns_of(verb.classes) if one.count == "c" and not one.has("vehicle")])
        number = sampler.rng.randint(2, 21 if sampler.chance(0.6) else 99)
        sampler.note("verb-object", verb.lemma, noun.french)
        numerals = (french_number(number, noun.gender == "f"), english_number(number))
        phrase = noun_phrase(noun, "number", True, number=numerals)
        return statement(Clause(subject, verb, "past", phrase))
    text, meaning, gender, low, high = sampler.choice(_COUNTS)
    number = _between(sampler, low, high)
    # Digits as they are written in either language: 3 200 and 3,200.
    if sampler.chance(0.25):
        spaced = f"{number:,}".replace(",", "\u202f")
        numeral, english_numeral = linked(spaced, f"{number:,}")
    else:
        numeral, english_numeral = linked(french_number(number, gender == "f"), english_number(number))
    return finish(*parallel(text.format(numeral), meaning.format(english_numeral)))


_COLD = ("=eau", "=lait", "=vin", "=bière", "=jus d'orange", "=limonade", "=cidre")
_MEASURED = (
    ("une bouteille de", "a bottle of", (*_COLD, "=huile")),
    ("un verre de", "a glass of", _COLD),
    ("une tasse de", "a cup of", ("hot",)),
    ("un kilo de", "a kilo of", ("fruit", "vegetable", "=sucre", "=farine", "=riz", "=viande")),
    ("un morceau de", "a piece of", ("=pain", "=fromage", "=viande", "=chocolat", "=gâteau", "=tarte")),
    ("une boîte de", "a box of", ("=chocolat", "=biscuit", "=bonbon", "=œuf")),
    ("beaucoup de", "a lot of", ("food", "clothing", "portable", "drink")),
    ("trop de", "too much", ("staple",)),
    ("assez de", "enough", ("food", "drink", "desk", "tableware")),
    ("un peu de", "a little", ("staple", "drink", "seasoning")),
    ("plusieurs", "several", ("desk", "clothing", "fruit", "readable", "tableware")),
    ("quelques", "a few", ("desk", "fruit", "readable", "toy", "tool")),
    ("une paire de", "a pair of", ("pair",)),
    ("une douzaine de", "a dozen", ("=œuf", "=rose", "=croissant", "=tulipe")),
)
_MEASURING = ("acheter", "manger", "boire", "commander", "apporter", "vendre", "partager", "préparer", "lire", "servir")


def measured(sampler: Sampler) -> tuple[NounPhrase, tuple[str, ...]]:
    """A quantity of something, as a noun phrase."""
    amount, meaning, groups = sampler.choice(_MEASURED)
    noun = sampler.noun(*groups)
    is_plural = noun.count == "c" and amount not in ("un morceau de",)
    return noun_phrase(noun, "number", is_plural, number=(amount, meaning)), groups


def _quantity(sampler: Sampler) -> Sentences:
    phrase, _ = measured(sampler)
    verbs = [one for one in verbs_named("t", _MEASURING) if phrase.noun.has(*one.classes)]
    subject = sampler.subject()
    extra = [named_verb("avoir"), named_verb("vouloir")]
    verb = sampler.choice([*verbs, *verbs, *extra])
    sampler.note("verb-object", verb.lemma, phrase.noun.french)
    if verb in extra:
        return statement(Clause(subject, verb, sampler.choice(("present", "imparfait")), phrase))
    clause = Clause(subject, verb, sampler.choice(("past", "past", "future")), phrase)
    return statement(clause) if sampler.chance(0.6) else timed(sampler, clause, time_slot(clause))


def _more_than(sampler: Sampler) -> Sentences:
    """plus de, moins de, autant de … que."""
    noun = sampler.noun("clothing", "desk", "fruit", "readable", "toy", "pet", "tool", "jewel", "young", "staple")
    sampler.note("construction-noun", sampler.construction, noun.french)
    phrase = noun_phrase(noun, "generic", noun.count == "c")
    how, meaning, mass = sampler.choice(
        (("plus de", "more", "more"), ("moins de", "fewer", "less"), ("autant de", "as many", "as much"))
    )
    word = meaning if phrase.english_plural else mass
    rival = sampler.name()
    subject = replace(sampler.pronoun()) if sampler.chance(0.6) else sampler.person().as_subject()
    clause = Clause(subject, named_verb("avoir"), sampler.choice(("present", "present", "imparfait", "future")))
    than, link = linked("que", "as" if how == "autant de" else "than")
    return statement(
        clause.with_tail(
            f"{how} {phrase.body} {than} {rival.french}", f"{word} {phrase.english_body} {link} {rival.english}"
        )
    )


CONSTRUCTIONS = (
    Construction("price", _price, 0.9),
    Construction("clock", _clock, 0.9),
    Construction("date", _date, 0.9),
    Construction("age", _age, 0.8),
    Construction("number", _number, 1.2),
    Construction("quantity", _quantity),
    Construction("more_than", _more_than, 0.6),
)
