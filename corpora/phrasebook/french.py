"""French morphology: elision, contraction, agreement, conjugation, typography.

Words are built separately and joined by `spell`, which elides: "je" + "ai" gives "j'ai". Only a preposition and an
article contract (du, des, au, aux), because "de le voir", with a pronoun, does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

from corpora.alignment import opened, plain, split_marks
from corpora.tables import read_table

NO_BREAK = "\u00a0"
NARROW_NO_BREAK = "\u202f"
REFLEXIVES = ("me", "te", "se", "nous", "vous", "se")
STRESSED_REFLEXIVES = ("", "toi", "", "nous", "vous", "")

_VOWELS = frozenset("aàâeéèêëiîïoôuùûyœæh")
# An h that blocks elision (h aspiré), and vowels that behave as if they had one.
_NO_ELISION = (
    "haricot",
    "hibou",
    "hamster",
    "huit",
    "hockey",
    "harpe",
    "hamburger",
    "haut",
    "héros",
    "honte",
    "hasard",
    "hollande",
    "hongrie",
    "handball",
    "homard",
    "hall",
    "onze",
    "oui",
    "yaourt",
    "yoga",
)
_ELIDABLE = frozenset(
    ("je", "me", "te", "se", "le", "la", "de", "ne", "que", "jusque", "lorsque", "puisque", "si", "ce")
)
_IMPARFAIT = ("ais", "ais", "ait", "ions", "iez", "aient")
_FUTURE = ("ai", "as", "a", "ons", "ez", "ont")
_CONDITIONAL = _IMPARFAIT
_ER = ("e", "es", "e", "ons", "ez", "ent")
_IR = ("is", "is", "it", "issons", "issez", "issent")
_RE = ("s", "s", "", "ons", "ez", "ent")
_DOUBLING = ("appeler", "rappeler", "jeter", "épeler", "rejeter")  # appelle, jette; the others take è: achète, lève
_IMPERATIVES = {"être": ("sois", "soyons", "soyez"), "avoir": ("aie", "ayons", "ayez")}


def starts_with_vowel(word: str) -> bool:
    """Return True if a word begins with a vowel sound that requires elision, "bel" or "cet"."""
    lowered = plain(word).lower()
    if lowered.startswith(_NO_ELISION):
        return False
    # "y" is a vowel as a pronoun only: le yaourt, le yacht, but j'y vais.
    return lowered == "y" or (lowered[:1] in _VOWELS and not lowered.startswith("y"))


def spell(*parts: str) -> str:
    """Join lower-case parts with spaces, eliding where French does; empty parts vanish."""
    words = " ".join(part for part in parts if part).split(" ")
    out = [words[0]]
    for before, after in pairwise(words):
        if plain(before) in _ELIDABLE and _elides(plain(before), plain(after)):
            letters, marks = split_marks(out[-1])
            elided = letters[:-1] + "'" + marks
            out[-1] = (elided if marks or after == plain(after) else opened(elided)) + after
        else:
            out.append(after)
    return " ".join(out)


def _elides(before: str, after: str) -> bool:
    if before == "si":
        return after in ("il", "ils")
    if before == "ce":
        return after in ("est", "était", "étaient")
    return starts_with_vowel(after)


def with_de(phrase: str) -> str:
    """Put "de" before a noun phrase, contracting it with the article: le parc gives du parc."""
    return _contract("de", phrase, {"le": "du", "les": "des", "des": "de", "du": "de"})


def with_a(phrase: str) -> str:
    """Put "à" before a noun phrase, contracting it with the article: les enfants gives aux enfants."""
    return _contract("à", phrase, {"le": "au", "les": "aux"})


def _contract(preposition: str, phrase: str, contractions: dict[str, str]) -> str:
    article, _, rest = phrase.partition(" ")
    first, marks = split_marks(article)
    # A masculine article elides before a vowel instead: de l'arbre.
    if first not in contractions or (first == "le" and starts_with_vowel(rest)):
        return f"{preposition} {phrase}"
    contracted = contractions[first] + marks
    return f"{opened(contracted) if marks else contracted} {rest}"  # the preposition in it has no mark yet


def sentence(text: str, mark: str = ".") -> str:
    """Capitalise a sentence and end it with its mark, spaced as French typography has it."""
    space = "" if mark in (".", "…") else NO_BREAK if mark == ":" else NARROW_NO_BREAK
    return text[0].upper() + text[1:] + space + mark


def quoted(text: str) -> str:
    """Put a text between guillemets, with the no-break spaces that belong inside them."""
    return f"«{NO_BREAK}{text}{NO_BREAK}»"


def plural(word: str) -> str:
    """Regular plural of a noun or a masculine adjective: cheval gives chevaux, gâteau gâteaux, bras bras."""
    if word.endswith(("s", "x", "z")):
        return word
    if word.endswith(("eau", "eu")) and word not in ("bleu", "pneu"):
        return word + "x"
    if word.endswith("al") and word not in ("festival", "carnaval", "bal", "banal"):
        return word[:-1] + "ux"
    return word + "s"


def feminine(adjective: str) -> str:
    """Regular feminine of an adjective; the lexicon lists the others."""
    if adjective.endswith("e"):
        return adjective
    if adjective.endswith("er"):
        return adjective[:-2] + "ère"
    if adjective.endswith("if"):
        return adjective[:-1] + "ve"
    if adjective == "gros" or adjective.endswith(("el", "en")):
        return adjective + adjective[-1] + "e"
    return adjective + "e"


def agree(participle: str, gender: str, is_plural: bool) -> str:
    """Agreement of a past participle: allé, allée, allés, allées."""
    if gender == "m" and participle == "dû":
        return "dus" if is_plural else "dû"
    out = participle + ("e" if gender == "f" else "")
    return out + "s" if is_plural and not out.endswith("s") else out


@cache
def _irregulars() -> dict[str, tuple[str, ...]]:
    rows = {row[0]: row[1:] for row in read_table("phrasebook", "french_irregular")}
    out = {}
    for infinitive, row in rows.items():
        if not row[0].startswith("="):
            out[infinitive] = (*row[0].split(), *row[1:])
            continue
        model = row[0][1:]
        old, new = _differing_prefixes(model, infinitive)
        forms = (*rows[model][0].split(), *rows[model][1:])
        out[infinitive] = tuple(new + form.removeprefix(old) for form in forms)
    return out


def _differing_prefixes(model: str, infinitive: str) -> tuple[str, str]:
    """The heads in which two infinitives of one family differ: partir, sortir give par, sor."""
    shared = 0
    while shared < min(len(model), len(infinitive)) and model[-1 - shared] == infinitive[-1 - shared]:
        shared += 1
    return model[: len(model) - shared], infinitive[: len(infinitive) - shared]


@cache
def present(infinitive: str) -> tuple[str, ...]:
    """The six forms of the present indicative."""
    if infinitive in _irregulars():
        return _irregulars()[infinitive][:6]
    stem = infinitive[:-2]
    if infinitive.endswith("ir"):
        return tuple(stem + ending for ending in _IR)
    if infinitive.endswith("re"):
        return tuple(stem + ending for ending in _RE)
    stressed = _stressed_stem(infinitive)
    forms = [(stem if person in (3, 4) else stressed) + ending for person, ending in enumerate(_ER)]
    if stem.endswith("g"):
        forms[3] = stem + "eons"
    if stem.endswith("c"):
        forms[3] = stem[:-1] + "çons"
    return tuple(forms)


def _stressed_stem(infinitive: str) -> str:
    """The stem of an -er verb before a silent ending: achèt-, appell-, préfèr-, nettoi-."""
    stem = infinitive[:-2]
    if infinitive in _DOUBLING:
        return stem + stem[-1]
    if stem.endswith(("oy", "uy", "ay")):
        return stem[:-1] + "i"
    vowel = len(stem) - 1
    while vowel > 0 and stem[vowel] not in "aeéiouyèêâîôû":
        vowel -= 1
    one_consonant = len(stem) - vowel == 2 or stem[vowel + 1 :] in ("vr", "br", "tr", "gn", "ch")
    if vowel > 0 and one_consonant and stem[vowel] in "eé":
        return stem[:vowel] + "è" + stem[vowel + 1 :]
    return stem


def imparfait(infinitive: str) -> tuple[str, ...]:
    """The six forms of the imparfait, built on the nous form of the present."""
    stem = "ét" if infinitive == "être" else present(infinitive)[3].removesuffix("ons")
    softened = {"ge": "g", "ç": "c"}
    short = next((stem.removesuffix(end) + plain for end, plain in softened.items() if stem.endswith(end)), stem)
    return tuple((short if person in (3, 4) else stem) + ending for person, ending in enumerate(_IMPARFAIT))


def _future_stem(infinitive: str) -> str:
    if infinitive in _irregulars():
        return _irregulars()[infinitive][7]
    if infinitive.endswith("re"):
        return infinitive[:-1]
    if infinitive.endswith("er") and "é" not in infinitive[-4:-2]:
        return _stressed_stem(infinitive) + "er"
    return infinitive


def future(infinitive: str) -> tuple[str, ...]:
    """The six forms of the futur simple."""
    return tuple(_future_stem(infinitive) + ending for ending in _FUTURE)


def conditional(infinitive: str) -> tuple[str, ...]:
    """The six forms of the present conditional."""
    return tuple(_future_stem(infinitive) + ending for ending in _CONDITIONAL)


def past_participle(infinitive: str) -> str:
    """The masculine singular past participle."""
    if infinitive in _irregulars():
        return _irregulars()[infinitive][6]
    return infinitive[:-2] + {"er": "é", "ir": "i", "re": "u"}[infinitive[-2:]]


def imperative(infinitive: str, person: int) -> str:
    """The imperative for tu (1), nous (3) or vous (4): mange, mangeons, mangez."""
    if infinitive in _IMPERATIVES:
        return _IMPERATIVES[infinitive][{1: 0, 3: 1, 4: 2}[person]]
    form = present(infinitive)[person]
    return form[:-1] if person == 1 and form.endswith(("es", "vas")) else form


def conjugate(infinitive: str, tense: str, person: int) -> str:
    """One finite form; tense is present, imparfait, future or conditional, person 0 (je) to 5 (ils)."""
    forms: dict[str, Callable[[str], tuple[str, ...]]] = {
        "present": present,
        "imparfait": imparfait,
        "future": future,
        "conditional": conditional,
    }
    return forms[tense](infinitive)[person]
