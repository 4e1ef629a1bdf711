"""Words of a text and their tokens."""

from __future__ import annotations

import pytest

from translator.tokenizer.words import words_in, words_of


@pytest.mark.parametrize(
    ("pieces", "words", "groups"),
    [
        (
            ["▁J", "'", "aime", "▁l", "'", "école", "."],
            ["J'", "aime", "l'", "école", "."],
            [[0, 1], [2], [3, 4], [5], [6]],
        ),
        (["▁They", "'", "ll", "▁go"], ["They", "'ll", "go"], [[0], [1, 2], [3]]),
        (["▁don", "'", "t"], ["do", "n't"], [[0], [0, 1, 2]]),
        (
            ["▁aujourd", "'", "hui", "▁3,5", "▁week", "-", "end"],
            ["aujourd'hui", "3,5", "week-end"],
            [[0, 1, 2], [3], [4, 5, 6]],
        ),
        (["▁", "<0xC3>", "<0xA9>", "t", "é"], ["été"], [[1, 2, 3, 4]]),
        ([], [], []),
    ],
)
def test_tokens_are_merged_to_words(pieces: list[str], words: list[str], groups: list[list[int]]) -> None:
    assert words_of(pieces) == (words, groups)
    assert words_in("".join(pieces).replace("▁", " ")) == words or "<0x" in "".join(pieces)
