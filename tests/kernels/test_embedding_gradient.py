"""Gradient of the embedding: equal to torch's, and not split into atomic additions by the compiler."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.backends.common import aot_autograd
from torch._inductor.decomposition import select_decomp_table
from torch.nn import functional as F

from translator.kernels.embedding import embed, embedding_gradient
from translator.model.embedding import PositionTable, TokenEmbedding

INDICES = torch.tensor([3, 1, 3, 0, 3, 1])


def test_rows_and_gradient_equal_those_of_torch() -> None:
    weight = torch.randn(5, 8, requires_grad=True)
    upstream = torch.randn(6, 8)
    ours, right = embed(INDICES, weight), F.embedding(INDICES, weight)
    assert torch.equal(ours, right)
    assert torch.equal(*(torch.autograd.grad(rows, weight, upstream)[0] for rows in (ours, right)))


def test_the_operator_of_the_gradient_is_well_formed() -> None:
    torch.library.opcheck(embedding_gradient, (torch.randn(6, 8), INDICES, 5))


@pytest.mark.parametrize("module", [TokenEmbedding(5, 8), PositionTable(5, 8, "learned")])
def test_the_compiled_gradient_has_no_operation_that_becomes_atomic_additions(module: torch.nn.Module) -> None:
    """On CUDA, Inductor writes the accumulation of `index_put` and of scatters with `tl.atomic_add`."""
    operators: list[str] = []

    def record(graph: torch.fx.GraphModule, _: Any) -> Any:
        operators.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph.forward

    backend = aot_autograd(fw_compiler=record, bw_compiler=record, decompositions=select_decomp_table())
    torch._dynamo.reset()
    compiled = torch.compile(module, backend=backend, fullgraph=True)
    rows: Tensor = compiled(INDICES)
    rows.sum().backward()
    assert "translator.embedding_gradient.default" in operators
    assert not [name for name in operators if "index_put" in name or "scatter" in name or "dense_backward" in name]
