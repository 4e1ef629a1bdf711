from __future__ import annotations

import unicodedata

import pytest

from translator.checkpoint.location import find_model
from translator.tokenizer import Tokenizers, standard_rules
from translator.tokenizer.invisible import JOINERS, is_invisible, remove_invisible

CONTROLS = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFE0F, 0x200B, 0x00AD, 0xFEFF, 0x034F, 0xE0061, 0xE0100]


def test_invisible_characters_are_those_with_the_unicode_properties() -> None:
    regex = pytest.importorskip("regex", reason="regex, a dependency of sacrebleu, knows all Unicode properties")
    pattern = regex.compile(
        r"[[\p{Default_Ignorable_Code_Point}\p{Cf}]--[\p{Prepended_Concatenation_Mark}\U00013430-\U0001343f]]", regex.V1
    )
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert [c for c in characters if is_invisible(c)] == [c for c in characters if pattern.match(c)]


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("\u202aOù est la gare ?\u202c", "Où est la gare ?"),
        ("un\u00ad\u200bdeux\ufeff", "undeux"),
        ("❤\ufe0f et 1\ufe0f\u20e3", "❤ et 1\u20e3"),
        ("plain ASCII", "plain ASCII"),
        ("", ""),
        ("\u200b", ""),
        ("\u0601\u06dd", "\u0601\u06dd"),
    ],
)
def test_invisible_characters_are_removed(text: str, visible: str) -> None:
    assert remove_invisible(text) == visible


@pytest.mark.parametrize("text", ["👩\u200d💻", "👩🏽\u200d💻", "می\u200cروم", "क्\u200dष", "ක්\u200dෂ"])
def test_joiners_stay_in_emoji_and_in_scripts_without_case(text: str) -> None:
    assert remove_invisible(text) == text


@pytest.mark.parametrize("text", ["a\u200db", "e\u0301\u200cx", "\u200dОй", "12\u200d", "a \u200d"])
def test_joiners_are_removed_elsewhere(text: str) -> None:
    assert remove_invisible(text) == "".join(character for character in text if character not in JOINERS)


@pytest.mark.parametrize("code", CONTROLS, ids=hex)
def test_invisible_characters_do_not_change_what_a_model_reads(code: int) -> None:
    source = Tokenizers.load(find_model("fr-en")).source
    plain = "Où est la gare ?"
    assert source.encode(f"{chr(code)}Où e{chr(code)}st la gare{chr(code)} ?") == source.encode(plain)


def test_the_rules_of_a_tokenizer_remove_what_does_not_depend_on_context() -> None:
    rules = standard_rules()
    removed = {character for character, replacement in rules.items() if not replacement}
    assert removed == {c for c in map(chr, range(0x10000)) if is_invisible(c)} - set(JOINERS)
    assert all(unicodedata.category(character) not in ("Ll", "Lu") for character in removed)
