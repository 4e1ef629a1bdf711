"""Pieces in another order split text alike."""

from __future__ import annotations

import pytest
import sentencepiece as spm
from sentences import PAIRS

from translator.export.pieces import UNUSED, read_pieces, reordered
from translator.tokenizer import Tokenizer, TokenizerError, Tokenizers


def test_pieces_are_those_that_sentencepiece_reads(tokenizers: Tokenizers) -> None:
    model = tokenizers.source.to_bytes()
    processor = spm.SentencePieceProcessor(model_proto=model)
    pieces = read_pieces(model)
    assert [piece.text for piece in pieces] == [processor.id_to_piece(i) for i in range(processor.vocab_size())]
    assert [piece.score for piece in pieces] == [processor.get_score(i) for i in range(processor.vocab_size())]


def test_another_order_changes_ids_and_no_segmentation(tokenizers: Tokenizers) -> None:
    model = tokenizers.source.to_bytes()
    order = [piece.text for piece in read_pieces(model)]
    moved = Tokenizer(reordered(model, [*order[:3], "▁unseen", *reversed(order[3:])]))
    assert moved.vocab_size == len(order) + 1 and moved.pieces([3]) == ["▁unseen"]
    assert read_pieces(moved.to_bytes())[3].kind == UNUSED
    for text in [*(source for source, _ in PAIRS), "unseen 🙂"]:
        expected = tokenizers.source.encode(text)
        assert moved.pieces(moved.encode(text)) == tokenizers.source.pieces(expected)
        assert moved.decode(moved.encode(text)) == tokenizers.source.decode(expected)


def test_the_same_order_gives_the_same_bytes(tokenizers: Tokenizers) -> None:
    model = tokenizers.source.to_bytes()
    assert reordered(model, [piece.text for piece in read_pieces(model)]) is model


@pytest.mark.parametrize("data", [b"\x0a", b"\x0b", b"\x0a\x05ab", b"\x08\x80", b"\x0a\x02\x15\x00"])
def test_damaged_models_are_refused(data: bytes) -> None:
    with pytest.raises(TokenizerError, match="must be a SentencePiece model"):
        read_pieces(data)
