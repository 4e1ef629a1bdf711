"""Pairs that hold a number, an ordinal or a price, in words or in digits."""

from __future__ import annotations

import random

from corpora.everyday.english_words import number_words, ordinal_words
from corpora.everyday.frames import Pair, in_frame
from corpora.phrasebook.numbers import french_number, french_ordinal

# French noun, English noun, both plural.
COUNTED = [
    ("personnes", "people"),
    ("enfants", "children"),
    ("hommes", "men"),
    ("femmes", "women"),
    ("élèves", "pupils"),
    ("habitants", "inhabitants"),
    ("voitures", "cars"),
    ("maisons", "houses"),
    ("livres", "books"),
    ("pages", "pages"),
    ("jours", "days"),
    ("ans", "years"),
    ("heures", "hours"),
    ("minutes", "minutes"),
    ("kilomètres", "kilometres"),
    ("mètres", "metres"),
    ("kilos", "kilos"),
    ("litres", "litres"),
    ("pommes", "apples"),
    ("chats", "cats"),
    ("chiens", "dogs"),
    ("billets", "tickets"),
    ("chambres", "rooms"),
    ("salariés", "employees"),
    ("emplois", "jobs"),
    ("soldats", "soldiers"),
    ("points", "points"),
    ("fois", "times"),
]
_PRICE_FRAMES = [
    ("{}", "{}"),
    ("Ça coûte {}.", "It costs {}."),
    ("Ça fait {}.", "That comes to {}."),
    ("Le billet coûte {}.", "The ticket costs {}."),
    ("J'ai payé {}.", "I paid {}."),
    ("Prix : {}", "Price: {}"),
    ("Total : {}", "Total: {}"),
    ("{} par personne", "{} per person"),
    ("{} le kilo", "{} a kilo"),
    ("{} par mois", "{} a month"),
    ("à partir de {}", "from {}"),
    ("moins de {}", "less than {}"),
    ("C'est {}.", "It's {}."),
    ("Il me doit {}.", "He owes me {}."),
]


def draw_number(draw: random.Random, largest: int = 999_999) -> int:
    """Return a number whose size (digits) is uniform, so that small numbers are as frequent as large ones."""
    digits = draw.randint(1, len(str(largest)))
    return min(draw.randrange(10**digits), largest)


def number_pair(draw: random.Random) -> Pair:
    """Return a number alone or counting something, in words or in digits."""
    number = draw_number(draw)
    french_words, english_words = french_number(number), number_words(number)
    french_digits = f"{number:,}".replace(",", draw.choice((" ", "\u202f", "\u00a0", ".")))
    kind = draw.random()
    if kind < 0.35:
        return french_words, english_words
    if kind < 0.45 and number >= 1000:
        return french_digits, f"{number:,}"
    number = max(number, 2)
    french_noun, english_noun = draw.choice(COUNTED)
    if draw.random() < 0.5:
        french, english = french_number(number), number_words(number)
        if number % 100 == 1 or number % 100 == 21:
            french = french_number(number + 1)
            english = number_words(number + 1)
    else:
        french, english = f"{number:,}".replace(",", draw.choice((" ", "\u202f"))), f"{number:,}"
    frames = [
        (f"{french} {french_noun}", f"{english} {english_noun}"),
        (f"Il y a {french} {french_noun}.", f"There are {english} {english_noun}."),
        (f"J'ai compté {french} {french_noun}.", f"I counted {english} {english_noun}."),
        (f"Nous avons besoin de {french} {french_noun}.", f"We need {english} {english_noun}."),
        (f"Plus de {french} {french_noun} sont là.", f"More than {english} {english_noun} are there."),
        (f"{french.capitalize()} {french_noun} suffisent.", f"{english.capitalize()} {english_noun} are enough."),
        (f"Il manque {french} {french_noun}.", f"{english.capitalize()} {english_noun} are missing."),
    ]
    return draw.choice(frames)


def ordinal_pair(draw: random.Random) -> Pair:
    """Return an ordinal in words or digits, alone or in a phrase."""
    number = max(1, draw_number(draw, 999))
    if draw.random() < 0.5:
        french, english = french_ordinal(number), ordinal_words(number)
    else:
        french, english = ("1er" if number == 1 else f"{number}e"), numeral_ordinal(number)
    noun = draw.choice(
        [
            ("jour", "day"),
            ("étage", "floor"),
            ("siècle", "century"),
            ("chapitre", "chapter"),
            ("tour", "round"),
            ("anniversaire", "birthday"),
            ("arrondissement", "district"),
            ("essai", "attempt"),
            ("enfant", "child"),
            ("livre", "book"),
            ("prix", "prize"),
            ("mois", "month"),
        ]
    )
    frames = [
        (f"le {french}", f"the {english}"),
        (f"le {french} {noun[0]}", f"the {english} {noun[1]}"),
        (f"C'est le {french} {noun[0]}.", f"It's the {english} {noun[1]}."),
        (f"Il est arrivé {french}.", f"He came in {english}."),
    ]
    return draw.choice(frames)


def numeral_ordinal(number: int) -> str:
    """Return an English ordinal in digits, such as 21st."""
    if number % 100 in (11, 12, 13):
        return f"{number:,}th"
    return f"{number:,}" + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def price_pair(draw: random.Random) -> Pair:
    """Return a price in digits or words, alone or in a sentence; one in 20 in cents alone."""
    if draw.random() < 0.05:
        cents = draw.randint(2, 99)
        french, english = (
            (str(cents), str(cents)) if draw.random() < 0.5 else (french_number(cents), number_words(cents))
        )
        return in_frame(draw, _PRICE_FRAMES, f"{french} centimes", f"{english} cents")
    euros, cents = draw_number(draw, 99_999), draw.choice([0, 5, 10, 20, 25, 30, 40, 50, 60, 75, 80, 90, 95, 99])
    unit = draw.choice([("€", "€"), ("€", "€"), ("€", "€"), ("$", "$"), ("£", "£")])
    kind = draw.random()
    if kind < 0.45:
        amount = f"{euros:,}".replace(",", " ")
        space = draw.choice((" ", "\u00a0"))
        french = f"{amount},{cents:02d}{space}{unit[0]}" if cents else f"{amount}{space}{unit[0]}"
        english = f"{unit[1]}{euros:,}.{cents:02d}" if cents else f"{unit[1]}{euros:,}"
    elif kind < 0.7:
        euros = max(2, euros)
        amount = f"{euros:,}".replace(",", " ")
        french, english = f"{amount} euros", f"{euros:,} euros"
    else:
        euros = max(2, draw_number(draw, 9999))
        french = f"{french_number(euros)} euros"
        english = f"{number_words(euros)} euros"
        if cents and draw.random() < 0.6:
            joint = draw.choice((" ", " et "))
            tail = " centimes" if joint == " et " else ""
            french = f"{french}{joint}{french_number(cents)}{tail}"
            english = f"{english} {'and ' if tail else ''}{number_words(cents)}{' cents' if tail else ''}"
    return in_frame(draw, _PRICE_FRAMES, french, english)
