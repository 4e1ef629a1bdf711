"""Everyday situations: describing, comparing, being in and going to places, owning."""

from __future__ import annotations

from dataclasses import replace

from corpora.alignment import closed, linked, mark, parallel, plain
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
from corpora.phrasebook.lexicon import Adjective, Place
from corpora.phrasebook.phrases import Subject, noun_phrase
from corpora.phrasebook.sampler import OWNABLE, Sampler

_ETRE = named_verb("être")


def _attribute(sampler: Sampler) -> Sentences:
    subject, adjective = sampler.described()
    degrees = (("", ""), ("", ""), ("très", "very"), ("trop", "too"), ("vraiment", "really"))
    degree = sampler.choice(degrees) if adjective.is_gradable else ("", "")
    tense = sampler.choice(("present", "present", "present", "imparfait", "future"))
    clause = Clause(subject, _ETRE, tense, negation=maybe_negation(sampler, 0.2))
    form = adjective.agree(subject.gender, subject.is_plural)
    very, meaning = linked(*degree)
    form, english_form = linked(form, adjective.english)
    return statement(clause.with_tail(" ".join(filter(None, (very, form))), english.join(meaning, english_form)))


def _comparison(sampler: Sampler) -> Sentences:
    if sampler.chance(0.35):
        first, second = sampler.choice((sampler.name(), sampler.person().as_subject())), sampler.name()
        if plain(first.french) == plain(second.french):
            first = sampler.pronoun("il", "elle")
        people = [one for one in sampler.lexicon.adjectives if "person" in one.tags and one.is_gradable]
        adjective = sampler.choice([one for one in people if one.english not in ("sick", "sure", "blond")])
    else:
        group = sampler.choice(_RIVALS)
        nouns = [noun for noun in sampler.lexicon.nouns if noun.has(group)]
        noun = sampler.graded_noun(group)
        other = sampler.choice([one for one in nouns if one != noun])
        chosen = sampler.adjective(noun, is_predicate=True, is_graded=True)
        assert chosen is not None, noun
        adjective, is_plural = chosen, sampler.chance(0.2)
        kind = (
            "definite"
            if noun.count in ("m", "x") or other.count in ("m", "x")
            else sampler.choice(("definite", "demonstrative"))
        )
        kind = "generic" if noun.has("sport", "subject", "tongue") else kind
        first = noun_phrase(noun, kind, is_plural).as_subject()
        second = noun_phrase(other, kind, is_plural).as_subject()
    return statement(compared(sampler, first, second, adjective))


_RIVALS = (
    "clothing",
    "fruit",
    "dish",
    "vehicle",
    "transport",
    "furniture",
    "animal",
    "sport",
    "subject",
    "media",
    "room",
    "tool",
    "job",
    "sight",
    "plant",
    "container",
    "device",
    "tongue",
)


def compared(sampler: Sampler, first: Subject, second: Subject, adjective: Adjective) -> Clause:
    """One is more, less or as adjective than another."""
    form = adjective.agree(first.gender, first.is_plural)
    degree, meaning = comparison(sampler.choice(("plus", "plus", "moins", "aussi")), form, adjective)
    clause = Clause(first, _ETRE, sampler.choice(("present", "present", "imparfait")))
    return clause.with_tail(f"{degree} {second.french}", f"{meaning} {second.english}")


_BETTER = {"bon": "meilleur", "bonne": "meilleure", "bons": "meilleurs", "bonnes": "meilleures"}


def comparison(how: str, form: str, adjective: Adjective) -> Sentences:
    """plus grand que, bigger than; less for moins, as … as for aussi."""
    than, english_than = linked("que", "as" if how == "aussi" else "than")
    more, shown = {"moins": "less", "aussi": "as"}.get(how, ""), adjective.english
    if how == "plus":
        more, _, shown = english.comparative(adjective.english).rpartition(" ")
    if how == "plus" and adjective.english == "good":
        degree, meaning = linked(_BETTER[form], shown)
    elif more:
        (degree, more), (form, shown) = linked(how, more), linked(form, shown)
        degree, meaning = f"{degree} {form}", f"{more} {shown}"
    else:
        degree, meaning = linked(f"{how} {form}", shown)
    return f"{degree} {than}", f"{meaning} {english_than}"


def _superlative(sampler: Sampler) -> Sentences:
    """le plus beau, la plus intéressante: before or after the noun as the adjective has it."""
    french_end, english_end, groups = sampler.choice(_FIELDS)
    noun = sampler.graded_noun(*groups)
    adjective = sampler.adjective(noun, is_graded=True) or next(
        one for one in sampler.lexicon.adjectives if one.forms[0] == "beau"
    )
    is_plural = noun.is_always_plural or sampler.chance(0.15)
    form = adjective.agree(noun.gender, is_plural)
    article = "les" if is_plural else "la" if noun.gender == "f" else "le"
    name = noun.french_plural if is_plural else noun.french
    degree = _BETTER[form] if adjective.english == "good" else f"plus {form}"
    degree, most = linked(degree, english.superlative(adjective.english))
    article, the = linked(article, "the")
    name, english_name = linked(name, noun.english_plural if is_plural else noun.english)
    before = adjective.position == "b"
    phrase = f"{article} {degree} {name}" if before else f"{article} {name} {article} {degree}"
    start, be = parallel("ce|sont", "these|are") if is_plural else parallel("c'|est", "it|'s")
    french_end, english_end = linked(french_end, english_end)
    return finish(f"{start} {phrase} {french_end}", f"{be} {the} {most} {english_name} {english_end}")


_FIELDS = (
    ("du monde", "in the world", ("sight", "media", "job", "dish", "animal", "eatery")),
    ("de la ville", "in the city", ("sight", "eatery", "job", "shop", "home", "public")),
    ("du magasin", "in the store", ("clothing", "furniture", "device", "toy", "jewel", "tool")),
    ("du quartier", "in the neighborhood", ("home", "shop", "job", "pet")),
    ("de l'année", "of the year", ("media", "event")),
    ("du marché", "at the market", ("fruit", "vegetable")),
    ("de la classe", "in the class", ("young",)),
    ("du pays", "in the country", ("landscape", "settlement", "sight", "water")),
)


def _there_is(sampler: Sampler) -> Sentences:
    spot, where, groups = sampler.choice(_SPOTS)
    draw = sampler.rng.random()
    noun = sampler.noun(*groups)
    sampler.note("noun-place", noun.french, _text(spot))
    spot, where = parallel(spot, where)
    is_plural = noun.count == "c" and sampler.chance(0.45)
    if draw < 0.25:
        phrase = noun_phrase(noun, "indefinite", noun.count == "c")
        start, tense = sampler.choice((("il n'y a pas", "present"), ("il n'y avait pas", "past")))
        agreement = "plural" if phrase.english_plural else "third"
        be = english.verb_group("be", "simple" if tense == "present" else "past", agreement, True).auxiliary
        no, not_ = linked("pas", "n't")
        start = f"{start.removesuffix(' pas')} {no}"
        return finish(f"{start} {phrase.negated()} {spot}", f"there {closed(be)}{not_} {phrase.english('any')} {where}")
    phrase = noun_phrase(noun, "indefinite", is_plural)
    agreement = "plural" if phrase.english_plural else "third"
    if draw < 0.55:
        start = sampler.choice(("est-ce qu'il y a", "y a-t-il", "il y a"))
        be = english.verb_group("be", "simple", agreement, True).auxiliary
        return finish(f"{start} {phrase.raw} {spot}", f"{be} there {phrase.english('any')} {where}", "?")
    start, tense = sampler.choice((("il y a", "simple"), ("il y a", "simple"), ("il y avait", "past")))
    be = english.verb_group("be", tense, agreement, False).auxiliary
    return finish(f"{start} {phrase.raw} {spot}", f"there {be} {phrase.english()} {where}")


_PASSERS_BY = ("young", "=homme", "=femme", "=touriste", "=policier", "=jardinier", "=client", "=musicien")


_SPOTS = (
    ("sur|la|table", "on|the|table", ("tableware", "desk", "fruit", "container", "food")),
    ("dans|le|jardin", "in|the|garden", ("plant", "animal", "toy", "furniture", *_PASSERS_BY)),
    ("dans|la|cuisine", "in|the|kitchen", ("tableware", "food", "furniture", "appliance")),
    ("près|d'ici", "near|here", ("shop", "public", "sight")),
    ("dans|la|rue", "in|the|street", ("vehicle", "pet", *_PASSERS_BY, "shop")),
    ("dans|le|sac", "in|the|bag", ("desk", "portable", "fruit", "snack")),
    ("dans|la|forêt", "in|the|forest", ("wild", "plant", "bird", "insect")),
    ("sous|le|lit", "under|the|bed", ("toy", "pet", "clothing", "container")),
    ("dans|le|salon", "in|the|living room", ("furniture", "switch", *_PASSERS_BY, "instrument")),
    ("à|la|ferme", "on|the|farm", ("animal",)),
    ("au|zoo", "at the|zoo", ("wild",)),
    ("dans|le|réfrigérateur", "in|the|refrigerator", ("food", "drink", "vegetable")),
    ("devant|la|maison", "in front of|the|house", ("vehicle", "plant", *_PASSERS_BY)),
    ("derrière|la|porte", "behind|the|door", (*_PASSERS_BY, "pet", "container")),
    ("dans|l'|armoire", "in|the|wardrobe", ("clothing", "linen")),
    ("en ville", "downtown", ("shop", "public", "sight", "event")),
    ("dans|le|ciel", "in|the|sky", ("sky", "bird", "=avion", "=cerf-volant")),
    ("sur|le|bureau", "on|the|desk", ("desk", "electronic", "paper", "written")),
)


def _text(spot: str) -> str:
    """A place without the marks between its parts."""
    return spot.replace("'|", "'").replace("|", " ")


def _location(sampler: Sampler) -> Sentences:
    spot, where, groups = sampler.choice(_SPOTS)
    noun = sampler.noun(*groups)
    sampler.note("noun-place", noun.french, _text(spot))
    spot, where = parallel(spot, where)
    kinds = ("definite", "possessive") if noun.has(*OWNABLE) and not noun.has("person") else ("definite",)
    subject = sampler.thing(noun, None, *kinds).as_subject()
    tense = sampler.choice(("present", "present", "imparfait"))
    clause = Clause(subject, _ETRE, tense, negation=maybe_negation(sampler, 0.2)).with_tail(spot, where)
    if tense == "present" and not clause.negation and sampler.chance(0.25):
        return finish(f"est-ce que {clause.french()}", clause.english_question(), "?")
    return statement(clause)


def in_place(place: Place) -> Sentences:
    """A city or country after "in" or "to": en France, au Japon, à Paris."""
    name = place.french if place.preposition == "à" else place.french.split(" ", 1)[-1].removeprefix("l'")
    name, english_name = linked(name, place.english)
    return f"{place.preposition} {name}", english_name


_MEANS = (
    ("en train", "by train"),
    ("en voiture", "by car"),
    ("en bus", "by bus"),
    ("à pied", "on foot"),
    ("à vélo", "by bike"),
)


_FAR_MEANS = (("en train", "by train"), ("en avion", "by plane"), ("en voiture", "by car"), ("en bateau", "by boat"))


_AT = {"école": "school", "église": "church"}


def _motion(sampler: Sampler) -> Sentences:
    """aller and retourner to shops, cities, countries and people's homes."""
    verb = named_verb(sampler.choice(("aller", "aller", "retourner")), "m")
    subject = sampler.subject()
    draw, means = sampler.rng.random(), list(_MEANS)
    if draw < 0.45:
        noun = sampler.noun("place")
        sampler.note("verb-object", verb.lemma, noun.french)
        phrase = noun_phrase(noun, "definite")
        tail, meaning = french.with_a(phrase.raw), f"to {mark(_AT.get(noun.french, phrase.english()), phrase.mark)}"
    elif draw < 0.75:
        place = sampler.choice(sampler.lexicon.places)
        sampler.note("verb-object", verb.lemma, place.french)
        tail, name = in_place(place)
        meaning, means = f"to {name}", list(_FAR_MEANS)
    else:
        hosts = (
            "family",
            "=médecin",
            "=dentiste",
            "=coiffeur",
            "=boulanger",
            "=boucher",
            "=avocat",
            "=voisin",
            "=amie",
        )
        host = sampler.choice((sampler.name(), sampler.person(*hosts, can_be_plural=False).as_subject()))
        tail, meaning = f"chez {host.french}", f"to {host.english}'s"
    tense = sampler.choice(("present", "past", "past", "future", "near"))
    clause = Clause(subject, verb, tense, negation=maybe_negation(sampler, 0.15)).with_tail(tail, meaning)
    if tense == "near":
        clause = replace(clause, tense="present", governor=GOING_TO)
    if draw < 0.75 and sampler.chance(0.3):
        clause = clause.with_tail(*sampler.choice(means))
    if tense == "present" or sampler.chance(0.5):
        return statement(clause)
    return timed(sampler, clause, time_slot(clause))


def _living(sampler: Sampler) -> Sentences:
    """habiter, travailler, étudier in cities and countries."""
    subject = sampler.subject()
    place = sampler.choice(sampler.lexicon.places)
    tail, name = in_place(place)
    verb = named_verb(sampler.choice(("habiter", "habiter", "travailler", "étudier")), "li")
    sampler.note("verb-place", verb.lemma, place.french)
    tense = sampler.choice(("present", "imparfait", "future", "past"))
    tense = "imparfait" if tense == "past" and verb.french == "habiter" else tense
    clause = Clause(subject, replace(verb, flags=""), tense, is_habit=True, negation=maybe_negation(sampler, 0.15))
    clause = clause.with_tail(tail, f"in {name}")
    if tense == "present" and not subject.is_named("je", "nous", "on") and sampler.chance(0.25):
        return finish(f"est-ce que {clause.french()}", clause.english_question(), "?")
    return statement(clause)


def _owner(sampler: Sampler) -> Sentences:
    """la voiture de Paul, être à, à qui."""
    noun = sampler.noun(
        "clothing", "vehicle", "portable", "pet", "home", "device", "instrument", "tool", "toy", "container"
    )
    sampler.note("construction-noun", sampler.construction, noun.french)
    is_plural = noun.is_always_plural or noun.has("pair") or (noun.count == "c" and sampler.chance(0.2))
    draw = sampler.rng.random()
    person = sampler.person("job", "family", "relation", can_be_plural=False) if sampler.chance(0.5) else None
    name = sampler.name()
    of = french.with_de(person.raw if person else name.french)
    to = french.with_a(person.raw if person else name.french)
    whose = person.english() if person else name.english
    start, be = parallel("ce|sont", "these|are") if is_plural else parallel("c'|est", "it|'s")
    thing = noun_phrase(noun, "definite", is_plural)
    shown = noun_phrase(noun, "demonstrative", is_plural)
    verb = "sont" if is_plural else "est"
    is_are = "are" if shown.english_plural else "is"
    if draw < 0.35:
        return finish(f"{start} {thing.raw} {of}", f"{be} {whose}'s {thing.english_body}")
    if draw < 0.6:
        adjective = sampler.adjective(noun, is_predicate=True)
        assert adjective is not None, noun
        form, shape = linked(adjective.agree(noun.gender, is_plural), adjective.english)
        verb, is_are = linked(verb, is_are)
        return finish(f"{thing.raw} {of} {verb} {form}", f"{whose}'s {thing.english_body} {is_are} {shape}")
    if draw < 0.75:
        verb, belong = linked(verb, "belong" if shown.english_plural else "belongs")
        return finish(f"{shown.raw} {verb} {to}", f"{shown.english()} {belong} to {whose}")
    if draw < 0.9:
        pronoun, mine = sampler.choice(
            (
                ("moi", "mine"),
                ("toi", "yours"),
                ("elle", "hers"),
                ("nous", "ours"),
                ("vous", "yours"),
                ("eux", "theirs"),
                ("lui", "his"),
            )
        )
        verb, is_are = linked(verb, is_are)
        return finish(f"{shown.raw} {verb} à {pronoun}", f"{shown.english()} {is_are} {mine}")
    verb, is_are = linked(verb, is_are)
    return finish(f"à qui {verb} {shown.raw}", f"whose {shown.english_body} {is_are} {shown.english_determiner}", "?")


CONSTRUCTIONS = (
    Construction("attribute", _attribute, 1.2),
    Construction("comparison", _comparison),
    Construction("superlative", _superlative, 0.7),
    Construction("there_is", _there_is),
    Construction("location", _location, 0.8),
    Construction("motion", _motion),
    Construction("living", _living, 0.8),
    Construction("owner", _owner, 0.9),
)
