"""Places in the phrases of the lexicon, such as `{day}`, and what fills them in both languages."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from corpora.everyday import names
from corpora.everyday.frames import Pair
from corpora.phrasebook.french import starts_with_vowel
from corpora.phrasebook.numbers import DAYS, MONTHS

COLOURS = (
    ("rouge", "red"),
    ("bleu", "blue"),
    ("vert", "green"),
    ("jaune", "yellow"),
    ("noir", "black"),
    ("blanc", "white"),
    ("gris", "grey"),
    ("rose", "pink"),
    ("marron", "brown"),
    ("violet", "purple"),
    ("orange", "orange"),
    ("beige", "beige"),
)
LANGUAGES = (
    ("français", "French"),
    ("anglais", "English"),
    ("allemand", "German"),
    ("espagnol", "Spanish"),
    ("italien", "Italian"),
    ("portugais", "Portuguese"),
    ("arabe", "Arabic"),
    ("chinois", "Chinese"),
    ("japonais", "Japanese"),
    ("russe", "Russian"),
    ("polonais", "Polish"),
    ("turc", "Turkish"),
    ("grec", "Greek"),
    ("suédois", "Swedish"),
    ("breton", "Breton"),
    ("latin", "Latin"),
)
_DRINKS = (
    ("un café", "a coffee"),
    ("un thé", "a tea"),
    ("une bière", "a beer"),
    ("un verre de vin", "a glass of wine"),
    ("un verre d'eau", "a glass of water"),
    ("un jus d'orange", "an orange juice"),
    ("un chocolat chaud", "a hot chocolate"),
    ("une limonade", "a lemonade"),
    ("un coca", "a Coke"),
    ("une bouteille d'eau", "a bottle of water"),
    ("une tasse de thé", "a cup of tea"),
    ("un café au lait", "a white coffee"),
)
_DISHES = (
    ("une pizza", "a pizza"),
    ("un sandwich", "a sandwich"),
    ("une omelette", "an omelette"),
    ("une salade", "a salad"),
    ("un steak", "a steak"),
    ("le poulet", "the chicken"),
    ("le poisson", "the fish"),
    ("la soupe", "the soup"),
    ("le plat du jour", "the dish of the day"),
    ("un sandwich au fromage", "a cheese sandwich"),
    ("une glace", "an ice cream"),
    ("une crêpe", "a pancake"),
)
_PLACES = (
    ("la gare", "the station"),
    ("l'aéroport", "the airport"),
    ("l'hôpital", "the hospital"),
    ("l'hôtel", "the hotel"),
    ("la poste", "the post office"),
    ("la banque", "the bank"),
    ("la pharmacie", "the pharmacy"),
    ("la boulangerie", "the bakery"),
    ("le supermarché", "the supermarket"),
    ("le marché", "the market"),
    ("le musée", "the museum"),
    ("l'église", "the church"),
    ("la mairie", "the town hall"),
    ("la plage", "the beach"),
    ("la piscine", "the swimming pool"),
    ("le métro", "the underground"),
    ("l'arrêt de bus", "the bus stop"),
    ("l'ascenseur", "the lift"),
    ("la sortie", "the exit"),
    ("l'entrée", "the entrance"),
    ("la salle de bains", "the bathroom"),
    ("la cuisine", "the kitchen"),
    ("le commissariat", "the police station"),
    ("la bibliothèque", "the library"),
    ("le parking", "the car park"),
    ("l'office de tourisme", "the tourist office"),
    ("la rue Victor-Hugo", "rue Victor-Hugo"),
    ("la place du marché", "the market square"),
    ("le centre-ville", "the town centre"),
    ("l'école", "the school"),
    ("le restaurant", "the restaurant"),
    ("le château", "the castle"),
)
_RELATIVES = (
    ("mon père", "my father"),
    ("ma mère", "my mother"),
    ("mon frère", "my brother"),
    ("ma sœur", "my sister"),
    ("mon fils", "my son"),
    ("ma fille", "my daughter"),
    ("mon mari", "my husband"),
    ("ma femme", "my wife"),
    ("mon grand-père", "my grandfather"),
    ("ma grand-mère", "my grandmother"),
    ("mon oncle", "my uncle"),
    ("ma tante", "my aunt"),
    ("mon cousin", "my cousin"),
    ("mon ami", "my friend"),
    ("mon voisin", "my neighbour"),
    ("mon professeur", "my teacher"),
    ("mon médecin", "my doctor"),
    ("mon patron", "my boss"),
)


def _one_of(pairs: Sequence[Pair]) -> Callable[[random.Random], Pair]:
    return lambda draw: draw.choice(pairs)


def _number(draw: random.Random) -> Pair:
    number = str(draw.randint(2, 40))
    return number, number


def _price(draw: random.Random) -> Pair:
    euros, cents = draw.randint(2, 99), draw.choice((0, 0, 20, 50, 90, 95, 99))
    if draw.random() < 0.4:
        return f"{euros} euros", f"{euros} euros"
    return (f"{euros},{cents} €", f"€{euros}.{cents}") if cents else (f"{euros} €", f"€{euros}")


SLOTS: dict[str, Callable[[random.Random], Pair]] = {
    "name": names.given_name,
    "city": names.city,
    "number": _number,
    "price": _price,
    "day": _one_of(DAYS),
    "month": _one_of(MONTHS),
    "colour": _one_of(COLOURS),
    "language": _one_of(LANGUAGES),
    "drink": _one_of(_DRINKS),
    "dish": _one_of(_DISHES),
    "place": _one_of(_PLACES),
    "relative": _one_of(_RELATIVES),
}
SLOT = re.compile(r"\{(([a-z]+)\d?)\}")


def filled(draw: random.Random, french: str, english: str) -> Pair:
    """Return a pair with its slots filled. `{day}` and `{day2}` are two days, drawn apart. "de" and "le" are elided.

    The first letter of the French side becomes a capital, and that of the English side too if both begin with a slot.
    """
    values = {slot: SLOTS[family](draw) for slot, family in dict.fromkeys(SLOT.findall(french))}
    source = french
    for slot, (value, _) in values.items():
        if starts_with_vowel(value):
            source = re.sub(rf"\b([Dd]|l)e {re.escape('{' + slot + '}')}", rf"\1'{{{slot}}}", source)
    source = source.format(**{slot: value[0] for slot, value in values.items()})
    target = english.format(**{slot: value[1] for slot, value in values.items()})
    if french.startswith("{"):
        source, target = source[0].upper() + source[1:], target[0].upper() + target[1:]
    return source, target
