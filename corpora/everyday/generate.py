"""Generator of short everyday pairs that running text lacks: numbers, dates, clock times, prices, names, courtesies.

    python corpora/everyday/generate.py data/everyday.parquet

The sentences are a function of the seed alone. Numbers reach a million; names and codes that nobody can know by heart
teach copying. Columns: `fr`, `en`, `source` (the kind, such as `number` or `courtesy`).
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FRENCH_UNITS = [
    "zéro",
    "un",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "six",
    "sept",
    "huit",
    "neuf",
    "dix",
    "onze",
    "douze",
    "treize",
    "quatorze",
    "quinze",
    "seize",
    "dix-sept",
    "dix-huit",
    "dix-neuf",
]
FRENCH_TENS = {2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante"}
ENGLISH_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
ENGLISH_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ENGLISH_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
MONTHS = list(
    zip(
        [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
        [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
        strict=True,
    )
)
DAYS = list(
    zip(
        ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
        strict=True,
    )
)
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
# French noun, English noun (both plural): what can be counted.
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

Pair = tuple[str, str]


def french_number(number: int) -> str:
    """Return a number from 0 to 999,999 in French words, in the spelling before 1990 (hyphens below 100)."""
    if number >= 1000:
        thousands, rest = divmod(number, 1000)
        head = "mille" if thousands == 1 else f"{_before_mille(french_number(thousands))} mille"
        return f"{head} {french_number(rest)}" if rest else head
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        head = "cent" if hundreds == 1 else f"{FRENCH_UNITS[hundreds]} cent"
        if rest:
            return f"{head} {french_number(rest)}"
        return head if hundreds == 1 else f"{head}s"
    if number < 20:
        return FRENCH_UNITS[number]
    tens, unit = divmod(number, 10)
    if tens in (7, 9):
        tens, unit = tens - 1, unit + 10
    word = "quatre-vingt" if tens == 8 else FRENCH_TENS[tens]
    if unit == 0:
        return f"{word}s" if tens == 8 else word
    joint = " et " if unit in (1, 11) and tens != 8 else "-"
    return f"{word}{joint}{FRENCH_UNITS[unit]}"


def _before_mille(words: str) -> str:
    """Return the words without the plural s that `cents` and `quatre-vingts` lose before `mille`."""
    return words[:-1] if words.endswith(("cents", "vingts")) else words


def english_number(number: int) -> str:
    """Return a number from 0 to 999,999 in American English words: no "and"."""
    if number >= 1000:
        thousands, rest = divmod(number, 1000)
        head = f"{english_number(thousands)} thousand"
        return f"{head} {english_number(rest)}" if rest else head
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        head = f"{ENGLISH_UNITS[hundreds]} hundred"
        return f"{head} {english_number(rest)}" if rest else head
    if number < 20:
        return ENGLISH_UNITS[number]
    tens, unit = divmod(number, 10)
    return f"{ENGLISH_TENS[tens]}-{ENGLISH_UNITS[unit]}" if unit else ENGLISH_TENS[tens]


def french_ordinal(number: int) -> str:
    """Return the masculine ordinal of a number from 1 to 999,999 in French words."""
    if number == 1:
        return "premier"
    words = french_number(number)
    words = _before_mille(words)
    if words.endswith("cinq"):
        return f"{words}uième"
    if words.endswith("neuf"):
        return f"{words[:-1]}vième"
    return f"{words.removesuffix('e')}ième"


def english_ordinal(number: int) -> str:
    """Return the ordinal of a number from 1 to 999,999 in English words."""
    words = english_number(number)
    start = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[start:]
    if last in ENGLISH_IRREGULAR_ORDINALS:
        return words[:start] + ENGLISH_IRREGULAR_ORDINALS[last]
    return f"{words[:-1]}ieth" if last.endswith("y") else f"{words}th"


def numeral_ordinal(number: int) -> str:
    """Return an English ordinal in digits, such as 21st."""
    if number % 100 in (11, 12, 13):
        return f"{number:,}th"
    return f"{number:,}" + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def draw_number(draw: random.Random, largest: int = 999_999) -> int:
    """Return a number whose size (digits) is uniform, so that small numbers are as frequent as large ones."""
    digits = draw.randint(1, len(str(largest)))
    return min(draw.randrange(10**digits), largest)


def number_pair(draw: random.Random) -> Pair:
    """Return a number alone or counting something, in words or in digits."""
    number = draw_number(draw)
    french_words, english_words = french_number(number), english_number(number)
    french_digits = f"{number:,}".replace(",", draw.choice((" ", "\u202f", "\u00a0", ".")))
    kind = draw.random()
    if kind < 0.35:
        return french_words, english_words
    if kind < 0.45 and number >= 1000:
        return french_digits, f"{number:,}"
    number = max(number, 2)
    french_noun, english_noun = draw.choice(COUNTED)
    if draw.random() < 0.5:
        french, english = french_number(number), english_number(number)
        if number % 100 == 1 or number % 100 == 21:
            french = french_number(number + 1)
            english = english_number(number + 1)
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
        french, english = french_ordinal(number), english_ordinal(number)
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
        ]
    )
    frames = [
        (f"le {french}", f"the {english}"),
        (f"le {french} {noun[0]}", f"the {english} {noun[1]}"),
        (f"C'est le {french} {noun[0]}.", f"It's the {english} {noun[1]}."),
        (f"Il est arrivé {french}.", f"He came in {english}."),
    ]
    return draw.choice(frames)


def date_pair(draw: random.Random) -> Pair:
    """Return a date, with or without weekday and year, alone or in a sentence."""
    day, (french_month, english_month) = draw.randint(1, 28), draw.choice(MONTHS)
    year = draw.randint(1000, 2100) if draw.random() < 0.3 else draw.randint(1900, 2035)
    french_day = "1er" if day == 1 else str(day)
    if draw.random() < 0.1:
        french_day = "premier" if day == 1 else french_number(day)
    french, english = f"{french_day} {french_month}", f"{english_month} {day}"
    if draw.random() < 0.6:
        french, english = f"{french} {year}", f"{english}, {year}"
    if draw.random() < 0.3:
        french_weekday, english_weekday = draw.choice(DAYS)
        french, english = f"{french_weekday} {french}", f"{english_weekday}, {english}"
        article = draw.choice(("", "le "))
    else:
        article = "le "
    frames = [
        (f"{article}{french}", english),
        (f"{article}{french}".capitalize(), english),
        (f"Nous sommes le {french}.", f"It's {english}."),
        (f"Elle est née le {french}.", f"She was born on {english}."),
        (f"Il est mort le {french}.", f"He died on {english}."),
        (f"La réunion aura lieu le {french}.", f"The meeting will take place on {english}."),
        (f"Le contrat a été signé le {french}.", f"The contract was signed on {english}."),
        (f"À partir du {french}", f"From {english}"),
        (f"Je serai absent jusqu'au {french}.", f"I will be away until {english}."),
        (f"en {french_month} {year}", f"in {english_month} {year}"),
        (f"en {year}", f"in {year}"),
        (f"au mois de {french_month}", f"in the month of {english_month}"),
        (f"Les élections auront lieu en {french_month}.", f"The elections will take place in {english_month}."),
    ]
    return draw.choice(frames)


def time_pair(draw: random.Random) -> Pair:
    """Return a clock time in digits or words, alone or in a sentence."""
    hour, minute = draw.randint(0, 23), draw.choice([0, 0, 5, 10, 15, 15, 20, 25, 30, 30, 35, 40, 45, 50, 55])
    minute = draw.randint(0, 59) if draw.random() < 0.2 else minute
    if draw.random() < 0.5:
        space = draw.choice((" ", "", "\u00a0"))
        french = f"{hour}{space}h{space}{minute:02d}" if minute or draw.random() < 0.3 else f"{hour}{space}h"
        french = f"{hour:02d}:{minute:02d}" if draw.random() < 0.15 else french
        english = f"{hour}:{minute:02d}"
    else:
        hour = draw.randint(1, 12)
        french, english = _spoken_time(hour, minute)
    frames = [
        (french, english),
        (f"Il est {french}.", f"It's {english}."),
        (f"à {french}", f"at {english}"),
        (f"Le train part à {french}.", f"The train leaves at {english}."),
        (f"On se voit à {french}.", f"I'll see you at {english}."),
        (f"Le magasin ouvre à {french}.", f"The shop opens at {english}."),
        (f"Le rendez-vous est à {french}.", f"The appointment is at {english}."),
        (f"Il est arrivé vers {french}.", f"He arrived around {english}."),
        (f"La réunion commence à {french}.", f"The meeting starts at {english}."),
    ]
    return draw.choice(frames)


def _spoken_time(hour: int, minute: int) -> Pair:
    """Return a time in words, as people say it: past up to half, to after it."""
    ahead = minute > 30 and minute % 5 == 0
    spoken_hour = hour % 12 + 1 if ahead else hour
    if spoken_hour == 12:
        french, english = ("midi", "noon") if (hour + minute) % 2 else ("minuit", "midnight")
    else:
        feminine = "une" if spoken_hour == 1 else french_number(spoken_hour)
        french, english = f"{feminine} heure{'s' if spoken_hour > 1 else ''}", english_number(spoken_hour)
    is_named = spoken_hour == 12
    if minute == 0:
        return french, english if is_named else f"{english} o'clock"
    if minute == 15:
        return f"{french} et quart", f"a quarter past {english}"
    if minute == 30:
        return f"{french} et {'demi' if is_named else 'demie'}", f"half past {english}"
    if minute == 45:
        return f"{french} moins le quart", f"a quarter to {english}"
    if ahead:
        return f"{french} moins {french_number(60 - minute)}", f"{english_number(60 - minute)} to {english}"
    french_minute = french_number(minute)
    french_minute = f"{french_minute[:-2]}une" if french_minute.endswith("un") else french_minute
    if minute % 5:
        return f"{french} {french_minute}", f"{english_number(minute)} minutes past {english}"
    return f"{french} {french_minute}", f"{english_number(minute)} past {english}"


def price_pair(draw: random.Random) -> Pair:
    """Return a price in digits or words, alone or in a sentence."""
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
        english = f"{english_number(euros)} euros"
        if cents and draw.random() < 0.6:
            joint = draw.choice((" ", " et "))
            tail = " centimes" if joint == " et " else ""
            french = f"{french}{joint}{french_number(cents)}{tail}"
            english = f"{english} {'and ' if tail else ''}{english_number(cents)}{' cents' if tail else ''}"
    frames = [
        (french, english),
        (f"Ça coûte {french}.", f"It costs {english}."),
        (f"Ça fait {french}.", f"That comes to {english}."),
        (f"Le billet coûte {french}.", f"The ticket costs {english}."),
        (f"J'ai payé {french}.", f"I paid {english}."),
        (f"Prix : {french}", f"Price: {english}"),
        (f"Total : {french}", f"Total: {english}"),
        (f"{french} par personne", f"{english} per person"),
    ]
    return draw.choice(frames)


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
    """Return each row of the table several times: bare, with a full stop or an exclamation mark, in small letters.

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


def main() -> None:
    """Write the rows to the Parquet file that the command line names."""
    parser = argparse.ArgumentParser(description="Write short everyday French-English pairs.")
    parser.add_argument("output", type=Path, help="Parquet file to write")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws (default: %(default)s)")
    arguments = parser.parse_args()
    french, english, kinds = zip(*generate(arguments.seed), strict=True)
    pq.write_table(pa.table({"fr": french, "en": english, "source": kinds}), arguments.output, compression="zstd")


if __name__ == "__main__":
    main()
