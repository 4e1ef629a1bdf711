"""Pairs that hold a measure: temperatures, distances, weights, percentages, fractions, durations, large amounts."""

from __future__ import annotations

import random

from corpora.everyday.english_words import number_words
from corpora.everyday.frames import Pair, in_frame
from corpora.phrasebook.numbers import french_number

_SPACES = (" ", " ", "\u00a0", "\u202f")
_SYMBOLS = ("km", "m", "cm", "mm", "kg", "g", "mg", "l", "cl", "ml", "m²", "ha", "km/h", "W", "V", "Go", "Mo")
_ENGLISH_SYMBOLS = {"Go": "GB", "Mo": "MB"}
# French and English, both plural.
_UNITS = (
    ("kilomètres", "kilometres"),
    ("mètres", "metres"),
    ("centimètres", "centimetres"),
    ("millimètres", "millimetres"),
    ("kilos", "kilos"),
    ("kilogrammes", "kilograms"),
    ("grammes", "grams"),
    ("tonnes", "tonnes"),
    ("litres", "litres"),
    ("degrés", "degrees"),
    ("mètres carrés", "square metres"),
    ("kilomètres à l'heure", "kilometres per hour"),
    ("hectares", "hectares"),
    ("watts", "watts"),
)
_DURATIONS = (
    ("secondes", "seconds"),
    ("minutes", "minutes"),
    ("heures", "hours"),
    ("jours", "days"),
    ("semaines", "weeks"),
    ("mois", "months"),
    ("ans", "years"),
)
_APPROXIMATE = (
    ("une dizaine", "about ten"),
    ("une douzaine", "a dozen"),
    ("une quinzaine", "about fifteen"),
    ("une vingtaine", "about twenty"),
    ("une trentaine", "about thirty"),
    ("une cinquantaine", "about fifty"),
    ("une centaine", "about a hundred"),
    ("un millier", "about a thousand"),
    ("des dizaines", "dozens"),
    ("des centaines", "hundreds"),
    ("des milliers", "thousands"),
    ("des millions", "millions"),
)
_OF_WHAT = (("personnes", "people"), ("livres", "books"), ("voitures", "cars"), ("pages", "pages"), ("jours", "days"))
_FRACTIONS = (
    ("un demi", "one half"),
    ("la moitié", "half"),
    ("un tiers", "one third"),
    ("deux tiers", "two thirds"),
    ("un quart", "one quarter"),
    ("trois quarts", "three quarters"),
    ("un cinquième", "one fifth"),
    ("deux cinquièmes", "two fifths"),
    ("un sixième", "one sixth"),
    ("un huitième", "one eighth"),
    ("trois huitièmes", "three eighths"),
    ("un dixième", "one tenth"),
    ("un centième", "one hundredth"),
    ("un millième", "one thousandth"),
)


def measure_pair(draw: random.Random) -> Pair:
    """Return a pair of one family of measures."""
    families = (_symbol, _unit, _temperature, _percentage, _decimal, _fraction, _duration, _approximate, _large, _sum)
    return draw.choice(families)(draw)


def _decimals(draw: random.Random) -> Pair:
    """Return a number with French and English separators; half of them have decimals."""
    whole = draw.randrange(10 ** draw.randint(1, 4))
    tail = str(draw.randrange(1, 10 ** draw.randint(1, 2))) if draw.random() < 0.5 else ""
    french, english = f"{whole:,}".replace(",", draw.choice(_SPACES)), f"{whole:,}"
    return (f"{french},{tail}", f"{english}.{tail}") if tail else (french, english)


def _symbol(draw: random.Random) -> Pair:
    french, english = _decimals(draw)
    symbol = draw.choice(_SYMBOLS)
    space = draw.choice(_SPACES)
    french, english = f"{french}{space}{symbol}", f"{english} {_ENGLISH_SYMBOLS.get(symbol, symbol)}"
    frames = [
        ("{}", "{}"),
        ("{}", "{}"),
        ("environ {}", "about {}"),
        ("plus de {}", "more than {}"),
        ("moins de {}", "less than {}"),
        ("au moins {}", "at least {}"),
    ]
    if symbol in ("km", "m"):
        frames += [("à {} d'ici", "{} from here"), ("Il reste {}.", "There are {} left.")]
    if symbol == "m":
        frames += [("Il mesure {}.", "He is {} tall."), ("La pièce fait {} de long.", "The room is {} long.")]
    if symbol == "kg":
        frames += [("Il pèse {}.", "He weighs {}."), ("Le colis pèse {}.", "The parcel weighs {}.")]
    if symbol == "km/h":
        frames += [("Il roulait à {}.", "He was driving at {}."), ("limité à {}", "limited to {}")]
    return in_frame(draw, frames, french, english)


def _unit(draw: random.Random) -> Pair:
    number = draw.randint(2, 300)
    french_unit, english_unit = draw.choice(_UNITS)
    if draw.random() < 0.5:
        number = number + 1 if number % 10 == 1 else number
        french, english = french_number(number), number_words(number)
    else:
        french = english = str(number)
    frames = [
        ("{}", "{}"),
        ("environ {}", "about {}"),
        ("plus de {}", "more than {}"),
        ("moins de {}", "less than {}"),
        ("C'est à {}.", "It's {} away.") if "mètres" in french_unit else ("à peu près {}", "roughly {}"),
    ]
    return in_frame(draw, frames, f"{french} {french_unit}", f"{english} {english_unit}")


def _temperature(draw: random.Random) -> Pair:
    degrees = draw.randint(2, 45)
    sign, french_sign, english_sign = draw.choice((("", "", ""), ("", "", ""), ("-", "moins ", "minus ")))
    space = draw.choice(_SPACES)
    words = draw.choice(
        (
            (f"{sign}{degrees}{space}°C", f"{sign}{degrees}°C"),
            (f"{sign}{degrees}°", f"{sign}{degrees}°"),
            (f"{french_sign}{degrees} degrés", f"{english_sign}{degrees} degrees"),
            (f"{french_sign}{french_number(degrees)} degrés", f"{english_sign}{number_words(degrees)} degrees"),
        )
    )
    frames = [
        ("{}", "{}"),
        ("Il fait {}.", "It's {}."),
        ("Il fait {} dehors.", "It's {} outside."),
        ("La température est de {}.", "The temperature is {}."),
        ("Température : {}", "Temperature: {}"),
        ("{} à l'ombre", "{} in the shade"),
    ]
    return in_frame(draw, frames, *words)


def _percentage(draw: random.Random) -> Pair:
    number = draw.randint(1, 100)
    sign = draw.choice(("", "", "", "-", "+"))
    tail = draw.choice(("", "", ",5", f",{draw.randint(1, 9)}"))
    pair = (f"{sign}{number}{tail}{draw.choice((*_SPACES, ''))}%", f"{sign}{number}{tail.replace(',', '.')}%")
    frames = [("{}", "{}")]
    if not sign:
        frames += [
            ("{} des élèves", "{} of pupils"),
            ("{} de la population", "{} of the population"),
            ("une hausse de {}", "a rise of {}"),
            ("une baisse de {}", "a fall of {}"),
            ("une réduction de {}", "a {} discount"),
            ("Les prix ont augmenté de {}.", "Prices have risen by {}."),
            ("J'en suis sûr à {}.", "I'm {} sure."),
        ]
        if draw.random() < 0.3:
            pair = (f"{french_number(number)} pour cent", f"{number_words(number)} per cent")
    return in_frame(draw, frames, *pair)


def _decimal(draw: random.Random) -> Pair:
    whole, tail = draw.randint(0, 99), draw.randint(1, 99)
    if tail % 10 == 0 or draw.random() < 0.6:
        return f"{whole},{tail}", f"{whole}.{tail}"
    digit = tail % 10
    return (
        f"{french_number(whole)} virgule {french_number(digit)}",
        f"{number_words(whole)} point {number_words(digit)}",
    )


def _fraction(draw: random.Random) -> Pair:
    kind = draw.random()
    if kind < 0.3:
        below = draw.randint(2, 12)
        above = draw.randint(1, below - 1)
        return f"{above}/{below}", f"{above}/{below}"
    if kind < 0.5:
        score = draw.randint(0, 20)
        out_of = draw.choice((10, 20, 100))
        return f"{score} sur {out_of}", f"{score} out of {out_of}"
    french, english = draw.choice(_FRACTIONS)
    if french == "un demi":
        return french, english
    frames = [("{}", "{}"), ("{} de la population", "{} of the population"), ("{} du temps", "{} of the time")]
    return in_frame(draw, frames, french, english)


def _duration(draw: random.Random) -> Pair:
    number = draw.randint(2, 60)
    french_unit, english_unit = draw.choice(_DURATIONS)
    is_spoken = draw.random() < 0.5 and number % 10 != 1
    french = french_number(number) if is_spoken else str(number)
    english = number_words(number) if is_spoken else str(number)
    frames = [
        ("{}", "{}"),
        ("dans {}", "in {}"),
        ("il y a {}", "{} ago"),
        ("Il est parti il y a {}.", "He left {} ago."),
        ("pendant {}", "for {}"),
        ("J'habite ici depuis {}.", "I have lived here for {}."),
        ("J'attends depuis {}.", "I have been waiting for {}."),
        (
            "toutes les {}" if french_unit in ("secondes", "minutes", "heures", "semaines") else "tous les {}",
            "every {}",
        ),
        ("Ça dure {}.", "It lasts {}."),
        ("Le train arrive dans {}.", "The train arrives in {}."),
        ("Il reste {}.", "There are {} left."),
        ("{} plus tard", "{} later"),
        ("au bout de {}", "after {}"),
        ("en {}", "in {}"),
    ]
    if french_unit == "ans":
        frames += [("J'ai {}.", "I am {} old."), ("Il a {}.", "He is {} old."), ("à l'âge de {}", "at the age of {}")]
    pair = in_frame(draw, frames, f"{french} {french_unit}", f"{english} {english_unit}")
    return (pair[0], pair[1].removesuffix(" years")) if pair[0].startswith("à l'âge") else pair


def _approximate(draw: random.Random) -> Pair:
    (french, english), (what, english_what) = draw.choice(_APPROXIMATE), draw.choice(_OF_WHAT)
    joint = " of " if english.endswith("s") else " "
    return f"{french} de {what}", f"{english}{joint}{english_what}"


def _large(draw: random.Random) -> Pair:
    number, tail = draw.randint(2, 99), draw.randint(1, 9)
    french_size, english_size = draw.choice((("millions", "million"), ("milliards", "billion")))
    kind = draw.random()
    if kind < 0.4:
        french, english = str(number), str(number)
    elif kind < 0.7:
        french, english = f"{number},{tail}", f"{number}.{tail}"
    else:
        french, english = french_number(number), number_words(number)
    whats = [
        ("", ""),
        (" d'euros", " euros"),
        (" de dollars", " dollars"),
        (" d'habitants", " inhabitants"),
        (" de personnes", " people"),
        (" d'années", " years"),
    ]
    what, english_what = draw.choice(whats)
    return f"{french} {french_size}{what}", f"{english} {english_size}{english_what}"


def _sum(draw: random.Random) -> Pair:
    first, second = draw.randint(1, 20), draw.randint(1, 20)
    words, english_words = french_number(first), number_words(first)
    frames = [
        (f"{first} + {second} = {first + second}", f"{first} + {second} = {first + second}"),
        (f"{first} × {second} = {first * second}", f"{first} × {second} = {first * second}"),
        (
            f"{words} plus {french_number(second)} font {french_number(first + second)}",
            f"{english_words} plus {number_words(second)} is {number_words(first + second)}",
        ),
        (
            f"{words} fois {french_number(second)} font {french_number(first * second)}",
            f"{english_words} times {number_words(second)} is {number_words(first * second)}",
        ),
        (f"n° {first}", f"No. {first}"),
        (f"le numéro {first}", f"number {first}"),
        (f"numéro {words}", f"number {english_words}"),
        (f"{first} fois par jour", f"{first} times a day"),
        (f"taille {30 + first}", f"size {30 + first}"),
        (f"{first} à {second}", f"{first} to {second}"),
        (f"{first} x {second} cm", f"{first} x {second} cm"),
    ]
    french, english = draw.choice(frames[:-5] if first == 1 else frames)
    return french, english
