"""Generator of short everyday pairs that running text lacks: numbers, dates, clock times, prices, names, courtesies.

    python -m corpora.everyday data/everyday.parquet

The pairs are a function of the seed alone. Numbers reach a million. Made-up names and codes teach copying.
`courtesies.tsv` holds greetings, thanks, signs and labels of forms, with places for a name, a city or a number.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from corpora.everyday.dates_and_times import date_pair, time_pair
from corpora.everyday.frames import Pair
from corpora.everyday.quantities import number_pair, ordinal_pair, price_pair

__all__ = ["generate"]

GIVEN_NAMES = [
    "Marie",
    "Jean",
    "Pierre",
    "Paul",
    "Sophie",
    "Julie",
    "Thomas",
    "Nicolas",
    "Camille",
    "Léa",
    "Hugo",
    "Louis",
    "Emma",
    "Chloé",
    "Manon",
    "Lucas",
    "Antoine",
    "Claire",
    "Hélène",
    "Mehdi",
    "Fatima",
    "Karim",
    "Yasmine",
    "Ousmane",
    "Aminata",
    "Li",
    "Wei",
    "Yuki",
    "Anna",
    "Olga",
    "Ivan",
    "Carlos",
    "Lucía",
    "Marco",
    "Giulia",
    "Hans",
    "Ingrid",
    "Mohamed",
    "Aïcha",
    "Samuel",
    "David",
    "Sarah",
    "Rachel",
    "Mathilde",
    "Étienne",
    "Benoît",
    "Céline",
    "Inès",
]
CITIES = [
    "Paris",
    "Lyon",
    "Marseille",
    "Toulouse",
    "Nantes",
    "Lille",
    "Bordeaux",
    "Strasbourg",
    "Rennes",
    "Nice",
    "Grenoble",
    "Dijon",
    "Genève",
    "Montréal",
    "Québec",
    "Bruxelles",
    "Londres",
    "Berlin",
    "Madrid",
    "Rome",
    "Tokyo",
    "Boston",
    "Dakar",
    "Alger",
    "Tunis",
    "Rabat",
]
ENGLISH_CITIES = {
    "Genève": "Geneva",
    "Montréal": "Montreal",
    "Québec": "Quebec City",
    "Bruxelles": "Brussels",
    "Londres": "London",
    "Alger": "Algiers",
}
SYLLABLES = [
    "ba",
    "be",
    "bi",
    "bo",
    "bra",
    "ca",
    "cel",
    "co",
    "da",
    "del",
    "di",
    "dor",
    "du",
    "fa",
    "fer",
    "ga",
    "ger",
    "go",
    "gra",
    "ka",
    "kel",
    "ki",
    "ko",
    "kra",
    "la",
    "le",
    "lin",
    "lo",
    "ma",
    "mar",
    "mi",
    "mo",
    "na",
    "nel",
    "ni",
    "no",
    "pa",
    "per",
    "pi",
    "pol",
    "ra",
    "re",
    "ri",
    "ro",
    "sa",
    "sel",
    "si",
    "so",
    "ta",
    "tel",
    "ti",
    "tor",
    "va",
    "vel",
    "vi",
    "vo",
    "wa",
    "wen",
    "za",
    "zel",
    "zi",
]


def generate(seed: int = 1) -> list[tuple[str, str, str]]:
    """Return distinct (French, English, kind) rows in a fixed order; courtesies keep their repetitions."""
    rows: list[tuple[str, str, str]] = []
    for kind, (make, count) in GENERATORS.items():
        draw = random.Random(f"{seed} {kind}")
        rows += [(*pair, kind) for pair in dict.fromkeys(make(draw) for _ in range(count))]
    table = Path(__file__).with_name("courtesies.tsv").read_text(encoding="utf-8").splitlines()[1:]
    pairs: list[Pair] = [(french, english) for french, english in (line.split("\t") for line in table)]
    rows += [(*pair, "courtesy") for pair in courtesy_pairs(random.Random(f"{seed} courtesy"), pairs, 20)]
    return rows


def random_name(draw: random.Random) -> str:
    """Return a made-up proper name that has to be copied."""
    return "".join(draw.choice(SYLLABLES) for _ in range(draw.randint(2, 4))).capitalize()


def copy_pair(draw: random.Random) -> Pair:
    """Return a sentence around something that stays as it is: a name, an address, a code."""
    name = f"{draw.choice(GIVEN_NAMES)} {random_name(draw)}" if draw.random() < 0.5 else random_name(draw)
    city = random_name(draw)
    code = "".join(draw.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789-") for _ in range(draw.randint(4, 9))).strip("-")
    host = random_name(draw).lower()
    mail = f"{random_name(draw).lower()}@{host}.{draw.choice(('fr', 'com', 'org'))}"
    site = f"{draw.choice(('https://www.', 'www.', 'https://'))}{host}.{draw.choice(('fr', 'com', 'org', 'net'))}"
    phone = " ".join(f"{draw.randrange(100):02d}" for _ in range(5))
    frames = [
        (f"Je m'appelle {name}.", f"My name is {name}."),
        (f"M. {name}", f"Mr. {name}"),
        (f"Mme {name}", f"Mrs. {name}"),
        (f"M. {name} est absent.", f"Mr. {name} is away."),
        (f"Mme {name} est arrivée.", f"Mrs. {name} has arrived."),
        (f"Le docteur {name} vous attend.", f"Doctor {name} is waiting for you."),
        (f"{name} habite à {city}.", f"{name} lives in {city}."),
        (f"{name} vient de {city}.", f"{name} comes from {city}."),
        (f"Voici {name}.", f"This is {name}."),
        (f"Connaissez-vous {name} ?", f"Do you know {name}?"),
        (f"J'ai rencontré {name} à {city}.", f"I met {name} in {city}."),
        (f"Écrivez à {mail}.", f"Write to {mail}."),
        (f"Mon adresse est {mail}.", f"My address is {mail}."),
        (f"Consultez {site}", f"See {site}"),
        (f"Rendez-vous sur {site} pour en savoir plus.", f"Go to {site} to find out more."),
        (f"Votre code est {code}.", f"Your code is {code}."),
        (f"Référence : {code}", f"Reference: {code}"),
        (f"Vol {code}", f"Flight {code}"),
        (f"Appelez le {phone}.", f"Call {phone}."),
        (f"Tél. : {phone}", f"Tel.: {phone}"),
        (name, name),
        (f"la ville de {city}", f"the town of {city}"),
    ]
    return draw.choice(frames)


def courtesy_pairs(draw: random.Random, rows: list[Pair], count: int) -> list[Pair]:
    """Return each row of the table several times: bare, with a full stop or an exclamation mark, in lowercase.

    A question of the table ends by "?" in English; its French gets the mark after a space, or none.
    """
    pairs = []
    for french, english in rows:
        for _ in range(count):
            name = draw.choice(GIVEN_NAMES) if draw.random() < 0.7 else random_name(draw)
            city = draw.choice(CITIES)
            number = str(draw.randint(1, 40))
            source = french.format(name=name, city=city, small=number)
            target = english.format(name=name, city=ENGLISH_CITIES.get(city, city), small=number)
            pairs.append(_with_mark(draw, source, target))
    return pairs


def _with_mark(draw: random.Random, french: str, english: str) -> Pair:
    kind = draw.random()
    if english.endswith("?"):
        return (f"{french} ?" if kind < 0.8 else f"{french}?" if kind < 0.9 else french), english
    bare = english.rstrip("!.")
    if kind < 0.4:
        return french, bare if not english.endswith("!") else english
    if kind < 0.7:
        return f"{french}.", f"{bare}."
    if kind < 0.85:
        return f"{french} !", f"{bare}!"
    if kind < 0.92:
        return f"{french}!", f"{bare}!"
    return french[:1].lower() + french[1:], bare[:1].lower() + bare[1:] if bare[:2] not in ("I ", "I'") else bare


GENERATORS: dict[str, tuple[Callable[[random.Random], Pair], int]] = {
    "number": (number_pair, 20000),
    "ordinal": (ordinal_pair, 3000),
    "date": (date_pair, 9000),
    "time": (time_pair, 7000),
    "price": (price_pair, 8000),
    "copy": (copy_pair, 12000),
}
