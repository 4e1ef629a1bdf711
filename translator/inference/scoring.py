"""How probable a model finds translations that are already there: one forward pass, no search."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor

from translator.decoding.search import Decodable
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID

_LOGITS_AT_ONCE = 1024  # tokens whose distributions exist at the same time


class PredictingModel(Protocol):
    """A model that predicts all tokens of given texts at once."""

    max_positions: int

    def __call__(self, source: Packed, target_input: Packed) -> Tensor:
        """Hidden states `(num_target_tokens, d_model)`."""

    def logits(self, hidden: Tensor) -> Tensor:
        """`(n, d_model)` to `(n, vocab_size)`."""


class TranslationModel(Decodable[Any], PredictingModel, Protocol):
    """A model that decodes step by step, too."""


@torch.inference_mode()
def token_log_probabilities(
    model: PredictingModel,
    sources: Sequence[Sequence[int]] | None,
    targets: Sequence[Sequence[int]],
    device: torch.device,
) -> list[tuple[float, ...]]:
    """Log-probability of each target token and of EOS after them, given the tokens before and the source.

    Args:
        model: on `device`.
        sources: ids of each sentence, without special ids; None of a language model.
        targets: likewise.
        device: where to compute.
    """
    given = [[] for _ in targets] if sources is None else [[*ids, EOS_ID] for ids in sources]
    source = Packed.from_sequences(given).to(device)
    target_input = Packed.from_sequences([[BOS_ID, *ids] for ids in targets]).to(device)
    labels = Packed.from_sequences([[*ids, EOS_ID] for ids in targets]).to(device)
    hidden = model(source, target_input)
    values = []
    for start in range(0, hidden.shape[0], _LOGITS_AT_ONCE):
        log_probs = model.logits(hidden[start : start + _LOGITS_AT_ONCE]).log_softmax(dim=-1, dtype=torch.float32)
        values.append(log_probs.gather(1, labels.values[start : start + _LOGITS_AT_ONCE, None]).squeeze(1))
    flat = torch.cat(values).tolist()
    return [tuple(flat[start:end]) for start, end in pairwise(labels.cu_seqlens.tolist())]
