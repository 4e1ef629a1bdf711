"""What a classifier must beat: always the most frequent label, and logistic regression on a bag of words.

Neither sees the order of words. What a model that does scores above them is what it has understood of the order.
Both take pairs of (text, label) and give a label for each text; nothing is drawn at random.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from translator.config import UserError

Pair = tuple[str, str]
L2 = (1e-5, 1e-4, 1e-3, 1e-2)
_MAX_ITERATIONS = 100


class BaselineError(UserError):
    """Examples from which nothing can be learned."""


def accuracy(predictions: Sequence[str], labels: Sequence[str]) -> float:
    """The share of predictions that are right, from 0 to 1.

    Raises:
        BaselineError: there are no labels, or not as many as predictions.
    """
    if not labels or len(predictions) != len(labels):
        raise BaselineError(
            "Accuracy needs as many predictions as labels, at least one. "
            f"Received: {len(predictions)} predictions, {len(labels)} labels."
        )
    return sum(a == b for a, b in zip(predictions, labels, strict=True)) / len(labels)


def words(text: str) -> list[str]:
    """A text's words in lower case, without punctuation; "l'ami" is two."""
    return re.findall(r"\w+", text.lower())


class Majority:
    """Always the most frequent label of training; of equals the first in the alphabet.

    Args:
        train: pairs of (text, label).

    Raises:
        BaselineError: there are none.
    """

    def __init__(self, train: Sequence[Pair]) -> None:
        if not train:
            raise BaselineError("A baseline needs at least one training example. Received: none.")
        counts = Counter(label for _, label in train)
        self.label = min(counts, key=lambda label: (-counts[label], label))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """A label for each text."""
        return [self.label] * len(texts)


class BagOfWords:
    """Multinomial logistic regression over which words a text holds, whatever their order.

    The penalty is the one of `L2` that is most accurate on validation, the largest of equals. Words that training does
    not hold are left out.

    Args:
        train: pairs of (text, label).
        valid: the same, to choose the penalty.

    Raises:
        BaselineError: a set is empty, or training has fewer than two labels.
    """

    def __init__(self, train: Sequence[Pair], valid: Sequence[Pair]) -> None:
        self.labels = sorted({label for _, label in train})
        if len(self.labels) < 2 or not valid:
            raise BaselineError(
                "A bag of words needs two labels in training and at least one validation example. "
                f"Received: {len(self.labels)} labels, {len(valid)} validation examples."
            )
        vocabulary = sorted({word for text, _ in train for word in words(text)})
        self.ids = {word: index for index, word in enumerate(vocabulary)}
        bags = self._bags([text for text, _ in train])
        targets = torch.tensor([self.labels.index(label) for _, label in train])
        best = -1.0
        for l2 in sorted(L2, reverse=True):
            weight, bias = self._fit(bags, targets, l2)
            predictions = self._predict([text for text, _ in valid], weight, bias)
            found = accuracy(predictions, [label for _, label in valid])
            if found > best:
                best, self.l2, self.weight, self.bias = found, l2, weight, bias

    def predict(self, texts: Sequence[str]) -> list[str]:
        """A label for each text."""
        return self._predict(texts, self.weight, self.bias)

    def _predict(self, texts: Sequence[str], weight: Tensor, bias: Tensor) -> list[str]:
        found = _logits(self._bags(texts), weight, bias).argmax(dim=-1)
        return [self.labels[index] for index in found.tolist()]

    def _bags(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The ids of each text's known words, end to end, each once, and where each text begins."""
        ids = [sorted({self.ids[word] for word in words(text) if word in self.ids}) for text in texts]
        lengths = torch.tensor([0, *(len(bag) for bag in ids)])
        return torch.tensor([index for bag in ids for index in bag], dtype=torch.int64), lengths.cumsum(0)[:-1]

    def _fit(self, bags: tuple[Tensor, Tensor], targets: Tensor, l2: float) -> tuple[Tensor, Tensor]:
        """Weights `(num_words, num_labels)` and bias `(num_labels,)` of least penalized loss, by L-BFGS from zero."""
        weight = torch.zeros(len(self.ids), len(self.labels), dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(len(self.labels), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=_MAX_ITERATIONS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(_logits(bags, weight, bias), targets) + l2 / 2 * weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        return weight.detach(), bias.detach()


def _logits(bags: tuple[Tensor, Tensor], weight: Tensor, bias: Tensor) -> Tensor:
    """The sum of the weights of each bag's words: `(num_texts, num_labels)` float64."""
    ids, offsets = bags
    return F.embedding_bag(ids, weight, offsets, mode="sum") + bias
