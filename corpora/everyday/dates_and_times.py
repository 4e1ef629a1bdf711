"""Pairs that hold a date or a clock time, in words or in digits."""

from __future__ import annotations

import random

from corpora.everyday.frames import Pair, in_frame
from corpora.phrasebook.numbers import DAYS, MONTHS, clock_time, english_number, french_number

_TIME_FRAMES = [
    ("{}", "{}"),
    ("Il est {}.", "It's {}."),
    ("à {}", "at {}"),
    ("Le train part à {}.", "The train leaves at {}."),
    ("On se voit à {}.", "I'll see you at {}."),
    ("Le magasin ouvre à {}.", "The shop opens at {}."),
    ("Le rendez-vous est à {}.", "The appointment is at {}."),
    ("Il est arrivé vers {}.", "He arrived around {}."),
    ("La réunion commence à {}.", "The meeting starts at {}."),
]


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
    return in_frame(draw, _TIME_FRAMES, french, english)


def _spoken_time(hour: int, minute: int) -> Pair:
    """Return a time in words, as people say it: past up to half, to after it; other minutes are always past.

    Args:
        hour: 1 to 12. Twelve o'clock is noon or midnight, in turn.
        minute: 0 to 59.
    """
    is_ahead = minute > 30 and minute % 5 == 0
    is_noon = (hour + minute) % 2 == 1
    hour = hour % 12 + 12 * (is_noon != is_ahead)  # the other hours are said alike in the morning and the afternoon
    if minute % 5 == 0:
        return clock_time(hour, minute)
    french, english = clock_time(hour, 0)
    english = english.removesuffix(" o'clock")
    return f"{french} {french_number(minute, is_feminine=True)}", f"{english_number(minute)} minutes past {english}"
