"""Numbers up to 999,999, ordinals, clock times and dates in words, in both languages."""

from __future__ import annotations

_FRENCH_UNITS = [
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
]
_FRENCH_UNITS += ["dix-sept", "dix-huit", "dix-neuf"]
_FRENCH_TENS = ("", "", "vingt", "trente", "quarante", "cinquante", "soixante")
_ENGLISH_UNITS = [
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
_ENGLISH_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
MONTHS = (
    ("janvier", "January"),
    ("février", "February"),
    ("mars", "March"),
    ("avril", "April"),
    ("mai", "May"),
    ("juin", "June"),
    ("juillet", "July"),
    ("août", "August"),
    ("septembre", "September"),
    ("octobre", "October"),
    ("novembre", "November"),
    ("décembre", "December"),
)
MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAYS = (
    ("lundi", "Monday"),
    ("mardi", "Tuesday"),
    ("mercredi", "Wednesday"),
    ("jeudi", "Thursday"),
    ("vendredi", "Friday"),
    ("samedi", "Saturday"),
    ("dimanche", "Sunday"),
)


def _check(number: int) -> None:
    if not 0 <= number <= 999_999:
        raise ValueError(f"number must be between 0 and 999999. Received: {number}.")


def french_number(number: int, is_feminine: bool = False) -> str:
    """A number in French words, in the classical spelling (hyphens below one hundred, cent and vingt agreeing).

    Args:
        number: 0 to 999,999.
        is_feminine: whether a final "un" becomes "une": vingt et une pommes.

    Raises:
        ValueError: if the number is out of range.
    """
    _check(number)
    thousands, rest = divmod(number, 1000)
    hundreds, below = divmod(rest, 100)
    parts = []
    if thousands:
        # Before mille, cents and quatre-vingts lose their s: deux cent mille.
        parts += ["mille"] if thousands == 1 else [_without_plural(french_number(thousands)), "mille"]
    if hundreds:
        # Cent takes an s when it is multiplied and nothing follows: deux cents, deux cent un.
        parts += ["cent"] if hundreds == 1 else [_FRENCH_UNITS[hundreds], "cent" if below else "cents"]
    if below or not parts:
        parts.append(_french_below_hundred(below))
    words = " ".join(parts)
    return words + "e" if is_feminine and below % 10 == 1 and words.endswith("un") else words


def french_ordinal(number: int) -> str:
    """Return a masculine ordinal in French words: premier, vingt et unième.

    Raises:
        ValueError: if the number is out of range.
    """
    if number == 1:
        return "premier"
    words = _without_plural(french_number(number))
    if words.endswith("cinq"):
        return f"{words}uième"
    if words.endswith("neuf"):
        return f"{words[:-1]}vième"
    return f"{words.removesuffix('e')}ième"


def _without_plural(words: str) -> str:
    return words[:-1] if words.endswith(("cents", "vingts")) else words


def _french_below_hundred(number: int) -> str:
    if number < 20:
        return _FRENCH_UNITS[number]
    tens, unit = divmod(number, 10)
    if tens in (7, 9):
        tens, unit = tens - 1, unit + 10
    if tens == 8:
        return "quatre-vingts" if unit == 0 else f"quatre-vingt-{_FRENCH_UNITS[unit]}"
    if unit in (1, 11):
        return f"{_FRENCH_TENS[tens]} et {_FRENCH_UNITS[unit]}"
    return _FRENCH_TENS[tens] + (f"-{_FRENCH_UNITS[unit]}" if unit else "")


def english_number(number: int) -> str:
    """A number in American English words: two hundred forty-one.

    Raises:
        ValueError: if the number is out of range.
    """
    _check(number)
    thousands, rest = divmod(number, 1000)
    hundreds, below = divmod(rest, 100)
    parts = [f"{english_number(thousands)} thousand"] if thousands else []
    if hundreds:
        parts.append(f"{_ENGLISH_UNITS[hundreds]} hundred")
    if below >= 20:
        tens, unit = divmod(below, 10)
        parts.append(_ENGLISH_TENS[tens] + (f"-{_ENGLISH_UNITS[unit]}" if unit else ""))
    elif below or not parts:
        parts.append(_ENGLISH_UNITS[below])
    return " ".join(parts)


def english_ordinal(number: int) -> str:
    """An ordinal in words: first, twelfth, twenty-third."""
    words = english_number(number)
    start = max(words.rfind("-"), words.rfind(" ")) + 1
    last = words[start:]
    regular = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return words[:start] + _ORDINALS.get(last, regular)


def clock_time(hour: int, minute: int) -> tuple[str, str]:
    """A time of day as spoken, in French and English.

    Args:
        hour: 0 (midnight) to 23; 12 is noon.
        minute: a multiple of five below sixty.
    """
    shown = (hour + 1) % 24 if minute > 30 else hour
    named = {0: ("minuit", "midnight"), 12: ("midi", "noon")}
    if shown in named:
        french_hour, english_hour = named[shown]
    else:
        twelve = shown % 12
        french_hour = f"{french_number(twelve, True)} heure{'s' if twelve > 1 else ''}"
        english_hour = english_number(twelve)
    half = "et demi" if shown in named else "et demie"
    french_minutes = {0: "", 15: "et quart", 30: half, 45: "moins le quart"}
    english_minutes = {15: "a quarter past", 30: "half past", 45: "a quarter to"}
    if minute > 30:
        tail = french_minutes.get(minute, f"moins {french_number(60 - minute)}")
        lead = english_minutes.get(minute, f"{english_number(60 - minute)} to")
    else:
        tail = french_minutes.get(minute, french_number(minute))
        lead = english_minutes.get(minute, f"{english_number(minute)} past")
    if minute == 0:
        return french_hour, english_hour if shown in named else f"{english_hour} o'clock"
    return f"{french_hour} {tail}", f"{lead} {english_hour}"


def date(day: int, month: int) -> tuple[str, str]:
    """A date with the day as a numeral: "3 mai", "May 3"; the first is "1er"."""
    french_month, english_month = MONTHS[month]
    return f"{'1er' if day == 1 else day} {french_month}", f"{english_month} {day}"
