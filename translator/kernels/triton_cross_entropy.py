"""Vocabulary projection and loss on CUDA: torch's matrix products and one kernel that replaces logits by gradients.

The kernel reads each logit once and overwrites it with its gradient, in the dtype of the inputs. So memory is needed
for one chunk of logits in that dtype only; with a vocabulary of 32k and 32k tokens in bfloat16, one chunk contains all.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from translator.kernels.triton_tiles import on_device_of

_CHUNK_ELEMENTS = 2**30  # logits per chunk: 2 GB in half precision, a quarter of the optimizer state of a big model
_MAX_REGISTER_ROW = 32768  # logits of a token that fit the registers of one program
_BLOCK = 8192
_TOKENS_PER_WARP = 1024  # 32 registers of a thread hold its part of a row
_ALIGNMENT = 64  # columns; rows of logits start at multiples of 128 bytes in half precision


@triton.jit
def _load_logits(row_ptr, token, vocab_size, row_size, IS_PADDED: tl.constexpr):
    """Load the logits of tokens `(BLOCK,)` in float32, minus infinity after the end of the vocabulary."""
    logits = tl.load(row_ptr + token, mask=token < row_size, other=-float("inf")).to(tl.float32)
    if IS_PADDED:
        logits = tl.where(token < vocab_size, logits, -float("inf"))
    return logits


@triton.jit(do_not_specialize=["ignore_index"])
def rows_loss(
    logits_ptr,
    labels_ptr,
    mean_logits_ptr,
    losses_ptr,
    stride_row,
    vocab_size,
    row_size,
    label_smoothing,
    ignore_index,
    NEEDS_GRAD: tl.constexpr,
    IS_WHOLE: tl.constexpr,
    IS_PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Compute the loss of one token and, with NEEDS_GRAD, replace its logits by their gradient.

    The gradient is the softmax minus the smoothed label. Each exponential is computed once. The logit of the label is
    loaded, and its gradient stored, by itself, so that no token is compared with the label.

    Loads and stores end at `row_size`: at a vocabulary that is no multiple of 16, the compiler would access
    two bytes at a time. With IS_WHOLE a row stays in registers; otherwise it is read a second time, block by block.
    With IS_PADDED, `row_size` exceeds `vocab_size`.
    """
    LOG2_E: tl.constexpr = 1.4426950408889634
    row = tl.program_id(0).to(tl.int64)
    row_ptr = logits_ptr + row * stride_row
    label = tl.load(labels_ptr + row)
    if label == ignore_index:
        tl.store(losses_ptr + row, 0.0)
        if NEEDS_GRAD:
            for first in range(0, vocab_size, BLOCK):
                token = first + tl.arange(0, BLOCK)
                tl.store(row_ptr + token, tl.zeros([BLOCK], logits_ptr.dtype.element_ty), mask=token < row_size)
        return
    label_logit = tl.load(row_ptr + label).to(tl.float32)
    if IS_WHOLE:
        token = tl.arange(0, BLOCK)
        logits = _load_logits(row_ptr, token, vocab_size, row_size, IS_PADDED)
        highest = tl.max(logits, 0)
        powers = tl.exp2((logits - highest) * LOG2_E)
        total = tl.sum(powers, 0)
    else:
        highest = -float("inf")
        total = 0.0
        for first in range(0, vocab_size, BLOCK):
            logits = _load_logits(row_ptr, first + tl.arange(0, BLOCK), vocab_size, row_size, IS_PADDED)
            new_highest = tl.maximum(highest, tl.max(logits, 0))
            powers = tl.exp2((logits - new_highest) * LOG2_E)
            total = total * tl.exp2((highest - new_highest) * LOG2_E) + tl.sum(powers, 0)
            highest = new_highest
    log_sum = highest + tl.log(total)
    mean_logit = tl.load(mean_logits_ptr + row)
    loss = (1.0 - label_smoothing) * (log_sum - label_logit) + label_smoothing * (log_sum - mean_logit)
    tl.store(losses_ptr + row, loss)
    if NEEDS_GRAD:
        scale, uniform = 1.0 / total, label_smoothing / vocab_size
        tl.debug_barrier()  # all warps must read the label's logit before one overwrites it
        if IS_WHOLE:
            grad = (powers * scale - uniform).to(logits_ptr.dtype.element_ty)
            tl.store(row_ptr + token, grad, mask=token < row_size)
        else:
            for first in range(0, vocab_size, BLOCK):
                token = first + tl.arange(0, BLOCK)
                logits = _load_logits(row_ptr, token, vocab_size, row_size, IS_PADDED)
                powers = tl.exp2((logits - highest) * LOG2_E)
                grad = (powers * scale - uniform).to(logits_ptr.dtype.element_ty)
                tl.store(row_ptr + token, grad, mask=token < row_size)
        tl.debug_barrier()  # the label's gradient must be stored after that of the row
        probability = tl.exp2((label_logit - highest) * LOG2_E) * scale
        grad_label = probability - uniform - (1.0 - label_smoothing)
        tl.store(row_ptr + label, grad_label.to(logits_ptr.dtype.element_ty))


def replace_by_gradient(
    logits: Tensor,
    labels: Tensor,
    mean_logits: Tensor,
    losses: Tensor,
    label_smoothing: float,
    ignore_index: int,
    needs_grad: bool,
    padding: int = 0,
) -> None:
    """Write the loss of each row to `losses` and, with `needs_grad`, the gradient over the logits.

    Args:
        logits: `(num_tokens, vocab_size)`, rows contiguous.
        labels: `(num_tokens,)` int64.
        mean_logits: mean of each row, `(num_tokens,)` float32.
        losses: `(num_tokens,)` float32.
        label_smoothing: in [0, 1).
        ignore_index: label of ignored rows, whose loss and gradient are zero.
        needs_grad: write the gradient.
        padding: number of columns after the logits of each row that may be read and overwritten.
    """
    num_tokens, vocab_size = logits.shape
    is_whole = vocab_size <= _MAX_REGISTER_ROW
    block = triton.next_power_of_2(vocab_size) if is_whole else _BLOCK
    sizes = (logits.stride(0), vocab_size, vocab_size + padding)
    rows_loss[(num_tokens,)](
        *(logits, labels, mean_logits, losses, *sizes, label_smoothing, ignore_index),
        NEEDS_GRAD=needs_grad,
        IS_WHOLE=is_whole,
        IS_PADDED=padding > 0,
        BLOCK=block,
        num_warps=max(8, block // _TOKENS_PER_WARP),
    )


def fused_linear_cross_entropy(
    hidden: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float, ignore_index: int, needs_grad: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the summed loss and its gradients for hidden and weight (empty unless `needs_grad`)."""
    num_tokens, vocab_size = hidden.shape[0], weight.shape[0]
    losses = torch.empty(num_tokens, dtype=torch.float32, device=hidden.device)
    grad_hidden = torch.empty_like(hidden) if needs_grad else hidden.new_empty(0)
    grad_weight = torch.zeros_like(weight) if needs_grad else weight.new_empty(0)
    chunk = max(1, _CHUNK_ELEMENTS // vocab_size)
    labels = labels.contiguous()
    mean_weight = weight.float().mean(dim=0)
    with on_device_of(hidden):
        for start in range(0, num_tokens, chunk):
            rows = slice(start, start + chunk)
            logits, padding = _empty_logits(hidden[rows], vocab_size)
            torch.mm(hidden[rows], weight.T, out=logits)
            mean_logits = hidden[rows].float() @ mean_weight
            each = (logits, labels[rows], mean_logits, losses[rows])
            replace_by_gradient(*each, label_smoothing, ignore_index, needs_grad, padding)
            if needs_grad:
                torch.mm(logits, weight, out=grad_hidden[rows])
                grad_weight.addmm_(logits.T, hidden[rows])
            del logits  # frees the memory before the next chunk
    return losses.sum(), grad_hidden, grad_weight


def _empty_logits(hidden: Tensor, vocab_size: int) -> tuple[Tensor, int]:
    """Return uninitialized logits of `hidden`, `(num_tokens, vocab_size)`, and the padding that aligns each row."""
    padding = -vocab_size % _ALIGNMENT
    buffer = hidden.new_empty(len(hidden), vocab_size + padding)
    return buffer[:, :vocab_size], padding
