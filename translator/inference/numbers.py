"""Comparison of the numbers of a text and its translation, whatever way each of them writes a number.

`1 000,5` and `1,000.5`, `14h30` and `2:30 p.m.`, `20` and `twenty`, `2 millions` and `2,000,000` are equal. The words
are those of French and English; in other languages only digits are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

_SPACES = " \u00a0\u202f\u2009"
# With groups of three digits, or without; then decimals.
NUMBER = re.compile(rf"(?<!\d)(?:\d{{1,3}}(?:[{_SPACES}.,'’]\d{{3}}(?!\d))+|\d+)(?:[.,]\d+)?")
_DECIMALS = re.compile(r"[.,](?!\d{3}\Z)\d+\Z")
_SEPARATOR = re.compile(r"\D+")
_FACTOR = re.compile(
    rf"[{_SPACES}-]?(?:(mille|thousand|k\b)|(millions?\b|m\b|mn\b)|(milliards?|billions?|bn\b))", re.IGNORECASE
)
_FACTORS = (10**3, 10**6, 10**9)
_HOUR = re.compile(rf"[{_SPACES}]?(?:h\b|h\d|heures?\b|:\d\d)", re.IGNORECASE)
_DECADE = re.compile(r"\b(?:années|ann[ée]e)\s\Z", re.IGNORECASE)
_PERCENT = re.compile(r"\b(?:p\.|pour) ?100\b")
_RANGE = re.compile(r"\d{2,4}[-–/]\Z")
_GROUP = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+")
_ROMAN = re.compile(r"\b(?=[IVXLC])(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})(?:er|re|e|ème)?\b")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}

_MAX_ABBREVIATION = 2  # letters
_MIN_RUN = 3  # numbers separated by white space, as the groups of a code
_MAX_TOLERATED = 2  # "1 an" is "a year", "2 fois" is "twice", "0" is written or not


def _values(text: str, start: int = 0, step: int = 1) -> dict[str, int]:
    """Return the values of words in counting order; words of equal value are joined by `/`."""
    return {word: start + step * place for place, words in enumerate(text.split()) for word in words.split("/")}


_UNITS = (
    _values(
        """zero one/first/once two/second/seconds/twice/both/couple/pair/double three/third/thirds/thrice/triple
        four/fourth/fourths five/fifth/fifths six/sixth seven/seventh eight/eighth nine/ninth ten/tenth/tenths
        eleven/eleventh twelve/twelfth/dozen thirteen/thirteenth fourteen/fourteenth/fortnight fifteen/fifteenth
        sixteen/sixteenth seventeen/seventeenth eighteen/eighteenth nineteen/nineteenth"""
    )
    | _values(
        """zéro un/une/premier/première deux/deuxième/second/seconde/double trois/troisième/tiers/triple
        quatre/quatrième/quart/quarts cinq/cinquième six/sixième sept/septième huit/huitième/huitaine neuf/neuvième
        dix/dixième/dizaine onze/onzième douze/douzième/douzaine/midi treize/treizième quatorze/quatorzième
        quinze/quinzième/quinzaine seize/seizième"""
    )
    | {"noon": 12, "midday": 12, "midnight": 0, "minuit": 0}
)
_TENS = (
    _values("ten twenty/twentieth thirty/thirtieth forty/fortieth fifty/fiftieth sixty seventy eighty ninety", 10, 10)
    | _values("ten twenties thirties forties fifties sixties seventies eighties nineties", 10, 10)
    | _values(
        "dix vingt/vingts/vingtaine/vingtième trente/trentaine quarante/quarantaine cinquante/cinquantaine", 10, 10
    )
    | {"soixante": 60, "soixantaine": 60, "septante": 70, "huitante": 80, "octante": 80, "nonante": 90}
)
_HUNDREDS = dict.fromkeys(("hundred", "hundreds", "cent", "cents", "centaine", "centaines", "centième"), 100)
_THOUSANDS = (
    dict.fromkeys(("thousand", "thousands", "mille", "millier", "milliers", "grand"), 10**3)
    | dict.fromkeys(("million", "millions"), 10**6)
    | dict.fromkeys(("billion", "billions", "milliard", "milliards"), 10**9)
)
_ADDED = _UNITS | _TENS
_MULTIPLIED = _HUNDREDS | _THOUSANDS
_MONTHS = """january/jan february/feb march/mar april/apr may june/jun july/jul august/aug september/sept/sep
    october/oct november/nov december/dec"""
_SKIPPED = {"and", "et", "a", "an"}
_ALSO: dict[str, tuple[int, ...]] = {
    "half": (2, 30),
    "demi": (2, 30),
    "demie": (2, 30),
    "moitié": (2, 50),
    "quarter": (4, 15, 45),
    "quarters": (4, 45),
    "quart": (4, 15),
    "percent": (100,),
    "midnight": (0, 12, 24),
    "midi": (12,),
    "score": (20,),
} | {name: (number + 1,) for number, names in enumerate(_MONTHS.split()) for name in names.split("/")}


def has_equal_numbers(source: str, target: str) -> bool:
    """Return True if the numbers of the source occur in the target, and the target has no others.

    A number occurs if one of its readings does, in digits or in words. 0, 1 and 2 need not occur, except in a run of
    numbers that only white space separates; the target has white space between all of them, or between none.
    """
    written, translated = _numbers(source), _numbers(target)
    if _uneven(written, target):
        return False
    if _are_alike(written, translated):
        return True
    return not _missing(written, target, translated) and not _missing(translated, source, written)


def missing_numbers(source: str, target: str) -> list[re.Match[str]]:
    """Return the numbers in digits of the source that are not in the target, each with the run that it belongs to."""
    written, translated = _numbers(source), _numbers(target)
    changed = _uneven(written, target)
    if not _are_alike(written, translated):
        changed += _missing(written, target, translated)
    starts = {number.start() for number in changed}
    for run in _runs(written) if changed else ():
        if starts.intersection(number.start() for number in run):
            starts.update(number.start() for number in run)
    return [number for number in written if number.start() in starts]


def _numbers(text: str) -> list[re.Match[str]]:
    """Return the numbers in digits of a text; that of `p. 100`, a percent sign, is not one."""
    return list(NUMBER.finditer(_PERCENT.sub(lambda match: " " * len(match[0]), text)))


def _missing(numbers: Sequence[re.Match[str]], text: str, others: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    """Return the numbers of one text that are not in another.

    Args:
        numbers: numbers in digits.
        text: the other text.
        others: its numbers in digits.
    """
    present = frozenset[str]().union(*map(_readings, others))
    needed = {number.start() for run in _runs(numbers) for number in run}
    missing = [
        number
        for number in numbers
        if not (_readings(number) & present or (_is_small(number) and number.start() not in needed))
    ]
    if not missing:
        return []
    present |= word_values(text) | _roman_values(text) | {piece for each in others for piece in _pieces(each[0])}
    return [each for each in missing if not (_readings(each) & present or _is_divided(each, present))]


def _are_alike(written: Sequence[re.Match[str]], translated: Sequence[re.Match[str]]) -> bool:
    """Return True if the digits of all numbers are the same, in groups of any size, as telephone numbers have."""
    if not written and not translated:
        return True
    return all(each(written) == each(translated) for each in (_digits, _num_decimals, _factors))


def _runs(numbers: Sequence[re.Match[str]]) -> Iterator[list[re.Match[str]]]:
    """Yield the numbers without separators that only white space separates, `_MIN_RUN` or more in a row."""
    if len(numbers) < _MIN_RUN:
        return
    run: list[re.Match[str]] = []
    for number in numbers:
        if run and not (number[0].isdecimal() and number.string[run[-1].end() : number.start()].isspace()):
            if len(run) >= _MIN_RUN:
                yield run
            run = []
        if number[0].isdecimal():
            run.append(number)
    if len(run) >= _MIN_RUN:
        yield run


def _uneven(numbers: Sequence[re.Match[str]], target: str) -> list[re.Match[str]]:
    """Return the numbers of runs whose target has white space in one place and signs in another: `4970 1012,3456`."""
    found = []
    for run in _runs(numbers):
        groups, wanted = list(_GROUP.finditer(target)), [number[0] for number in run]
        for start in range(len(groups) - len(run) + 1):
            part = groups[start : start + len(run)]
            if [group[0] for group in part] == wanted:
                between = {target[a.end() : b.start()].strip() for a, b in pairwise(part)}
                found += run if len(between) > 1 and "" in between else []
                break
    return found


def _digits(numbers: Iterable[re.Match[str]]) -> str:
    return "".join(_SEPARATOR.sub("", each[0]) for each in numbers)


def _num_decimals(numbers: Iterable[re.Match[str]]) -> int:
    return sum(bool(_DECIMALS.search(each[0])) for each in numbers)


def _factors(numbers: Iterable[re.Match[str]]) -> list[int]:
    """Return the group of `_FACTOR` after each number that has one."""
    return [match.lastindex or 0 for each in numbers if (match := _factor(each))]


def _factor(number: re.Match[str]) -> re.Match[str] | None:
    return _FACTOR.match(number.string, number.end())


def _is_small(number: re.Match[str]) -> bool:
    return number[0].isdecimal() and int(number[0]) <= _MAX_TOLERATED and not _factor(number)


def _is_divided(number: re.Match[str], present: frozenset[str]) -> bool:
    """Return True if the runs of digits of a number are present one by one, as those of a date."""
    return not _factor(number) and present.issuperset(_pieces(number[0]))


def _pieces(written: str) -> list[str]:
    """Return the runs of digits of a number, without leading zeros."""
    return [piece.lstrip("0") or "0" for piece in _SEPARATOR.split(written)]


def _readings(match: re.Match[str]) -> frozenset[str]:
    """Return the values that a number may have: separators may group three digits each, and the last begin decimals.

    An hour after 12 also has the value that it has on a twelve-hour clock, and a decade its first year.
    """
    parts = _SEPARATOR.split(match[0])
    whole = "".join(parts).lstrip("0") or "0"
    readings = {whole} if len(parts) == 1 or len(parts[-1]) == 3 else set()
    decimals = parts[-1].rstrip("0") if len(parts) > 1 else ""
    before = "".join(parts[:-1]).lstrip("0") or "0"
    if len(parts) > 1:
        readings.add(f"{before}.{decimals}" if decimals else before)
    text = match.string
    if factor := _factor(match):
        assert factor.lastindex is not None
        scaled = _multiplied(readings, _FACTORS[factor.lastindex - 1])
        readings = readings | scaled if len(factor[factor.lastindex]) <= _MAX_ABBREVIATION else scaled  # "10 m" high
    if len(whole) == 4 and _RANGE.search(text, max(0, match.start() - 5), match.start()):
        readings.add(whole[2:].lstrip("0") or "0")  # 1997-98
    if len(whole) <= 2 and len(parts) == 1:
        if int(whole) % 10 == 0 and _DECADE.search(text, max(0, match.start() - 8), match.start()):
            readings.add(f"19{whole}")
        if _HOUR.match(text, match.end()) and 0 <= int(whole) <= 24:
            readings.add(str((int(whole) + 11) % 12 + 1))
    return frozenset(readings)


def _multiplied(readings: Iterable[str], factor: int) -> set[str]:
    values = set()
    for reading in readings:
        before, _, decimals = reading.partition(".")
        scaled = int(before + decimals) * factor
        if scaled % 10 ** len(decimals) == 0:
            values.add(str(scaled // 10 ** len(decimals)))
    return values


def word_values(text: str) -> frozenset[str]:
    """Return the values of the numbers that a text spells in words, and those of their parts."""
    values: set[int] = set()
    run: list[str] = []
    for word in [*_words(text), ""]:
        if word in _ADDED or word in _MULTIPLIED:
            run.append(word)
        elif not (run and word in _SKIPPED):
            for start in range(len(run)):
                values.update(_running_values(run[start:]))
            run = []
        values.update(_ALSO.get(word, ()))
    return frozenset(map(str, values))


def _words(text: str) -> Iterator[str]:
    return (match[0].casefold() for match in _WORD.finditer(text))


def _running_values(words: Iterable[str]) -> Iterator[int]:
    """Yield the value of a number in words after each of its words."""
    total = current = 0  # complete thousands, and what may still be multiplied
    for word in words:
        if word in _ADDED:
            value = _ADDED[word]
            if value == 20 and current % 100 == 4 and word.startswith("vingt"):
                current += 76  # quatre-vingt
            elif 10 <= value < 100 and 10 <= current < 100 and current % 10 == 0 and value < 20 and current >= 60:
                current += value  # soixante-dix, quatre-vingt-dix
            elif 10 <= value < 100 and 10 <= current < 100:
                current = current * 100 + value  # nineteen eighty
            else:
                current += value
        elif word in _HUNDREDS:
            current = (current or 1) * 100
        else:
            total, current = total + (current or 1) * _THOUSANDS[word], 0
            if total > 10**15:
                return
        yield total + current


def _roman_values(text: str) -> frozenset[str]:
    """Return the values of the Roman numerals of a text, up to 99: centuries, kings and chapters."""
    values = set()
    for match in _ROMAN.finditer(text):
        digits = [_ROMAN_VALUES[letter] for letter in match[1] + match[2]]
        signed = [-a if a < b else a for a, b in zip(digits, [*digits[1:], 0], strict=False)]
        values.add(str(sum(signed)))
    return frozenset(values)
