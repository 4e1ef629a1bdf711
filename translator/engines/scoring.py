"""Log-probabilities of given targets: one forward pass, no search."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID

_MAX_LOGIT_ROWS = 1024  # tokens whose distributions are in memory at the same time


class PredictingModel(Protocol):
    """A model that predicts all tokens of given targets at once."""

    def __call__(self, source: Packed, target_input: Packed) -> Tensor:
        """Return hidden states `(num_target_tokens, d_model)`."""

    def logits(self, hidden: Tensor) -> Tensor:
        """Project `(n, d_model)` to `(n, vocab_size)`."""


@torch.inference_mode()
def token_log_probabilities(
    model: PredictingModel,
    sources: Sequence[Sequence[int]] | None,
    targets: Sequence[Sequence[int]],
    device: torch.device,
) -> list[tuple[float, ...]]:
    """Return the log-probability of each target token and of EOS, given the previous tokens and the source.

    Args:
        model: the model, on `device`.
        sources: ids of each sentence, without special tokens; None for a language model.
        targets: ids of each target, without special tokens.
        device: device that computes.
    """
    given = [[] for _ in targets] if sources is None else [[*ids, EOS_ID] for ids in sources]
    source = Packed.from_sequences(given).to(device)
    target_input = Packed.from_sequences([[BOS_ID, *ids] for ids in targets]).to(device)
    labels = Packed.from_sequences([[*ids, EOS_ID] for ids in targets]).to(device)
    hidden = model(source, target_input)
    values = []
    for start in range(0, hidden.shape[0], _MAX_LOGIT_ROWS):
        log_probs = model.logits(hidden[start : start + _MAX_LOGIT_ROWS]).log_softmax(dim=-1, dtype=torch.float32)
        values.append(log_probs.gather(1, labels.values[start : start + _MAX_LOGIT_ROWS, None]).squeeze(1))
    flat = torch.cat(values).tolist()
    return [tuple(flat[start:end]) for start, end in pairwise(labels.cu_seqlens.tolist())]
