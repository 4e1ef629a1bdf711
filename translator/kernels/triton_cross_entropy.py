"""Vocabulary projection and loss on CUDA: torch's matrix products around one kernel that turns logits into gradients.

The kernel reads each logit once and overwrites it with its gradient, in the dtype of the inputs: beside one chunk of
logits, which at 32k pieces and 32k tokens in bfloat16 is all of them, nothing of that size exists, in float32 least of
all.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from translator.kernels.triton_tiles import on_device_of

_CHUNK_ELEMENTS = 2**30  # logits in a chunk: 2 GB in sixteen bits, a quarter of what the optimizer of a big model holds
_LARGEST_ROW = 32768  # logits of a token that fit the registers of one program
_BLOCK = 8192


@triton.jit
def _load_logits(row_ptr, piece, vocab_size):
    """Logits of the pieces `(BLOCK,)` in float32, minus infinity past the vocabulary."""
    return tl.load(row_ptr + piece, mask=piece < vocab_size, other=-float("inf")).to(tl.float32)


@triton.jit
def _store_gradient(row_ptr, piece, logits, log_sum, label, label_smoothing, vocab_size):
    """Put the loss's gradient in the logits' place: their softmax less the smoothed label."""
    uniform = label_smoothing / vocab_size
    grad = tl.exp(logits - log_sum) - uniform - tl.where(piece == label, 1.0 - label_smoothing, 0.0)
    tl.store(row_ptr + piece, grad.to(row_ptr.dtype.element_ty), mask=piece < vocab_size)


@triton.jit(do_not_specialize=["ignore_index"])
def rows_loss(
    logits_ptr,
    labels_ptr,
    losses_ptr,
    stride_row,
    vocab_size,
    label_smoothing,
    ignore_index,
    NEEDS_GRAD: tl.constexpr,
    IS_WHOLE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Loss of one token, whose logits are replaced by their gradient where NEEDS_GRAD.

    With IS_WHOLE a row stays in registers; otherwise it is read a second time, block by block.
    """
    row = tl.program_id(0).to(tl.int64)
    row_ptr = logits_ptr + row * stride_row
    label = tl.load(labels_ptr + row)
    if label == ignore_index:
        tl.store(losses_ptr + row, 0.0)
        if NEEDS_GRAD:
            for first in range(0, vocab_size, BLOCK):
                piece = first + tl.arange(0, BLOCK)
                tl.store(row_ptr + piece, tl.zeros([BLOCK], logits_ptr.dtype.element_ty), mask=piece < vocab_size)
        return
    if IS_WHOLE:
        piece = tl.arange(0, BLOCK)
        logits = _load_logits(row_ptr, piece, vocab_size)
        highest = tl.max(logits, 0)
        total = tl.sum(tl.exp(logits - highest), 0)
        sum_of_logits = tl.sum(tl.where(piece < vocab_size, logits, 0.0), 0)
        label_logit = tl.sum(tl.where(piece == label, logits, 0.0), 0)
    else:
        highest = -float("inf")
        total = 0.0
        sum_of_logits = 0.0
        for first in range(0, vocab_size, BLOCK):
            piece = first + tl.arange(0, BLOCK)
            logits = _load_logits(row_ptr, piece, vocab_size)
            new_highest = tl.maximum(highest, tl.max(logits, 0))
            total = total * tl.exp(highest - new_highest) + tl.sum(tl.exp(logits - new_highest), 0)
            sum_of_logits += tl.sum(tl.where(piece < vocab_size, logits, 0.0), 0)
            highest = new_highest
        label_logit = tl.load(row_ptr + label).to(tl.float32)
    log_sum = highest + tl.log(total)
    nll = log_sum - label_logit
    uniform = log_sum - sum_of_logits / vocab_size
    tl.store(losses_ptr + row, (1.0 - label_smoothing) * nll + label_smoothing * uniform)
    if NEEDS_GRAD:
        if IS_WHOLE:
            _store_gradient(row_ptr, piece, logits, log_sum, label, label_smoothing, vocab_size)
        else:
            tl.debug_barrier()  # every warp has read the label's logit before any of them overwrites it
            for first in range(0, vocab_size, BLOCK):
                piece = first + tl.arange(0, BLOCK)
                logits = _load_logits(row_ptr, piece, vocab_size)
                _store_gradient(row_ptr, piece, logits, log_sum, label, label_smoothing, vocab_size)


def replace_by_gradient(
    logits: Tensor, labels: Tensor, losses: Tensor, label_smoothing: float, ignore_index: int, needs_grad: bool
) -> None:
    """Write each row's loss to `losses`, and over the logits their gradient where `needs_grad`.

    Args:
        logits: `(num_tokens, vocab_size)`, rows contiguous.
        labels: `(num_tokens,)` int64.
        losses: `(num_tokens,)` float32.
        label_smoothing: in [0, 1).
        ignore_index: label of rows that do not count: their loss and gradient are zero.
        needs_grad: whether the gradient is written.
    """
    num_tokens, vocab_size = logits.shape
    is_whole = vocab_size <= _LARGEST_ROW
    rows_loss[(num_tokens,)](
        *(logits, labels, losses, logits.stride(0), vocab_size, label_smoothing, ignore_index),
        NEEDS_GRAD=needs_grad,
        IS_WHOLE=is_whole,
        BLOCK=triton.next_power_of_2(vocab_size) if is_whole else _BLOCK,
        num_warps=32 if vocab_size > _LARGEST_ROW // 2 and is_whole else 8,
    )


def fused_linear_cross_entropy(
    hidden: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float, ignore_index: int, needs_grad: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The summed loss, and its gradients for hidden and weight (empty unless `needs_grad`)."""
    num_tokens, vocab_size = hidden.shape[0], weight.shape[0]
    losses = torch.empty(num_tokens, dtype=torch.float32, device=hidden.device)
    grad_hidden = torch.empty_like(hidden) if needs_grad else hidden.new_empty(0)
    grad_weight = torch.zeros_like(weight) if needs_grad else weight.new_empty(0)
    chunk = max(1, _CHUNK_ELEMENTS // vocab_size)
    labels = labels.contiguous()
    with on_device_of(hidden):
        for start in range(0, num_tokens, chunk):
            rows = slice(start, start + chunk)
            logits = hidden[rows] @ weight.T
            replace_by_gradient(logits, labels[rows], losses[rows], label_smoothing, ignore_index, needs_grad)
            if needs_grad:
                torch.mm(logits, weight, out=grad_hidden[rows])
                grad_weight.addmm_(logits.T, hidden[rows])
            del logits  # before the next chunk's are made
    return losses.sum(), grad_hidden, grad_weight
