"""`Ensemble`: several models that predict together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from translator.decoding.decodable import Decodable
from translator.packing import Packed


class Ensemble:
    """A `Decodable` whose probabilities are the mean of those of its members.

    Args:
        members: models with the same vocabularies.
    """

    def __init__(self, members: Sequence[Decodable[Any]]) -> None:
        self._members = members

    def start(self, source: Packed) -> list[Any]:
        """See `Decodable.start`: the state of each member."""
        return [member.start(source) for member in self._members]

    def step(self, tokens: Tensor, state: list[Any]) -> Tensor:
        """See `Decodable.step`: logarithms of the mean probabilities, float32."""
        logits = [member.step(tokens, each) for member, each in zip(self._members, state, strict=True)]
        return log_mean([each.log_softmax(dim=-1, dtype=torch.float32) for each in logits])

    def reorder(self, state: list[Any], rows: Tensor, sentences: Sequence[int] | None = None) -> list[Any]:
        """See `Decodable.reorder`."""
        return [member.reorder(each, rows, sentences) for member, each in zip(self._members, state, strict=True)]


def log_mean(log_probs: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean probability, element by element."""
    return torch.stack(list(log_probs)).logsumexp(dim=0) - math.log(len(log_probs))
