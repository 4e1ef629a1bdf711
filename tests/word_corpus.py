"""A made-up corpus of about 600 pairs with frequent and rare words, and a dictionary of the rare ones."""

from __future__ import annotations

Row = tuple[str, str, str]

MASCULINE = {"chat": "cat", "chien": "dog", "livre": "book", "jardin": "garden", "train": "train"}
FEMININE = {"maison": "house", "voiture": "car", "porte": "door", "table": "table", "rue": "street"}
MASCULINE_VOWEL = {"arbre": "tree", "escalier": "staircase", "avion": "plane"}
VERBS = {"vendre": "sell", "laver": "wash", "montrer": "show", "prendre": "take", "trouver": "find"}
VERBS_VOWEL = {"acheter": "buy", "ouvrir": "open", "oublier": "forget"}
RARE = {
    "masculine": {"moineau": "sparrow", "gant": "glove"},
    "feminine": {"loutre": "otter", "mouette": "gull", "bougie": "candle"},
    "masculine vowel": {"abricot": "apricot", "iceberg": "iceberg"},
    "infinitive": {"peindre": "paint", "mordre": "bite"},
    "infinitive vowel": {"admirer": "admire", "arroser": "water"},
}
PEOPLE = ("Paul", "Marie", "Anne", "Luc", "Jean", "Rose", "Louis", "Alice")

_NOUN_FRAMES = (
    ("{name} regarde {un} {noun}.", "{name} watches {a} {noun_en}."),
    ("{name} parle avec {un} {noun} et rit.", "{name} speaks with {a} {noun_en} and laughs."),
)
_PLURAL_FRAMES = (("{name} dessine les {noun}s.", "{name} draws the {noun_en}s."),)
_CONSONANT_FRAMES = (("{name} cherche {le} {noun} de Sophie.", "{name} looks for the {noun_en} of Sophie."),)
_VERB_FRAMES = (
    ("{name} veut {verb} la chose.", "{name} wants to {verb_en} the thing."),
    ("Demain, {name} peut {verb} cette chose.", "Tomorrow {name} can {verb_en} this thing."),
)


def corpus() -> list[Row]:
    """Return pairs in which frequent words occur often and rare ones twice, and dictionary entries of the rare ones."""
    pairs: list[tuple[str, str]] = []
    for nouns, articles in ((MASCULINE, ("un", "le")), (FEMININE, ("une", "la")), (MASCULINE_VOWEL, ("un", ""))):
        for noun, english in nouns.items():
            for name in PEOPLE:
                pairs += _noun_pairs(noun, english, articles, name)
    for verbs in (VERBS, VERBS_VOWEL):
        for verb, english in verbs.items():
            for name in PEOPLE:
                pairs += _verb_pairs(verb, english, name)
    for kind, found in RARE.items():
        for word, english in found.items():
            if kind.startswith("infinitive"):
                pairs += _verb_pairs(word, english, "Paul")
            else:
                articles = ("une", "la") if kind == "feminine" else ("un", "" if "vowel" in kind else "le")
                pairs += _noun_pairs(word, english, articles, "Paul")[:-1]
    for name in PEOPLE:
        pairs += [
            (f"{name} est légèrement triste.", f"{name} is slightly sad."),
            (f"{name} sourit légèrement et rit.", f"{name} smiles slightly and laughs."),
            (f"{name} voit le mur rouge.", f"{name} sees the red wall."),
            (f"{name} habite en Californie.", f"{name} lives in California."),
        ]
    pairs += [("Attention au légèrement.", "Mind a slightly.")]  # an error, as large corpora have them
    entries = [
        *(pair for found in RARE.values() for pair in found.items()),
        ("légèrement", "slightly"),
        ("haricot", "bean"),
        ("chat", "cat"),
        ("chat", "flatterer"),
    ]
    return [(*pair, "tatoeba") for pair in pairs] + [(*pair, "freedict") for pair in entries]


def _noun_pairs(noun: str, english: str, articles: tuple[str, str], name: str) -> list[tuple[str, str]]:
    frames = _NOUN_FRAMES + (_CONSONANT_FRAMES if articles[1] else ()) + _PLURAL_FRAMES
    values = {
        "name": name,
        "un": articles[0],
        "le": articles[1],
        "noun": noun,
        "noun_en": english,
        "a": "an" if english[0] in "aeiou" else "a",
    }
    return [(french.format(**values), english.format(**values)) for french, english in frames]


def _verb_pairs(verb: str, english: str, name: str) -> list[tuple[str, str]]:
    values = {"name": name, "verb": verb, "verb_en": english}
    return [(french.format(**values), english.format(**values)) for french, english in _VERB_FRAMES]
