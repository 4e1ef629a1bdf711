"""Names of people and cities, made-up names, and pairs that teach copying."""

from __future__ import annotations

import random

from corpora.everyday.frames import Pair

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
_SYLLABLES = [
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


def given_name(draw: random.Random) -> Pair:
    """Return a given name, or a made-up one, which is the same in both languages."""
    name = draw.choice(GIVEN_NAMES) if draw.random() < 0.7 else random_name(draw)
    return name, name


def city(draw: random.Random) -> Pair:
    """Return a city."""
    name = draw.choice(CITIES)
    return name, ENGLISH_CITIES.get(name, name)


def random_name(draw: random.Random) -> str:
    """Return a made-up proper name that has to be copied."""
    return "".join(draw.choice(_SYLLABLES) for _ in range(draw.randint(2, 4))).capitalize()


def copy_pair(draw: random.Random) -> Pair:
    """Return a sentence around something that stays as it is: a name, an address, a code."""
    name = f"{draw.choice(GIVEN_NAMES)} {random_name(draw)}" if draw.random() < 0.5 else random_name(draw)
    town = random_name(draw)
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
        (f"{name} habite à {town}.", f"{name} lives in {town}."),
        (f"{name} vient de {town}.", f"{name} comes from {town}."),
        (f"Voici {name}.", f"This is {name}."),
        (f"Connaissez-vous {name} ?", f"Do you know {name}?"),
        (f"J'ai rencontré {name} à {town}.", f"I met {name} in {town}."),
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
        (f"la ville de {town}", f"the town of {town}"),
    ]
    return draw.choice(frames)
