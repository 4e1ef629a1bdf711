"""Vocabulary projection and label-smoothed cross entropy in chunks, without storing all logits.

The gradients are computed in the forward pass, while the probabilities of a chunk are in the cache, and scaled in the
backward pass. Chunks are computed in plain torch; on CUDA a Triton kernel runs between the matrix products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from translator.kernels.backends import triton_obstacle

_CHUNK_ELEMENTS = 2**23  # logits per chunk, 34 MB in float32: smaller ones stay in the cache, but multiply slower
_MIN_CHUNK_ROWS = 512  # each chunk reads and writes the whole gradient of the weights
_MIN_LOG_PROBABILITY = -80.0  # nats; a probability below exp(-87) is a subnormal float32


@torch.library.custom_op("translator::linear_cross_entropy", mutates_args=())
def chunked_linear_cross_entropy(
    hidden: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float, ignore_index: int, needs_grad: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the summed loss and its gradients for hidden and weight (empty unless `needs_grad`)."""
    if hidden.is_cuda and triton_obstacle(hidden.device.type, hidden.dtype) is None:
        from translator.kernels.triton_cross_entropy import fused_linear_cross_entropy  # triton is optional

        return fused_linear_cross_entropy(hidden, weight, labels, label_smoothing, ignore_index, needs_grad)
    rows = (labels != ignore_index).nonzero().squeeze(1)
    if len(rows) == len(labels):
        return _chunked(hidden, weight, labels, label_smoothing, needs_grad)
    # Masked language modeling ignores six rows of seven, so their logits are not computed.
    loss, some, grad_weight = _chunked(hidden[rows], weight, labels[rows], label_smoothing, needs_grad)
    return loss, torch.zeros_like(hidden).index_copy_(0, rows, some) if needs_grad else some, grad_weight


def _chunked(
    hidden: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float, needs_grad: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """`chunked_linear_cross_entropy` in plain torch, without ignored rows."""
    num_tokens, vocab_size = hidden.shape[0], weight.shape[0]
    wide = torch.promote_types(hidden.dtype, torch.float32)
    loss = hidden.new_zeros((), dtype=wide)
    grad_hidden = torch.empty_like(hidden) if needs_grad else hidden.new_empty(0)
    grad_weight = torch.zeros_like(weight) if needs_grad else weight.new_empty(0)
    mean_weight = weight.mean(dim=0)
    chunk = max(_MIN_CHUNK_ROWS, _CHUNK_ELEMENTS // vocab_size)
    for start in range(0, num_tokens, chunk):
        rows = slice(start, start + chunk)
        label = labels[rows, None]
        logits = (hidden[rows] @ weight.T).to(wide)
        label_logits = logits.gather(1, label)
        uniform_logits = (hidden[rows] @ mean_weight).to(wide)[:, None]
        probabilities = torch.softmax(logits, dim=1, out=logits)
        log_probabilities = probabilities.gather(1, label).log()
        far = (log_probabilities < _MIN_LOG_PROBABILITY).squeeze(1).nonzero().squeeze(1)
        if len(far):
            log_probabilities[far] = _log_probabilities(hidden[rows][far], weight, label[far], wide)
        loss += (label_smoothing * (label_logits - uniform_logits) - log_probabilities).sum()
        if needs_grad:
            # the uniform part of smoothing is subtracted at the end, which saves a pass over the chunk
            probabilities.scatter_add_(1, label, torch.full_like(label_logits, label_smoothing - 1))
            grad = probabilities.to(hidden.dtype)
            torch.mm(grad, weight, out=grad_hidden[rows])
            grad_weight.addmm_(grad.T, hidden[rows])
    if needs_grad:
        grad_hidden.sub_(mean_weight, alpha=label_smoothing)
        grad_weight.sub_(hidden.sum(dim=0), alpha=label_smoothing / vocab_size)
    return loss, grad_hidden, grad_weight


def _log_probabilities(hidden: Tensor, weight: Tensor, label: Tensor, wide: torch.dtype) -> Tensor:
    """Return the log-probabilities of labels whose probabilities underflow: `(n, d_model)` and `(n, 1)` to `(n, 1)`."""
    logits = (hidden @ weight.T).to(wide)
    return logits.gather(1, label) - logits.logsumexp(dim=1, keepdim=True)


@chunked_linear_cross_entropy.register_fake
def _(
    hidden: Tensor, weight: Tensor, labels: Tensor, label_smoothing: float, ignore_index: int, needs_grad: bool
) -> tuple[Tensor, Tensor, Tensor]:
    loss = hidden.new_empty((), dtype=torch.promote_types(hidden.dtype, torch.float32))
    if needs_grad:
        return loss, torch.empty_like(hidden), torch.empty_like(weight)
    return loss, hidden.new_empty(0), weight.new_empty(0)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    _, grad_hidden, grad_weight = output
    ctx.mark_non_differentiable(grad_hidden, grad_weight)
    ctx.save_for_backward(grad_hidden, grad_weight)


def _backward(ctx: Any, grad_loss: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    grad_hidden, grad_weight = ctx.saved_tensors
    return grad_hidden * grad_loss, grad_weight * grad_loss, None, None, None, None


chunked_linear_cross_entropy.register_autograd(_backward, setup_context=_setup_context)
