"""Packed attention on CUDA: launches the Triton kernels and registers them as torch operators.

Sequences of up to 128 tokens (32 in float32) are served by `triton_attention_short`, one launch for each length class,
longer ones by `triton_attention_long`. Which classes are launched follows from the bounds `max_seqlen_q` and
`max_seqlen_k`; which of them serves a sequence follows on the device from its own lengths. The host never reads an
offset, so nothing waits for the device and a CUDA graph can hold every launch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from translator.kernels.counter_dropout import drop_threshold
from translator.kernels.triton_attention_long import long_forward
from translator.kernels.triton_attention_long_backward import long_backward_keys, long_backward_queries
from translator.kernels.triton_attention_short import short_backward, short_forward
from translator.kernels.triton_tiles import on_device_of, zero_filler

_FILLER_ROWS = 64  # rows that one program clears


@dataclass(frozen=True)
class Class:
    """Sequences whose longer side has `shorter + 1` to `tile` tokens, and the warps that one of them occupies."""

    shorter: int
    tile: int
    warps: int

    def constants(self) -> dict[str, int]:
        return {"SHORTER": self.shorter, "TILE": self.tile, "num_warps": self.warps}


@dataclass(frozen=True)
class Block:
    """Queries and keys in a tile of the long path, and the warps of a program."""

    queries: int
    keys: int
    warps: int

    def constants(self) -> dict[str, int]:
        # two stages: a third would take more shared memory than consumer cards have
        return {"BLOCK_Q": self.queries, "BLOCK_K": self.keys, "num_warps": self.warps, "num_stages": 2}


@dataclass(frozen=True)
class Tiling:
    """How attention over one dtype and head size is cut up.

    Attributes:
        classes: the length classes of the short path, shortest first.
        queries: tiles of the kernels that own queries.
        keys: tiles of the kernel that owns keys.
    """

    classes: tuple[Class, ...]
    queries: Block
    keys: Block

    @property
    def short(self) -> int:
        """The longest sequence that the short path serves."""
        return self.classes[-1].tile


def tiling(dtype: torch.dtype, head_dim: int) -> Tiling:
    """Tiles that fit the registers, all but a few bytes of them; the tests hold what each kernel may take."""
    if dtype == torch.float32:  # no tensor cores at full precision: a tile's products live in registers
        if head_dim > 64:
            # the keys' tile is smaller: with two gradients in it, 32 x 32 spill up to 520 bytes a thread on sm_80
            return Tiling((Class(0, 16, 4), Class(16, 32, 8)), Block(32, 32, 8), Block(16, 16, 8))
        return Tiling((Class(0, 16, 2), Class(16, 32, 4)), Block(32, 32, 4), Block(32, 32, 4))
    short = (Class(0, 16, 1), Class(16, 32, 2), Class(32, 64, 4))
    if head_dim > 64:
        return Tiling(short, Block(64, 32, 4), Block(32, 64, 8))
    return Tiling((*short, Class(64, 128, 8)), Block(64, 32, 4), Block(32, 64, 4))


@dataclass(frozen=True)
class _Problem:
    """What the launches of one call share."""

    q: Tensor
    k: Tensor
    v: Tensor
    cu_seqlens_q: Tensor
    cu_seqlens_k: Tensor
    longest: int
    causal: bool
    scale: float
    dropout_p: float
    seed: Tensor | None

    @property
    def num_sequences(self) -> int:
        return self.cu_seqlens_q.shape[0] - 1

    @property
    def heads(self) -> int:
        return self.q.shape[1]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self.q, self.k, self.v

    @property
    def offsets(self) -> tuple[Tensor | None, ...]:
        return self.cu_seqlens_q, self.cu_seqlens_k, self.seed

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the long path."""
        return self.heads, self.num_sequences, self.q.shape[0]

    @property
    def tiling(self) -> Tiling:
        return tiling(self.q.dtype, self.q.shape[2])

    @property
    def strides(self) -> tuple[int, ...]:
        """Of tokens and heads, for q, k and v: they may be views of one fused projection."""
        return tuple(stride for x in self.inputs for stride in x.stride()[:2])

    @property
    def log2_scale(self) -> float:
        """Factor on the scores for a softmax to base 2, which the hardware is faster at."""
        return self.scale * math.log2(math.e)

    @property
    def dropout(self) -> tuple[int, float]:
        return drop_threshold(self.dropout_p), 1 / (1 - self.dropout_p)

    @property
    def constants(self) -> dict[str, Any]:
        return {"CAUSAL": self.causal, "IS_DROPPING": self.dropout_p > 0, "HEAD_DIM": self.q.shape[2]}

    @property
    def classes(self) -> list[Class]:
        """Those that a sequence within the bounds can fall into."""
        return [each for each in self.tiling.classes if each.shorter < self.longest]

    @property
    def has_long(self) -> bool:
        """Whether the bounds admit a sequence of the long path."""
        return self.longest > self.tiling.short

    @property
    def long_constants(self) -> dict[str, Any]:
        return {**self.constants, "SHORT": self.tiling.short}

    @property
    def grid_over_sequences(self) -> tuple[int]:
        return (self.num_sequences * self.heads,)

    @property
    def grid_over_queries(self) -> tuple[int, int]:
        return triton.cdiv(self.q.shape[0], self.tiling.queries.queries), self.heads

    @property
    def grid_over_keys(self) -> tuple[int, int]:
        return triton.cdiv(self.k.shape[0], self.tiling.keys.keys), self.heads


@torch.library.custom_op("translator::triton_attention", mutates_args=())
def triton_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    causal: bool,
    scale: float,
    dropout_p: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Packed attention in Triton; arguments as in `kernels.packed_attention`.

    Returns:
        The output, and `(heads, num_q_tokens)` binary logarithms of the softmax denominators, defined for sequences of
        the long path only; empty where the bounds admit none.
    """
    longest = max(max_seqlen_q, max_seqlen_k)
    problem = _Problem(q, k, v, cu_seqlens_q, cu_seqlens_k, longest, causal, scale, dropout_p, seed)
    out = _empty_like(q)
    log_sum = _row_numbers(q, longest)
    shared = (*problem.offsets, *problem.strides)
    numbers = (problem.log2_scale, *problem.dropout)
    with on_device_of(q):
        _clear_filler(out, None, cu_seqlens_q)
        for each in problem.classes:
            short_forward[problem.grid_over_sequences](
                *problem.inputs, out, *shared, problem.heads, *numbers, **problem.constants, **each.constants()
            )
        if problem.has_long:
            constants = {**problem.long_constants, **problem.tiling.queries.constants()}
            long_forward[problem.grid_over_queries](
                *problem.inputs, out, log_sum, *shared, *problem.sizes, *numbers, **constants
            )
    return out, log_sum


@triton_attention.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, max_q: int, max_k: int, *_: Any
) -> tuple[Tensor, Tensor]:
    return _empty_like(q), _row_numbers(q, max(max_q, max_k))


@torch.library.custom_op("translator::triton_attention_backward", mutates_args=())
def triton_attention_backward(
    grad_out: Tensor,
    out: Tensor,
    log_sum: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    causal: bool,
    scale: float,
    dropout_p: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `triton_attention` for q, k and v."""
    longest = max(max_seqlen_q, max_seqlen_k)
    problem = _Problem(q, k, v, cu_seqlens_q, cu_seqlens_k, longest, causal, scale, dropout_p, seed)
    if grad_out.stride(-1) != 1:
        grad_out = grad_out.contiguous()
    grad_q, grad_k, grad_v = _empty_like(q), _empty_like(k), _empty_like(v)
    mean_grad = torch.empty_like(log_sum)
    shared = (*problem.offsets, *grad_out.stride()[:2], *problem.strides)
    numbers = (scale, problem.log2_scale, *problem.dropout)
    with on_device_of(q):
        _clear_filler(grad_q, None, cu_seqlens_q)
        _clear_filler(grad_k, grad_v, cu_seqlens_k)
        for each in problem.classes:
            tensors = (grad_out, *problem.inputs, grad_q, grad_k, grad_v)
            short_backward[problem.grid_over_sequences](
                *tensors, *shared, problem.heads, *numbers, **problem.constants, **each.constants()
            )
        if problem.has_long:
            constants = {**problem.long_constants, **problem.tiling.queries.constants()}
            tensors = (grad_out, out, *problem.inputs, grad_q, log_sum, mean_grad)
            long_backward_queries[problem.grid_over_queries](*tensors, *shared, *problem.sizes, *numbers, **constants)
            constants = {**problem.long_constants, **problem.tiling.keys.constants()}
            tensors = (grad_out, *problem.inputs, grad_k, grad_v, log_sum, mean_grad)
            long_backward_keys[problem.grid_over_keys](*tensors, *shared, *problem.sizes, *numbers, **constants)
    return grad_q, grad_k, grad_v


@triton_attention_backward.register_fake
def _(
    grad_out: Tensor, out: Tensor, log_sum: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return _empty_like(q), _empty_like(k), _empty_like(v)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, cu_seqlens_q, cu_seqlens_k, *ctx.options, seed = inputs
    out, log_sum = output
    ctx.mark_non_differentiable(log_sum)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(out, log_sum, q, k, v, cu_seqlens_q, cu_seqlens_k, seed)


def _backward(ctx: Any, grad_out: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    nothing = (None,) * 8
    if grad_out is None:
        return None, None, None, *nothing
    *tensors, seed = ctx.saved_tensors
    return *triton_attention_backward(grad_out, *tensors, *ctx.options, seed), *nothing


triton_attention.register_autograd(_backward, setup_context=_setup_context)


def _empty_like(x: Tensor) -> Tensor:
    """Contiguous, whatever the strides of `x`."""
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


def _row_numbers(q: Tensor, longest: int) -> Tensor:
    """Room for a float32 number for each query and head, if the long path has work."""
    has_long = longest > tiling(q.dtype, q.shape[2]).short
    return torch.empty(q.shape[1], q.shape[0] if has_long else 0, dtype=torch.float32, device=q.device)


def _clear_filler(x: Tensor, y: Tensor | None, cu_seqlens: Tensor) -> None:
    """Zero the rows of `(num_tokens, heads, head_dim)` past the last offset, in one tensor or two alike."""
    num_tokens, heads, head_dim = x.shape
    zero_filler[(triton.cdiv(num_tokens, _FILLER_ROWS),)](
        x, y, cu_seqlens, cu_seqlens.shape[0] - 1, num_tokens, WIDTH=heads * head_dim, ROWS=_FILLER_ROWS
    )
