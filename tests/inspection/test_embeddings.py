from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from translator import Embeddings, Translator
from translator.inspection.reading import InspectionError
from translator.model import EncoderDecoder


@pytest.fixture(scope="module")
def embeddings(random_translator: Translator) -> Embeddings:
    return Embeddings(random_translator, is_mean=True)


@pytest.fixture(scope="module")
def pieces(random_translator: Translator) -> list[str]:
    """Whole-word pieces of the tests' vocabulary."""
    tokenizer = random_translator.tokenizers.source
    found = [piece for piece in tokenizer.pieces(range(tokenizer.vocab_size)) if piece[0] == "▁" and len(piece) > 2]
    return [piece for piece in found if len(tokenizer.encode(piece[1:])) == 1]


def test_neighbours_are_those_of_smallest_angle(
    embeddings: Embeddings, pieces: list[str], random_translator: Translator
) -> None:
    word = pieces[0][1:]
    found = embeddings.nearest(word, 5)
    everything = embeddings.nearest(word, 10_000)
    assert found == everything[:5]
    assert [x.cosine for x in everything] == sorted((x.cosine for x in everything), reverse=True)
    for neighbour in found:
        expected = torch.cosine_similarity(embeddings.vector(word), embeddings.vector(neighbour.piece), dim=0)
        assert neighbour.cosine == pytest.approx(float(expected), abs=1e-5)
    names = [x.piece for x in everything]
    assert pieces[0] not in names and "</s>" not in names and not any(name.startswith("<0x") for name in names)
    assert len(names) == random_translator.tokenizers.source.vocab_size - 256 - 3 - 1


def test_neighbours_can_be_whole_words_only(embeddings: Embeddings, pieces: list[str]) -> None:
    found = embeddings.nearest(pieces[0], 10_000, is_whole_words=True)
    assert found and all(neighbour.piece.startswith("▁") for neighbour in found)


def test_an_angle_is_that_of_the_cosine_and_none_with_itself(embeddings: Embeddings, pieces: list[str]) -> None:
    first, second = pieces[:2]
    found = embeddings.angle(first, second)
    assert math.cos(math.radians(found.degrees)) == pytest.approx(found.cosine, abs=1e-9)
    assert embeddings.angle(second, first).degrees == pytest.approx(found.degrees)
    assert embeddings.angle(first, first).degrees == 0


def test_a_word_of_several_pieces_is_refused_by_its_pieces(random_translator: Translator) -> None:
    message = r"A word must be one token of the vocabulary. Received: 'xylophone', which is ▁ <0x78> .*\(--mean\)"
    with pytest.raises(InspectionError, match=message):
        Embeddings(random_translator).nearest("xylophone")


def test_all_words_that_are_not_there_are_named_at_once(random_translator: Translator) -> None:
    with pytest.raises(InspectionError, match=r"Received: 'xylophone', which is .*; 'zythum', which is "):
        Embeddings(random_translator).projection(["xylophone", "zythum", "le"])


def test_a_word_without_pieces_is_refused_even_for_means(embeddings: Embeddings) -> None:
    with pytest.raises(InspectionError, match="Received: ' ', which is nothing"):
        embeddings.vector(" ")


def test_the_mean_of_its_pieces_serves_a_word_that_is_not_there(
    embeddings: Embeddings, random_translator: Translator
) -> None:
    model = random_translator.engine.model
    assert isinstance(model, EncoderDecoder)
    ids = random_translator.tokenizers.source.encode("xylophone")
    torch.testing.assert_close(embeddings.vector("xylophone"), model.source_embedding.weight[ids].mean(dim=0))


def test_a_part_of_a_word_is_found_by_its_spelling(embeddings: Embeddings, random_translator: Translator) -> None:
    tokenizer = random_translator.tokenizers.source
    [*pieces] = enumerate(tokenizer.pieces(range(tokenizer.vocab_size)))
    index = next(i for i, piece in pieces[259:] if piece[0] != "▁" and len(tokenizer.encode(piece)) > 1)
    model = random_translator.engine.model
    assert isinstance(model, EncoderDecoder)
    assert torch.equal(embeddings.vector(tokenizer.pieces([index])[0]), model.source_embedding.weight[index])


def test_both_sides_of_a_tied_model_are_one(embeddings: Embeddings, random_translator: Translator) -> None:
    assert torch.equal(Embeddings(random_translator, "target", is_mean=True).vector("oui"), embeddings.vector("oui"))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_projection_keeps_distances_where_it_has_room(
    embeddings: Embeddings, pieces: list[str], dimensions: int
) -> None:
    words = [*pieces, "chat"][: dimensions + 1]  # so many points span no more dimensions than these
    found = embeddings.projection(words, dimensions)
    assert found.words == tuple(words) and found.points.shape == (dimensions + 1, dimensions)
    vectors = torch.stack([embeddings.vector(word) for word in words])
    np.testing.assert_allclose(torch.cdist(vectors, vectors), torch.cdist(*[torch.tensor(found.points)] * 2), atol=1e-5)
    assert sum(found.explained) == pytest.approx(1)
    assert list(found.explained) == sorted(found.explained, reverse=True)


def test_a_projection_needs_enough_words_and_two_or_three_dimensions(embeddings: Embeddings) -> None:
    with pytest.raises(InspectionError, match=r"2 dimensions requires at least 3 words. Received: 2."):
        embeddings.projection(["oui", "non", "oui"])
    with pytest.raises(InspectionError, match=r"dimensions must be 2 or 3. Received: 4."):
        embeddings.projection(["oui", "non", "si"], 4)


def test_a_count_must_be_positive(embeddings: Embeddings) -> None:
    with pytest.raises(InspectionError, match=r"count must be at least 1. Received: 0."):
        embeddings.nearest("oui", 0)


def test_the_embedding_stays_and_the_encoding_follows_the_sentence(embeddings: Embeddings) -> None:
    sentences = ["Le chat dort.", "Où est le chat ?", "Le chat dort."]
    found = embeddings.contexts("chat", sentences)
    assert found.sentences == tuple(sentences)
    np.testing.assert_allclose(found.embeddings, 1, atol=1e-5)
    np.testing.assert_allclose(np.diag(found.encodings), 1, atol=1e-5)
    assert found.encodings[0, 1] < 0.999 and found.encodings[0, 2] == pytest.approx(1, abs=1e-5)
    assert all(-1 <= cosine <= 1 for cosine in found.to_embedding)


def test_a_word_is_found_beside_punctuation(embeddings: Embeddings) -> None:
    assert len(embeddings.contexts("Chat", ["Où est le chat?"]).sentences) == 1


def test_a_sentence_without_the_word_is_refused(embeddings: Embeddings) -> None:
    with pytest.raises(
        InspectionError, match=r"must contain the word 'chat'. Received: 'Où est la gare \?', with the tokens"
    ):
        embeddings.contexts("chat", ["Le chat dort.", "Où est la gare ?"])
    with pytest.raises(InspectionError, match=r"requires at least one sentence."):
        embeddings.contexts("chat", [])
