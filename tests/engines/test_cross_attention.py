"""The cross-attention that word alignments are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch

from translator.checkpoint import LoadedModel
from translator.engines.torch_engine import TorchEngine

PAIR = ([5, 9, 7, 30, 31], [8, 6, 40])


def test_an_alignment_head_gives_its_own_weights_and_none_gives_the_mean(
    random_model: Callable[..., LoadedModel],
) -> None:
    def weights(layer: int | None, head: int | None) -> torch.Tensor:
        """Every call builds the same weights."""
        model = random_model(alignment_layer=layer, alignment_head=head).model
        [found] = TorchEngine(model).cross_attention([PAIR], 100)
        return found

    for layer in (1, 2):
        heads = [weights(layer, head) for head in (1, 2, 3, 4)]
        torch.testing.assert_close(torch.stack(heads).mean(dim=0), weights(layer, None))
        assert all((heads[0] - other).abs().max() > 1e-4 for other in heads[1:])
    assert torch.equal(weights(None, None), weights(2, None)) and torch.equal(weights(None, 3), weights(2, 3))
