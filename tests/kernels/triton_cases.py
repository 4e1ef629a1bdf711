"""Packed batches for the tests of the Triton kernels, and what they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from translator.kernels import packed_attention
from translator.packing import cu_seqlens_of

PADDING = 5  # rows past the last sequence


@dataclass(frozen=True)
class Attention:
    """Inputs of `packed_attention`, and an upstream gradient.

    q, k and v are `(num_tokens, heads, head_dim)`, k and v views of one projection; each has PADDING rows at its end.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    grad_out: Tensor
    lengths_q: Sequence[int]
    lengths_k: Sequence[int]
    causal: bool
    dropout_p: float = 0.0

    @classmethod
    def random(
        cls,
        lengths_q: Sequence[int],
        lengths_k: Sequence[int] | None = None,
        *,
        causal: bool = False,
        heads: int = 2,
        head_dim: int = 16,
        dropout_p: float = 0.0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        seed: int = 0,
    ) -> Attention:
        generator = torch.Generator().manual_seed(seed)

        def normal(lengths: Sequence[int], parts: int) -> Tensor:
            shape = (sum(lengths) + PADDING, parts, heads, head_dim)
            return torch.randn(shape, generator=generator).to(device, dtype)

        lengths_k = lengths_q if lengths_k is None else lengths_k
        q, grad_out = normal(lengths_q, 1)[:, 0], normal(lengths_q, 1)[:, 0]
        k, v = normal(lengths_k, 2).unbind(1)
        return cls(q, k, v, grad_out, lengths_q, lengths_k, causal, dropout_p)

    def to(self, dtype: torch.dtype) -> Attention:
        q, k, v, grad_out = (x.to(dtype) for x in (self.q, self.k, self.v, self.grad_out))
        return replace(self, q=q, k=k, v=v, grad_out=grad_out)

    def part(self, first: int, last: int) -> Attention:
        """Sequences `first` to `last - 1` alone, without padding."""
        rows_q = slice(sum(self.lengths_q[:first]), sum(self.lengths_q[:last]))
        rows_k = slice(sum(self.lengths_k[:first]), sum(self.lengths_k[:last]))
        return replace(
            self,
            q=self.q[rows_q],
            k=self.k[rows_k],
            v=self.v[rows_k],
            grad_out=self.grad_out[rows_q],
            lengths_q=self.lengths_q[first:last],
            lengths_k=self.lengths_k[first:last],
        )

    def joint(self) -> Tensor:
        """The inputs as one projection, `(num_tokens, 3, heads, head_dim)`; self-attention only."""
        return torch.stack((self.q, self.k, self.v), dim=1)

    def offsets(self) -> tuple[Tensor, Tensor]:
        q, k = (cu_seqlens_of(torch.tensor(lengths)).to(self.q.device) for lengths in (self.lengths_q, self.lengths_k))
        return q, k

    def results(self, backend: str = "triton", *, looser: int = 0, seed: int = 7, **options: Any) -> list[Tensor]:
        """Output and the gradients of q, k and v; `looser` is added to the bounds on the lengths."""
        q, k, v = (x.detach().requires_grad_() for x in (self.q, self.k, self.v))
        bounds = (max(self.lengths_q) + looser, max(self.lengths_k) + looser)
        out = packed_attention(
            [q, k, v],
            *self.offsets(),
            *bounds,
            causal=self.causal,
            dropout_p=self.dropout_p,
            seeds=torch.arange(len(self.lengths_q), device=q.device) + seed if self.dropout_p else None,
            backend=backend,
            **options,
        )
        if not out.requires_grad:  # the reference never touched its inputs: no query has a key
            return [out, *(torch.zeros_like(x) for x in (q, k, v))]
        return [out.detach(), *torch.autograd.grad(out, (q, k, v), self.grad_out)]


def assert_as_exact_as_naive(case: Attention, floor: float = 1e-6, **options: Any) -> None:
    """The kernel's error is at most twice (gradients: three times) that of the plain computation in the same dtype."""
    exact = case.to(torch.float64).results("reference", **options)
    naive = case.results("reference", **options)
    ours = case.results("triton", **options)
    for name, factor, right, plain, mine in zip("oqkv", (2, 3, 3, 3), exact, naive, ours, strict=True):
        assert mine.dtype == case.q.dtype and mine.shape == right.shape
        error, allowed = (mine.double() - right).abs().max(), (plain.double() - right).abs().max()
        assert error <= factor * allowed + floor, f"{name}: error {error:.2e}, the plain computation's {allowed:.2e}"
