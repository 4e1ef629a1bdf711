"""Word alignment from cross-attention."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as parquet
import pytest
import torch

from translator import Translator
from translator.data.embedded import embedded_file
from translator.decoding.errors import DecodingError
from translator.inference.alignment import Alignment, align


def test_every_word_is_linked_to_the_word_with_the_greatest_weight() -> None:
    weights = torch.tensor([[0.3, 0.3, 0.4, 0.0], [0.1, 0.1, 0.7, 0.1], [0.2, 0.2, 0.3, 0.3]])
    found = align(["▁mai", "son", "▁rouge", "▁vif"], ["▁house", "▁red", "▁r"], weights)
    assert found == Alignment(("maison", "rouge", "vif"), ("house", "red", "r"), ((0, 0), (0, 2), (1, 1), (2, 2)))
    assert found.pharaoh() == "0-0 0-2 1-1 2-2"


def test_an_alignment_of_two_parts_counts_the_words_of_both() -> None:
    part = Alignment(("a", "b"), ("c",), ((0, 0), (1, 0)))
    assert (part + part).links == ((0, 0), (1, 0), (2, 1), (3, 1))
    assert align([], [], torch.empty(0, 0)) == Alignment((), (), ())


def test_the_alignment_error_rate_of_the_shipped_model_is_at_most_ten_percent() -> None:
    """On pairs whose alignment the grammar knows; measured by the definition of Och and Ney (2003)."""
    translator = Translator.load("fr-en-tiny", "cpu", threads=1)
    rows = [row for row in parquet.read_table(embedded_file("phrasebook", "test")).to_pylist() if row["alignment"]][
        :200
    ]
    source, target = translator.tokenizers.source, translator.tokenizers.target
    pairs = [(source.encode(row["fr"]), target.encode(row["en"])) for row in rows]
    weights = translator.engine.cross_attention(pairs, 4096)
    num_found = num_sure = num_right = num_recalled = 0
    for row, pair, each in zip(rows, pairs, weights, strict=True):
        found = set(align(source.pieces(pair[0]), target.pieces(pair[1]), each).links)
        sure = links_of(row["alignment"])
        num_found, num_sure = num_found + len(found), num_sure + len(sure)
        num_right += len(found & (sure | links_of(row["possible_alignment"] or "")))
        num_recalled += len(found & sure)
    assert num_right / num_found > 0.85 and num_recalled / num_sure > 0.92
    assert 1 - (num_right + num_recalled) / (num_found + num_sure) <= 0.1


def links_of(pharaoh: str) -> set[tuple[int, int]]:
    return {(int(source), int(target)) for source, target in (link.split("-") for link in pharaoh.split())}


def test_a_translation_has_an_alignment_on_request_only(random_translator: Translator) -> None:
    texts, options = ["Le chat dort. Où est la gare ?", "", "oui"], {"split_sentences": True, "num_hypotheses": 2}
    free = random_translator.translate(texts, **options)
    found = random_translator.translate(texts, alignment=True, **options)
    for translation, plain in zip(found, free, strict=True):
        assert [each.text for each in translation.hypotheses] == [each.text for each in plain.hypotheses]
        assert plain.hypotheses[0].alignment is None
        for hypothesis in translation.hypotheses:
            assert hypothesis.alignment is not None
            assert "".join(hypothesis.alignment.target) == "".join(hypothesis.text.split())
            sides = hypothesis.alignment.source, hypothesis.alignment.target
            assert all(
                0 <= place < len(words)
                for link in hypothesis.alignment.links
                for place, words in zip(link, sides, strict=True)
            )
            assert bool(hypothesis.alignment.links) == bool(translation.text)
    assert found[0].hypotheses[0].alignment.source == ("Le", "chat", "dort", ".", "Où", "est", "la", "gare", "?")


def test_other_texts_do_not_change_an_alignment(random_translator: Translator) -> None:
    texts = ["Le chat dort.", "Nous avons mangé du pain et des œufs.", "oui"]
    together = random_translator.translate(texts, alignment=True)
    for text, translation in zip(texts, together, strict=True):
        alone = random_translator.translate(text, alignment=True)
        assert alone.hypotheses[0].alignment == translation.hypotheses[0].alignment


def test_models_without_cross_attention_have_no_alignment(model_directory: Path) -> None:
    together = Translator.load(model_directory, "cpu", ensemble=[model_directory])
    with pytest.raises(DecodingError, match=r"TorchEngine does not support these options\. Received: alignment=True"):
        together.translate("oui", alignment=True)


def test_words_are_not_linked_to_punctuation_marks() -> None:
    weights = torch.tensor([[0.2, 0.8], [0.9, 0.1]])
    assert align(["▁oui", "."], ["▁yes", "!"], weights).links == ((0, 0), (1, 1))
    assert align(["▁oui"], ["."], torch.ones(1, 1)).links == ()
