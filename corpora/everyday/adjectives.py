"""Feminine forms and frames of the adjectives of the lexicon."""

from __future__ import annotations

import random

from corpora.everyday.frames import Pair
from corpora.phrasebook import french

_FEMININES = {
    **{"beau": "belle", "nouveau": "nouvelle", "vieux": "vieille", "fou": "folle", "mou": "molle", "doux": "douce"},
    **{"blanc": "blanche", "frais": "fraîche", "sec": "sèche", "franc": "franche", "public": "publique"},
    **{"turc": "turque", "grec": "grecque", "long": "longue", "gentil": "gentille", "bas": "basse"},
    **{"épais": "épaisse", "faux": "fausse", "roux": "rousse", "jaloux": "jalouse", "pareil": "pareille"},
    **{"muet": "muette", "violet": "violette", "complet": "complète", "inquiet": "inquiète", "nul": "nulle"},
    **{"travailleur": "travailleuse", "menteur": "menteuse", "marron": "marron", "malin": "maligne"},
    **{"ensoleillé": "ensoleillée", "debout": "debout", "fini": "finie", "favori": "favorite"},
}


def feminine(adjective: str) -> str:
    """Return the feminine of an adjective: heureux gives heureuse, bon bonne."""
    if adjective in _FEMININES:
        return _FEMININES[adjective]
    if adjective.endswith("eux"):
        return f"{adjective[:-1]}se"
    if adjective.endswith("on"):
        return f"{adjective}ne"
    return french.feminine(adjective)


def framed_thing(draw: random.Random, adjective: str, english: str) -> Pair:
    """Return an adjective in a random frame that fits things."""
    frames = [
        (f"C'est {adjective}.", f"It's {english}."),
        (f"C'est très {adjective}.", f"It's very {english}."),
        (f"C'est trop {adjective}.", f"It's too {english}."),
        (f"Ce n'est pas {adjective}.", f"It's not {english}."),
        (f"très {adjective}", f"very {english}"),
        (f"trop {adjective}", f"too {english}"),
        (f"très {feminine(adjective)}", f"very {english}"),
        (f"assez {adjective}", f"quite {english}"),
    ]
    return draw.choice(frames)


def framed_person(draw: random.Random, adjective: str, english: str) -> Pair:
    """Return an adjective in a random frame that fits people."""
    frames = [
        (f"Je suis {adjective}.", f"I'm {english}."),
        (f"Je suis {feminine(adjective)}.", f"I'm {english}."),
        (f"Il est {adjective}.", f"He is {english}."),
        (f"Elle est {feminine(adjective)}.", f"She is {english}."),
        (f"Tu es {adjective} ?", f"Are you {english}?"),
        (f"Il n'est pas {adjective}.", f"He is not {english}."),
        (f"Elle n'est pas {feminine(adjective)}.", f"She is not {english}."),
        (f"Êtes-vous {adjective} ?", f"Are you {english}?"),
    ]
    return draw.choice(frames)
