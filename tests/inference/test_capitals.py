from __future__ import annotations

import random
import unicodedata

import pytest

from translator.checkpoint.location import find_model
from translator.config import TokenizerConfig
from translator.inference.capitals import fold_capitals
from translator.tokenizer import Tokenizer, Tokenizers


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Return the tokenizer of the bundled model."""
    return Tokenizers.load(find_model("fr-en")).source


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("LE CHAT DORT.", "Le chat dort."),
        ("« OÙ EST LA GARE ? »", "« Où est la gare ? »"),
        ("IL FAIT FROID.  12 ! OÙ VA M. PETIT ?\n« ICI ! »", "Il fait froid.  12 ! Où va M. Petit ?\n« Ici ! »"),
        ("NE PAS OUVRIR. Cette porte est dangereuse.", "Ne pas ouvrir. Cette porte est dangereuse."),
        ("Je pars. NON ! Si.", "Je pars. Non ! Si."),
        ("SORTIE", "Sortie"),
        ("E\u0301TE\u0301 ET HIVER", "Été et hiver"),
        ("Le CHAT dort.", "Le CHAT dort."),
        ("Je ne suis PAS DU TOUT content.", "Je ne suis PAS DU TOUT content."),
        ("DUPONT et DURAND", "DUPONT et DURAND"),
        ("DÉFENSE D'ENTRER SOUS PEINE de POURSUITES", "Défense d'entrer sous peine de poursuites"),
        ("A 1 B 2", "A 1 B 2"),
        ("12 345", "12 345"),
        ("", ""),
    ],
)
def test_sentences_in_capitals_are_folded_one_by_one(text: str, folded: str, tokenizer: Tokenizer) -> None:
    assert fold_capitals(text, tokenizer) == folded


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("POIDS MAXIMUM 30 kg", "Poids maximum 30 kg"),
        ("VOIR www.exemple.fr POUR LA SUITE", "Voir www.exemple.fr pour la suite"),
        ("ÉCRIRE À jean.petit@exemple.fr AVANT LUNDI", "Écrire à jean.petit@exemple.fr avant lundi"),
        ("LE BUS n° 12 EST PLEIN.", "Le bus n° 12 est plein."),
        ("Mme DURAND EST PARTIE.", "Mme Durand est partie."),
        ("ARRIVÉE À 8H30 AU 2E ÉTAGE, LE 1 ER AVRIL", "Arrivée à 8h30 au 2e étage, le 1 er avril"),
        ("LE MODÈLE B52 EST EN 3D", "Le modèle B52 est en 3D"),
    ],
)
def test_units_addresses_and_abbreviations_do_not_prevent_folding(text: str, folded: str, tokenizer: Tokenizer) -> None:
    assert fold_capitals(text, tokenizer) == folded


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("LA SNCF EST EN GRÈVE.", "La SNCF est en grève."),
        ("LA S.N.C.F. EST EN GRÈVE.", "La S.N.C.F. est en grève."),
        ("LE TGV, LE PDG, LA TV, LA CIA, L'OTAN ET L'ONU", "Le TGV, le PDG, la TV, la CIA, l'OTAN et l'ONU"),
        ("La ZIRA est là. LA ZIRA BRÛLE.", "La ZIRA est là. La ZIRA brûle."),
        ("L'ONU", "L'ONU"),
        ("OK", "OK"),
        ("TVA 20 %", "TVA 20 %"),
        ("LOUIS XIV EST MORT EN 1715.", "Louis XIV est mort en 1715."),
        ("CHARLES X ET JEAN-PAUL II", "Charles X et Jean-Paul II"),
        ("FRANÇOIS IER", "François Ier"),
        ("AU XIXE SIÈCLE ET AU VE SIÈCLE, LA VIE ÉTAIT DURE.", "Au XIXe siècle et au Ve siècle, la vie était dure."),
        ("J'AI DIX ANS ET UN MIX.", "J'ai dix ans et un mix."),
        ("CHAPITRE XLII", "Chapitre XLII"),
    ],
)
def test_acronyms_and_numerals_keep_their_capitals(text: str, folded: str, tokenizer: Tokenizer) -> None:
    assert fold_capitals(text, tokenizer) == folded


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("A-T-IL MANGÉ ? VAS-Y, PAUL.", "A-t-il mangé ? Vas-y, Paul."),
        ("IL Y A DU PAIN À L'ÉTAGE.", "Il y a du pain à l'étage."),
        ("PASSONS AU PLAN B. ELLE EST D'ACCORD.", "Passons au plan B. Elle est d'accord."),
        ("J. LEFÈVRE ET MME DURAND", "J. Lefèvre et Mme Durand"),
        ("EN 44 AV. J.-C. ROME BRÛLE.", "En 44 av. J.-C. Rome brûle."),
        ("LE CHIEN DE MARIE EST À PARIS, EN FRANCE.", "Le chien de Marie est à Paris, en France."),
    ],
)
def test_letters_titles_and_names_are_written_as_in_ordinary_text(text: str, folded: str, tokenizer: Tokenizer) -> None:
    assert fold_capitals(text, tokenizer) == folded


def test_a_vocabulary_of_characters_does_not_prevent_folding() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    config = TokenizerConfig(vocab_size=259 + 2 * len(letters) + 1, joint=True)
    tokenizer = Tokenizer.train([f"{letters} {letters.upper()}"], config, seed=1)
    assert len(tokenizer.encode("chat")) == len(tokenizer.encode("CHAT"))
    assert fold_capitals("LE CHAT DORT. LA SNCF AUSSI.", tokenizer) == "Le chat dort. La SNCF aussi."


@pytest.mark.parametrize("text", ["LE CHAT DORT " * 10_000, "A. " * 30_000, "L'A-B.C " * 20_000, "WWW.A.FR " * 20_000])
def test_very_long_texts_are_folded_quickly(text: str, tokenizer: Tokenizer) -> None:
    assert fold_capitals(text, tokenizer).casefold() == text.casefold()


def test_folding_changes_nothing_but_case(tokenizer: Tokenizer) -> None:
    rng = random.Random(1)
    words = [
        "LE",
        "CHAT",
        "M.",
        "SNCF",
        "XIV",
        "IER",
        "A",
        "www.a.fr",
        "kg",
        "8H30",
        "J.-C.",
        "L'",
        "-",
        ".",
        "! ",
        "«",
        " ",
    ]
    words += ["\n", "\u202f", "E\u0301", "ŒUVRE", "Il", "plan", "B.", "etc.", "ПРИВЕТ", "中文", "ΣΑΣ", "\ud800"]
    for _ in range(3000):
        text = unicodedata.normalize("NFC", rng.choice(["", " "]).join(rng.choices(words, k=rng.randrange(20))))
        assert fold_capitals(text, tokenizer).casefold() == text.casefold()
