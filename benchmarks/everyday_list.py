"""A list of 150 everyday French inputs that no training data was made from, with English references.

    python benchmarks/everyday_list.py                       # prints fr, en and kind, separated by tabs
    python benchmarks/everyday_list.py --seed 7 --output list.tsv

100 rows are written by hand, in everyday_list.tsv: greetings, courtesies, single words, signs, questions and their
answers. 50 are drawn from the seed: numbers, dates, clock times and prices. Where several translations are right, `en`
holds them all, the first one the most usual, separated by ` | `: a translation is right if it is any of them.

Drawn rows have one reference each, in American usage: `one hundred five`, `March 3, 1998`, `8:30 p.m.`, `€12.50`. Who
compares strings should know that `one hundred and five` or `3 March 1998` is right too. Hours from 13 on are p.m.; an
earlier one says nothing about the time of day, in French as in English. Spelled numbers have the traditional hyphens
of France, below one hundred only.
"""

from __future__ import annotations

import argparse
import datetime
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

HAND_WRITTEN = Path(__file__).with_suffix(".tsv")
HEADER = "fr\ten\tkind"
SEED = 2026

Row = tuple[str, str, str]
Form = Callable[[random.Random], tuple[str, str]]


def words(text: str) -> list[str]:
    """The words of a line, which reads better than a list of strings."""
    return text.split()


FRENCH_SMALL = words(
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit "
    "dix-neuf"
)
FRENCH_TENS = {20: "vingt", 30: "trente", 40: "quarante", 50: "cinquante", 60: "soixante", 80: "quatre-vingt"}
ENGLISH_SMALL = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
ENGLISH_TENS = words("zero ten twenty thirty forty fifty sixty seventy eighty ninety")
FRENCH_MONTHS = words("janvier février mars avril mai juin juillet août septembre octobre novembre décembre")
ENGLISH_MONTHS = words("January February March April May June July August September October November December")
FRENCH_WEEKDAYS = words("lundi mardi mercredi jeudi vendredi samedi dimanche")
ENGLISH_WEEKDAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")


def french_below_hundred(number: int) -> str:
    """Spell 0 to 99, as a last word: 80 has its s."""
    if number < 20:
        return FRENCH_SMALL[number]
    if number == 80:
        return "quatre-vingts"
    tens = max(start for start in FRENCH_TENS if start <= number)
    rest = number - tens
    if rest == 0:
        return FRENCH_TENS[tens]
    link = " et " if rest in (1, 11) and tens != 80 else "-"
    return FRENCH_TENS[tens] + link + FRENCH_SMALL[rest]


def french_below_thousand(number: int) -> str:
    """Spell 0 to 999, as last words: whole hundreds have their s."""
    hundreds, rest = divmod(number, 100)
    if hundreds == 0:
        return french_below_hundred(rest)
    head = "cent" if hundreds == 1 else f"{FRENCH_SMALL[hundreds]} cent"
    if rest == 0:
        return head if hundreds == 1 else head + "s"
    return f"{head} {french_below_hundred(rest)}"


def french_words(number: int) -> str:
    """Spell 0 to 1,000,000 as in France. Before mille, cent and vingt lose their s."""
    if number == 1_000_000:
        return "un million"
    thousands, rest = divmod(number, 1000)
    if thousands == 0:
        return french_below_thousand(rest)
    counted = french_below_thousand(thousands)
    if counted.endswith(("cents", "vingts")):
        counted = counted[:-1]
    head = "mille" if thousands == 1 else f"{counted} mille"
    return head if rest == 0 else f"{head} {french_below_thousand(rest)}"


def english_words(number: int) -> str:
    """Spell 0 to 1,000,000, without `and`."""
    if number == 1_000_000:
        return "one million"
    if number < 20:
        return ENGLISH_SMALL[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return ENGLISH_TENS[tens] + (f"-{ENGLISH_SMALL[rest]}" if rest else "")
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    count, rest = divmod(number, size)
    return f"{english_words(count)} {name}" + (f" {english_words(rest)}" if rest else "")


def french_digits(number: int) -> str:
    """Write a number in digits, in groups of three with spaces."""
    return f"{number:,}".replace(",", " ")


def of_any_size(rng: random.Random, low_digits: int, high_digits: int) -> int:
    """Draw a number after its count of digits, so that small and large ones are as frequent."""
    digits = rng.randint(low_digits, high_digits)
    return rng.randrange(10 ** (digits - 1), 10**digits)


def spelled_number(rng: random.Random) -> tuple[str, str]:
    """Draw a number in words, up to a million."""
    number = of_any_size(rng, 2, 6)
    return french_words(number), english_words(number)


def spelled_with_large_tens(rng: random.Random) -> tuple[str, str]:
    """Draw a number from 70 to 99, where France counts by sixty and by eighty, alone or after hundreds."""
    number = rng.randrange(70, 100) + 100 * rng.randrange(0, 10)
    return french_words(number), english_words(number)


def spelled_round_number(rng: random.Random) -> tuple[str, str]:
    """Draw whole thousands in words, a million among them."""
    number = 1000 * rng.randint(1, 10 ** rng.randint(1, 3))
    return french_words(number), english_words(number)


def number_in_digits(rng: random.Random) -> tuple[str, str]:
    """Draw a number of four to six digits."""
    number = of_any_size(rng, 4, 6)
    return french_digits(number), f"{number:,}"


def decimal_number(rng: random.Random) -> tuple[str, str]:
    """Draw a number with one or two decimals, which French sets off by a comma."""
    whole, decimals = rng.randrange(0, 100), rng.choice([f"{rng.randint(1, 9)}", f"{rng.randint(11, 99)}"])
    return f"{whole},{decimals}", f"{whole}.{decimals}"


def any_day(rng: random.Random) -> datetime.date:
    """Draw a day from 1920 to 2029."""
    first = datetime.date(1920, 1, 1)
    return first + datetime.timedelta(days=rng.randrange((datetime.date(2030, 1, 1) - first).days))


def day_and_month(day: datetime.date) -> tuple[str, str]:
    """Write a day of a month: French has an ordinal for the first only."""
    number = "1er" if day.day == 1 else str(day.day)
    return f"{number} {FRENCH_MONTHS[day.month - 1]}", f"{ENGLISH_MONTHS[day.month - 1]} {day.day}"


def full_date(rng: random.Random) -> tuple[str, str]:
    """Draw a date with its year."""
    day = any_day(rng)
    french, english = day_and_month(day)
    return f"le {french} {day.year}", f"{english}, {day.year}"


def first_of_month(rng: random.Random) -> tuple[str, str]:
    """Draw the first day of a month, with its year."""
    day = any_day(rng).replace(day=1)
    french, english = day_and_month(day)
    return f"le {french} {day.year}", f"{english}, {day.year}"


def weekday_date(rng: random.Random) -> tuple[str, str]:
    """Draw a date with the day of the week, and no year."""
    day = any_day(rng)
    french, english = day_and_month(day)
    return f"{FRENCH_WEEKDAYS[day.weekday()]} {french}", f"{ENGLISH_WEEKDAYS[day.weekday()]}, {english}"


def weekday_full_date(rng: random.Random) -> tuple[str, str]:
    """Draw a date with the day of the week that it was, and its year."""
    day = any_day(rng)
    french, english = day_and_month(day)
    return (
        f"le {FRENCH_WEEKDAYS[day.weekday()]} {french} {day.year}",
        f"{ENGLISH_WEEKDAYS[day.weekday()]}, {english}, {day.year}",
    )


def month_and_year(rng: random.Random) -> tuple[str, str]:
    """Draw a month of a year."""
    day = any_day(rng)
    return f"en {FRENCH_MONTHS[day.month - 1]} {day.year}", f"in {ENGLISH_MONTHS[day.month - 1]} {day.year}"


def french_hours(hour: int) -> str:
    """Spell an hour of the clock's face; heure is feminine."""
    return "une heure" if hour == 1 else f"{FRENCH_SMALL[hour]} heures"


def digital_time(rng: random.Random) -> tuple[str, str]:
    """Draw a time in digits, before noon or after."""
    hour, minute = rng.randrange(1, 24), rng.randrange(5, 60, 5)
    english = f"{hour}:{minute:02}" if hour < 13 else f"{hour - 12}:{minute:02} p.m."
    return f"{hour} h {minute:02}", english


def minutes_around(half: str, rng: random.Random) -> tuple[str, str]:
    """Draw minutes past or to an hour, as said after it in French and before it in English.

    `half` is the French half hour: `et demie` after heures, `et demi` after midi and minuit.
    """
    return rng.choice(
        [
            ("et quart", "a quarter past"),
            (half, "half past"),
            ("moins le quart", "a quarter to"),
            ("moins vingt", "twenty to"),
            ("moins dix", "ten to"),
            ("moins cinq", "five to"),
            ("cinq", "five past"),
            ("dix", "ten past"),
            ("vingt", "twenty past"),
        ]
    )


def spoken_time(rng: random.Random) -> tuple[str, str]:
    """Draw a time of the clock's face: the minutes past an hour, or those that it lacks."""
    hour = rng.randrange(1, 12)
    french, english = minutes_around("et demie", rng)
    return f"{french_hours(hour)} {french}", f"{english} {ENGLISH_SMALL[hour]}"


def noon_or_midnight(rng: random.Random) -> tuple[str, str]:
    """Draw a time around noon or midnight."""
    french_hour, english_hour = rng.choice([("midi", "noon"), ("minuit", "midnight")])
    french, english = minutes_around("et demi", rng)
    return f"{french_hour} {french}", f"{english} {english_hour}"


def hour_of_day(rng: random.Random) -> tuple[str, str]:
    """Draw a whole hour with the part of the day."""
    first, last, french, english = rng.choice(
        [
            (1, 11, "du matin", "in the morning"),
            (1, 5, "de l'après-midi", "in the afternoon"),
            (6, 9, "du soir", "in the evening"),
        ]
    )
    hour = rng.randint(first, last)
    return f"{french_hours(hour)} {french}", f"{ENGLISH_SMALL[hour]} {english}"


def euros_and_cents(rng: random.Random) -> tuple[str, str]:
    """Draw a price in digits with cents."""
    euros, cents = of_any_size(rng, 1, 3), rng.randrange(5, 100, 5)
    return f"{euros},{cents:02} €", f"€{euros}.{cents:02}"


def round_price(rng: random.Random) -> tuple[str, str]:
    """Draw a price in digits without cents."""
    euros = of_any_size(rng, 2, 5)
    return f"{french_digits(euros)} €", f"€{euros:,}"


def spelled_euros_and_cents(rng: random.Random) -> tuple[str, str]:
    """Draw a price as it is said, the cents without their name."""
    euros, cents = rng.randrange(1, 100), rng.randrange(10, 100, 5)
    plural = "s" if euros > 1 else ""
    return (
        f"{french_words(euros)} euro{plural} {french_words(cents)}",
        f"{english_words(euros)} euro{plural} {english_words(cents)}",
    )


def spelled_euros(rng: random.Random) -> tuple[str, str]:
    """Draw whole euros in words."""
    euros = of_any_size(rng, 2, 4)
    return f"{french_words(euros)} euros", f"{english_words(euros)} euros"


def spelled_cents(rng: random.Random) -> tuple[str, str]:
    """Draw less than one euro, in words."""
    cents = rng.randrange(2, 100)
    return f"{french_words(cents)} centimes", f"{english_words(cents)} cents"


# How many rows of each kind, and the forms that take turns in it.
DRAWN: dict[str, tuple[int, Sequence[Form]]] = {
    "number": (13, (spelled_number, spelled_with_large_tens, number_in_digits, spelled_round_number, decimal_number)),
    "date": (12, (full_date, weekday_date, weekday_full_date, month_and_year, first_of_month)),
    "time": (12, (digital_time, spoken_time, noon_or_midnight, hour_of_day)),
    "price": (13, (euros_and_cents, spelled_euros_and_cents, round_price, spelled_euros, spelled_cents)),
}


def hand_written_rows() -> list[Row]:
    """Read the rows written by hand: French, English, kind."""
    rows = []
    for line in HAND_WRITTEN.read_text(encoding="utf-8").splitlines()[1:]:
        french, english, kind = line.split("\t")
        rows.append((french, english, kind))
    return rows


def drawn_rows(seed: int) -> list[Row]:
    """Draw the rest, no French twice. Each kind has draws of its own, so that a change of one leaves the others."""
    rows: list[Row] = []
    for kind, (count, forms) in DRAWN.items():
        rng = random.Random(f"{seed} {kind}")
        drawn: dict[str, str] = {}
        while len(drawn) < count:
            french, english = forms[len(drawn) % len(forms)](rng)
            drawn.setdefault(french, english)
        rows += [(french, english, kind) for french, english in drawn.items()]
    return rows


def everyday_list(seed: int) -> str:
    """The whole list as text: the header and 150 rows."""
    return "".join(line + "\n" for line in [HEADER, *map("\t".join, hand_written_rows() + drawn_rows(seed))])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the list, or write it to a file."""
    parser = argparse.ArgumentParser(description="A list of 150 everyday French inputs with English references.")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the 50 drawn rows (default: {SEED})")
    parser.add_argument("--output", type=Path, help="write the list here instead of printing it")
    options = parser.parse_args(arguments)
    text = everyday_list(options.seed)
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
