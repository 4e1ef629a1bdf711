"""Pairs that hold a date or a clock time, in words or in digits."""

from __future__ import annotations

import random

from corpora.everyday.eras import era_pair
from corpora.everyday.frames import Pair, in_frame
from corpora.phrasebook.french import spell
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
    ("vers {}", "around {}"),
    ("avant {}", "before {}"),
    ("après {}", "after {}"),
    ("jusqu'à {}", "until {}"),
    ("Le film commence à {}.", "The film starts at {}."),
    ("Je me lève à {}.", "I get up at {}."),
    ("Rendez-vous à {}.", "See you at {}."),
]


def date_pair(draw: random.Random) -> Pair:
    """Return a date, with or without weekday and year, alone or in a sentence; one pair in five is an era."""
    if draw.random() < 0.2:
        return era_pair(draw)
    day, number = draw.randint(1, 28), draw.randint(1, 12)
    french_month, english_month = MONTHS[number - 1]
    of_month = spell("de", french_month)
    last = min(day + draw.randint(1, 10), 29)
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
        (f"{french_month} {year}", f"{english_month} {year}"),
        (f"du {french_day} au {last} {french_month}", f"from {english_month} {day} to {last}"),
        (f"Paris, le {french}", f"Paris, {english}"),
        (f"depuis le {french}", f"since {english}"),
        (f"avant le {french}", f"before {english}"),
        (f"le {day:02d}/{number:02d}/{year}", f"{day:02d}/{number:02d}/{year}"),
        (f"en {french_month} {year}", f"in {english_month} {year}"),
        (f"en {year}", f"in {year}"),
        (f"au mois {of_month}", f"in the month of {english_month}"),
        (f"Les élections auront lieu en {french_month}.", f"The elections will take place in {english_month}."),
    ]
    return draw.choice(frames)


def time_pair(draw: random.Random) -> Pair:
    """Return a clock time in digits or words, alone or in a sentence."""
    hour, minute = draw.randint(0, 23), draw.choice([0, 0, 5, 10, 15, 15, 20, 25, 30, 30, 35, 40, 45, 50, 55])
    minute = draw.randint(0, 59) if draw.random() < 0.2 else minute
    kind = draw.random()
    if kind < 0.08:
        return _opening_hours(draw)
    if kind < 0.15:
        french = english = f"{hour:02d}:{minute:02d}"
    elif kind < 0.55:
        french, english = _digital_time(draw, hour, minute)
    elif kind < 0.65:
        french, english = _time_of_day(draw, hour)
    else:
        french, english = _spoken_time(draw.randint(1, 12), minute)
    pair = in_frame(draw, _TIME_FRAMES, french, english)
    return pair[0], pair[1].replace(".m..", ".m.")


def _digital_time(draw: random.Random, hour: int, minute: int) -> Pair:
    """Return a time such as 18 h 30. From one in the afternoon it is p.m. in English: 6:30 p.m."""
    space = draw.choice((" ", "", "\u00a0"))
    has_minutes = minute > 0 or draw.random() < 0.3
    french = (
        f"{hour}{space}h{space}{minute:02d}" if has_minutes else f"{hour}{draw.choice((' h', ' h', 'h', ' heures'))}"
    )
    if hour == 1 and french.endswith("heures"):
        french = "1 heure"
    return french, twelve_hour_time(hour, minute, has_minutes)


def twelve_hour_time(hour: int, minute: int, has_minutes: bool) -> str:
    """Return an English clock time in digits: 8 o'clock, 8:05, 6 p.m., 6:30 p.m., 12:15 a.m.

    Args:
        hour: 0 to 23. The half of the day is stated for 0 and from 13.
        minute: 0 to 59.
        has_minutes: whether to write minutes, also if there are none.
    """
    half = " a.m." if hour == 0 else " p.m." if hour > 12 else ""
    shown = (hour - 1) % 12 + 1
    if has_minutes:
        return f"{shown}:{minute:02d}{half}"
    return str(shown) + (half or " o'clock")


def _time_of_day(draw: random.Random, hour: int) -> Pair:
    """Return a full hour of the morning, afternoon or evening, in digits or words."""
    shown = (hour - 1) % 12 + 1
    if shown == 12:
        return ("midi", "noon") if hour else ("minuit", "midnight")
    french_part, english_part = (
        ("du matin", "in the morning")
        if hour < 12
        else ("de l'après-midi", "in the afternoon")
        if hour < 18
        else ("du soir", "in the evening")
    )
    is_spoken = draw.random() < 0.6
    french = french_number(shown, is_feminine=True) if is_spoken else str(shown)
    english = f"{english_number(shown) if is_spoken else shown} o'clock"
    return f"{french} heure{'s' if shown > 1 else ''} {french_part}", f"{english} {english_part}"


def _opening_hours(draw: random.Random) -> Pair:
    """Return a span of two times, as on the door of a shop."""
    opens, closes = draw.randint(6, 11), draw.randint(14, 23)
    minute = draw.choice((0, 0, 30))
    space = draw.choice((" ", ""))
    tail = f"{space}{minute:02d}" if minute else ""
    english_tail = f":{minute:02d}" if minute else ""
    french = f"de {opens}{space}h à {closes}{space}h{tail}"
    english = f"from {opens} a.m. to {closes - 12}{english_tail} p.m."
    french_day, english_day = draw.choice(DAYS)
    frames = [
        ("{}", "{}"),
        ("Ouvert {}", "Open {}"),
        ("Ouvert tous les jours {}", "Open every day {}"),
        (f"le {french_day} {{}}", f"on {english_day}s {{}}"),
        ("Nous sommes ouverts {}", "We are open {}"),
    ]
    return in_frame(draw, frames, french, english)


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
