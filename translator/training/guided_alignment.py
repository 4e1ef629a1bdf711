"""Weight of guided alignment in the loss of a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from translator.data.batch import Batch
from translator.training.parallel import Ranks


def num_linked_tokens(batches: Sequence[Batch]) -> int:
    """Return the number of target tokens that have links; 0 for batches without links."""
    return sum(batch.links.num_targets for batch in batches if batch.links is not None)


def link_factor(batches: Sequence[Batch], weight: float, ranks: Ranks) -> Tensor | None:
    """Return the factor on the summed alignment loss of a step, `()` float32 on the device of the rank.

    Gradients are divided by the number of target tokens of the step. With the factor, the alignment loss counts as its
    mean over the target tokens that have links, times the weight. Both numbers are those of all ranks, so that the
    division of a step changes the result in rounding only. Called by all ranks.

    Args:
        batches: micro-batches of this rank.
        weight: `training.guided_alignment_weight`; without guided alignment, 0, the result is None.
        ranks: ranks of the run.
    """
    if not weight:
        return None
    tokens = sum(batch.num_target_tokens for batch in batches)
    counts = torch.tensor([tokens, num_linked_tokens(batches)], dtype=torch.float32)
    if ranks.device.type == "cuda":  # a copy from memory that is not pinned would synchronize
        counts = counts.pin_memory()
    counts = counts.to(ranks.device, non_blocking=True)
    ranks.sum([counts])
    return weight * counts[0] / counts[1].clamp(min=1)
