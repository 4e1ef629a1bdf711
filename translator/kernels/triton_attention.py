"""Packed attention on CUDA: launches of the Triton kernels, registered as torch operators.

Sequences of up to 128 tokens (32 in float32) take the short path, `triton_attention_short`, with one launch per length
class. Longer ones take the long path, `triton_attention_long`. The bounds `max_seqlen_q` and `max_seqlen_k` determine
which classes are launched. On the device, the lengths of a sequence determine its class. The host reads no offset, so
nothing synchronizes and a CUDA graph can contain every launch. A sequence beyond the bounds gives zeros if no launch
includes its class; TRANSLATOR_CHECK=1 refuses it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from translator.kernels.counter_dropout import drop_threshold
from translator.kernels.grouped import separated
from translator.kernels.triton_attention_long import long_forward
from translator.kernels.triton_attention_long_backward import long_backward_keys, long_backward_queries
from translator.kernels.triton_attention_short import short_backward, short_forward
from translator.kernels.triton_tiles import on_device_of


@dataclass(frozen=True)
class LengthClass:
    """Sequences whose longer side has `shorter + 1` to `tile` tokens, and the number of warps for each."""

    shorter: int
    tile: int
    warps: int

    def constants(self) -> dict[str, int]:
        """Compile-time constants and launch options of the kernels of the short path."""
        return {"SHORTER": self.shorter, "TILE": self.tile, "num_warps": self.warps}


@dataclass(frozen=True)
class Block:
    """Numbers of queries and keys in a tile of the long path, and of warps per program."""

    queries: int
    keys: int
    warps: int

    def constants(self) -> dict[str, int]:
        """Compile-time constants and launch options of the kernels of the long path."""
        # two stages: a third would take more shared memory than consumer GPUs have
        return {"BLOCK_Q": self.queries, "BLOCK_K": self.keys, "num_warps": self.warps, "num_stages": 2}


@dataclass(frozen=True)
class Tiling:
    """Tile sizes of attention for one dtype and head dimension.

    Attributes:
        classes: length classes of the short path, shortest first.
        queries: tiles of the kernels with one program per tile of queries.
        keys: tiles of the kernel with one program per tile of keys.
    """

    classes: tuple[LengthClass, ...]
    queries: Block
    keys: Block

    @property
    def short(self) -> int:
        """Length of the longest sequence of the short path."""
        return self.classes[-1].tile


def tiling(dtype: torch.dtype, head_dim: int) -> Tiling:
    """Return tiles that fit the registers, but for a few bytes; tests bound the usage of each kernel."""
    if dtype == torch.float32:  # tensor cores lack full precision, so the products of a tile are in registers
        if head_dim > 64:
            # the kernel of the keys holds two gradients: tiles of 32 x 32 would spill 520 bytes per thread on sm_80
            return Tiling((LengthClass(0, 16, 4), LengthClass(16, 32, 8)), Block(32, 32, 8), Block(16, 16, 8))
        return Tiling((LengthClass(0, 16, 2), LengthClass(16, 32, 4)), Block(32, 32, 4), Block(32, 32, 4))
    short = (LengthClass(0, 16, 1), LengthClass(16, 32, 2), LengthClass(32, 64, 4))
    if head_dim > 64:
        return Tiling(short, Block(64, 32, 4), Block(32, 64, 8))
    return Tiling((*short, LengthClass(64, 128, 8)), Block(64, 32, 4), Block(32, 64, 4))


@dataclass(frozen=True)
class _Call:
    """Arguments of one call, and the launches of kernels with them.

    Kernels take, in this order: tensors, offsets and seeds, sizes, numbers, and compile-time constants. Strides are
    constants: they have few values, and offsets inside a tile need no instructions and no registers then.
    """

    projections: Sequence[Tensor]
    cu_seqlens_q: Tensor
    cu_seqlens_k: Tensor
    max_seqlen: int
    causal: bool
    scale: float
    dropout_p: float
    seeds: Tensor | None

    @property
    def inputs(self) -> list[Tensor]:
        """Queries, keys and values: views, each `(num_tokens, heads, head_dim)`."""
        return separated(self.projections)

    @property
    def heads(self) -> int:
        return self.projections[0].shape[2]

    @property
    def num_tokens(self) -> tuple[int, int]:
        """Rows of queries and of keys, trailing padding included."""
        return self.projections[0].shape[0], self.projections[-1].shape[0]

    @property
    def tiling(self) -> Tiling:
        """Tile sizes of the kernels."""
        return _tiling_of(self.projections)

    @property
    def numbers(self) -> tuple[float, ...]:
        """Factor on the scores for a softmax to base 2, faster in hardware; threshold and factor of dropout."""
        return self.scale * math.log2(math.e), drop_threshold(self.dropout_p), 1 / (1 - self.dropout_p)

    @property
    def constants(self) -> dict[str, Any]:
        """Compile-time constants of all kernels."""
        constants: dict[str, Any] = {"CAUSAL": self.causal, "IS_DROPPING": self.dropout_p > 0}
        constants |= {"HEADS": self.heads, "HEAD_DIM": self.projections[0].shape[3]}
        for name, x in zip("QKV", self.inputs, strict=True):  # which may be views of one projection
            constants |= _strides(name, x)
        return constants

    def parts(self, names: str) -> dict[str, int]:
        """Return constants of the kernels that write gradients: `Q_PARTS` is the number of parts of the projection that
        holds the queries, and so the distance of rows in its gradient.
        """
        parts = [projection.shape[1] for projection in self.projections for _ in range(projection.shape[1])]
        return {f"{name}_PARTS": number for name, number in zip("QKV", parts, strict=True) if name in names}

    @property
    def has_long(self) -> bool:
        """True if the bounds admit a sequence of the long path."""
        return self.max_seqlen > self.tiling.short

    def launch_short(
        self, kernel: Any, tensors: tuple[Tensor, ...], numbers: tuple[float, ...], constants: dict[str, int]
    ) -> None:
        """Launch a kernel of the short path for each length class that the bounds admit, a program per sequence.

        The last launch has programs for the trailing padding too, so there is at least one launch.
        """
        num_sequences, heads = self.cu_seqlens_q.shape[0] - 1, self.heads
        arguments = (*tensors, self.cu_seqlens_q, self.cu_seqlens_k, self.seeds, num_sequences, *self.num_tokens)
        constants = self.constants | constants
        classes = [each for each in self.tiling.classes if each.shorter < max(1, self.max_seqlen)]
        for length_class in classes:
            is_last = length_class is classes[-1]
            programs = (num_sequences + is_last) * heads
            zeroes_longer = int(is_last and not self.has_long)
            kernel[(programs,)](*arguments, zeroes_longer, *numbers, **constants, **length_class.constants())

    def launch_long(
        self,
        kernel: Any,
        tensors: tuple[Tensor, ...],
        numbers: tuple[float, ...],
        constants: dict[str, int],
        *,
        over_keys: bool = False,
    ) -> None:
        """Launch a kernel of the long path, a program per head and tile of queries, or of keys."""
        num_sequences, heads = self.cu_seqlens_q.shape[0] - 1, self.heads
        num_q_tokens, num_k_tokens = self.num_tokens
        block = self.tiling.keys if over_keys else self.tiling.queries
        tiles = triton.cdiv(num_k_tokens, block.keys) if over_keys else triton.cdiv(num_q_tokens, block.queries)
        kernel[(tiles, heads)](
            *(*tensors, self.cu_seqlens_q, self.cu_seqlens_k, self.seeds),
            *(num_sequences, num_q_tokens, *numbers),
            **self.constants,
            **constants,
            SHORT=self.tiling.short,
            **block.constants(),
        )


@torch.library.custom_op("translator::triton_attention", mutates_args=())
def triton_attention(
    projections: Sequence[Tensor],
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    causal: bool,
    scale: float,
    dropout_p: float,
    seeds: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Packed attention in Triton; arguments as in `kernels.packed_attention`.

    Args:
        projections: queries, keys and values, those of one product in one tensor: `(num_tokens, m, heads, head_dim)`
            each. So is the gradient, which the product before it reads without a copy.

    Returns:
        The output, and `(heads, num_q_tokens)` binary logarithms of the softmax denominators, defined for sequences of
        the long path only, and empty if the bounds admit none.
    """
    max_seqlen = max(max_seqlen_q, max_seqlen_k)
    call = _Call(projections, cu_seqlens_q, cu_seqlens_k, max_seqlen, causal, scale, dropout_p, seeds)
    out, log_sum = _outputs(projections, max_seqlen)
    with on_device_of(out):
        call.launch_short(short_forward, (*call.inputs, out), call.numbers, {})
        if call.has_long:
            call.launch_long(long_forward, (*call.inputs, out, log_sum), call.numbers, {})
    return out, log_sum


@triton_attention.register_fake
def _(
    projections: Sequence[Tensor], cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, max_q: int, max_k: int, *_: Any
) -> tuple[Tensor, Tensor]:
    return _outputs(projections, max(max_q, max_k))


@torch.library.custom_op("translator::triton_attention_backward", mutates_args=())
def triton_attention_backward(
    grad_out: Tensor,
    out: Tensor,
    log_sum: Tensor,
    projections: Sequence[Tensor],
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    causal: bool,
    scale: float,
    dropout_p: float,
    seeds: Tensor | None,
) -> list[Tensor]:
    """Gradients of `triton_attention` for the projections."""
    max_seqlen = max(max_seqlen_q, max_seqlen_k)
    call = _Call(projections, cu_seqlens_q, cu_seqlens_k, max_seqlen, causal, scale, dropout_p, seeds)
    if grad_out.stride(-1) != 1:
        grad_out = grad_out.contiguous()
    grads = [_empty_like(x) for x in projections]
    grad_q, grad_k, grad_v = separated(grads)
    mean_grad = torch.empty_like(log_sum)
    numbers, strides = (scale, *call.numbers), _strides("GRAD_OUT", grad_out)
    with on_device_of(out):
        tensors = (grad_out, *call.inputs, grad_q, grad_k, grad_v)
        call.launch_short(short_backward, tensors, numbers, strides | call.parts("QKV"))
        if call.has_long:
            tensors = (grad_out, out, *call.inputs, grad_q, log_sum, mean_grad)
            call.launch_long(long_backward_queries, tensors, numbers, strides | call.parts("Q"))
            tensors = (grad_out, *call.inputs, grad_k, grad_v, log_sum, mean_grad)
            call.launch_long(long_backward_keys, tensors, numbers, strides | call.parts("KV"), over_keys=True)
    return grads


@triton_attention_backward.register_fake
def _(grad_out: Tensor, out: Tensor, log_sum: Tensor, projections: Sequence[Tensor], *_: Any) -> list[Tensor]:
    return [_empty_like(x) for x in projections]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    projections, cu_seqlens_q, cu_seqlens_k, *ctx.options, seeds = inputs
    out, log_sum = output
    ctx.mark_non_differentiable(log_sum)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(out, log_sum, cu_seqlens_q, cu_seqlens_k, seeds, *projections)


def _backward(ctx: Any, grad_out: Tensor | None, _: Tensor | None) -> tuple[list[Tensor] | list[None] | None, ...]:
    nothing = (None,) * 8
    out, log_sum, cu_seqlens_q, cu_seqlens_k, seeds, *projections = ctx.saved_tensors
    if grad_out is None:
        return [None] * len(projections), *nothing
    offsets = cu_seqlens_q, cu_seqlens_k
    return triton_attention_backward(grad_out, out, log_sum, projections, *offsets, *ctx.options, seeds), *nothing


triton_attention.register_autograd(_backward, setup_context=_setup_context)


def _strides(name: str, x: Tensor) -> dict[str, int]:
    """Return the constants of a kernel that are the strides of tokens and heads of `x`."""
    return {f"{name}_TOKEN_STRIDE": x.stride(0), f"{name}_HEAD_STRIDE": x.stride(1)}


def _empty_like(x: Tensor) -> Tensor:
    """Return an uninitialized contiguous tensor, whatever the strides of `x`."""
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


def _tiling_of(projections: Sequence[Tensor]) -> Tiling:
    return tiling(projections[0].dtype, projections[0].shape[3])


def _outputs(projections: Sequence[Tensor], max_seqlen: int) -> tuple[Tensor, Tensor]:
    """Return uninitialized results of `triton_attention`."""
    queries = projections[0][:, 0]
    num_tokens = len(queries) if max_seqlen > _tiling_of(projections).short else 0
    log_sum = torch.empty(queries.shape[1], num_tokens, dtype=torch.float32, device=queries.device)
    return _empty_like(queries), log_sum
