from __future__ import annotations

import pytest
import torch

from translator.baselines import BagOfWords, BaselineError, Majority, accuracy, words

TRAIN = [("Bon film !", "oui"), ("Un bon livre.", "oui"), ("Mauvais film.", "non"), ("Un mauvais livre", "non")] * 5
VALID = [("bon", "oui"), ("mauvais", "non")]


def test_the_majority_is_the_most_frequent_label() -> None:
    baseline = Majority([("a", "x"), ("b", "y"), ("c", "y")])
    assert baseline.predict(["d", "e"]) == ["y", "y"]


def test_of_equally_frequent_labels_the_first_in_the_alphabet_is_taken() -> None:
    assert Majority([("a", "y"), ("b", "x")]).label == "x"


def test_words_count_without_capitals_and_punctuation() -> None:
    assert words("L'Été : rien à redire !") == ["l", "été", "rien", "à", "redire"]


def test_a_bag_of_words_learns_which_words_speak_for_which_label() -> None:
    baseline = BagOfWords(TRAIN, VALID)
    assert baseline.predict(["Un BON spectacle", "spectacle mauvais", "bon"]) == ["oui", "non", "oui"]


def test_a_bag_of_words_knows_more_than_two_labels() -> None:
    train = [("un", "1"), ("deux", "2"), ("trois", "3")] * 4
    assert BagOfWords(train, train).predict(["trois", "un", "deux"]) == ["3", "1", "2"]


def test_a_bag_of_words_is_blind_to_order() -> None:
    train = [("bon mais long", "oui"), ("long mais bon", "non")] * 10
    found = BagOfWords(train, train).predict(["bon mais long", "long mais bon"])
    assert found[0] == found[1]


def test_a_text_without_known_words_gets_a_label_all_the_same() -> None:
    assert BagOfWords(TRAIN, VALID).predict(["", "inconnu"])[0] in ("oui", "non")


def test_the_fit_is_where_the_gradient_of_the_penalized_loss_is_zero() -> None:
    baseline = BagOfWords(TRAIN, VALID)
    weight = baseline.weight.clone().requires_grad_()
    bags = torch.zeros(len(TRAIN), len(baseline.ids), dtype=torch.float64)
    for row, (text, _) in enumerate(TRAIN):
        bags[row, [baseline.ids[word] for word in words(text)]] = 1
    targets = torch.tensor([baseline.labels.index(label) for _, label in TRAIN])
    logits = bags @ weight + baseline.bias
    loss = torch.nn.functional.cross_entropy(logits, targets) + baseline.l2 / 2 * weight.square().sum()
    loss.backward()
    assert weight.grad is not None and weight.grad.abs().max() < 1e-4


def test_the_same_examples_give_the_same_weights() -> None:
    assert torch.equal(BagOfWords(TRAIN, VALID).weight, BagOfWords(TRAIN, VALID).weight)


def test_accuracy_is_the_share_that_is_right() -> None:
    assert accuracy(["a", "b", "b"], ["a", "b", "a"]) == pytest.approx(2 / 3)


def test_what_nothing_can_be_learned_from_is_refused() -> None:
    with pytest.raises(BaselineError, match="at least one training example"):
        Majority([])
    with pytest.raises(BaselineError, match=r"two labels in training.*Received: 1 labels, 2 validation examples"):
        BagOfWords([("a", "x")], VALID)
    with pytest.raises(BaselineError, match=r"two labels in training.*Received: 2 labels, 0 validation examples"):
        BagOfWords(TRAIN, [])
    with pytest.raises(BaselineError, match="as many predictions as labels"):
        accuracy(["a"], [])
