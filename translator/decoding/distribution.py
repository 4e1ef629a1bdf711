"""Which tokens a translation may go on with, and how probable the model finds them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from translator.tokenizer import BOS_ID, EOS_ID, UNK_ID


def first_allowed(*, is_first: bool) -> int:
    """The lowest token that may come next.

    BOS and UNK never follow (byte fallback spells everything), and a text that has something to say is not translated
    by nothing: EOS does not come first.

    Args:
        is_first: whether it is the first token of the translation.
    """
    assert UNK_ID < BOS_ID < EOS_ID
    return EOS_ID + 1 if is_first else EOS_ID


def log_probabilities(logits: Tensor, *, is_first: bool) -> Tensor:
    """The model's log-probabilities, those of tokens that no translation may hold here set to minus infinity.

    The rest keeps the model's own probability; nothing is normalized again.

    Args:
        logits: `(rows, vocab_size)` floating point.
        is_first: whether these are the first tokens of the translations.

    Returns:
        `(rows, vocab_size)` float32.
    """
    result = logits.log_softmax(dim=-1, dtype=torch.float32)
    result[:, : first_allowed(is_first=is_first)] = -math.inf
    return result
