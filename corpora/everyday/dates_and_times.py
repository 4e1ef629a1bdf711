"""Pairs that hold a date or a clock time, in words or in digits."""

from __future__ import annotations

import random

from corpora.phrasebook.numbers import DAYS, MONTHS, english_number, french_number

Pair = tuple[str, str]


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
