from __future__ import annotations

from translator.checkpoint.location import find_model
from translator.config import DecodingOptions
from translator.inference.reading import read_lines
from translator.tokenizer import Tokenizers


def test_invisible_characters_do_not_change_folding_and_splitting() -> None:
    tokenizer = Tokenizers.load(find_model("fr-en")).source
    options = DecodingOptions(fold_capitals=True, split_sentences=True)
    plain = "NE PAS OUVRIR. Il dort."
    marked = "\u202aNE PAS OUV\u00adRIR.\u202c \u2067Il dort.\u2069"
    (expected, found) = read_lines([plain, marked], tokenizer, 100, options)
    assert found.parts == expected.parts and len(expected.parts) == 2
    assert found.flags == expected.flags == ("capitals", "sentences")
    assert found.source == marked
    unfolded = read_lines(["\u202aIl dort.\u202c"], tokenizer, 100, options)[0]
    assert unfolded.flags == ()
