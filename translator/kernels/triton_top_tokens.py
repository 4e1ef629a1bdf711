"""The most probable tokens of each row on CUDA, in one pass over the logits and without synchronization.

A row of logits is split into chunks, with one program each. Each program finds its largest logits one after the other,
and the maximum and the sum for the softmax. A second kernel merges the chunks of a row. Log-probabilities of the whole
vocabulary are not stored. Ties: the lower token first in both kernels, as in a stable sort.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from translator.kernels.triton_tiles import on_device_of

_CHUNK = 4096  # logits per program, 32 per thread
_NO_TOKEN = tl.constexpr(2**31 - 1)  # above all tokens; marks the ones already taken


@triton.jit
def _take_largest(values, tokens):
    """Return the largest value not yet taken, its token (ties: the lower), and the tokens without it."""
    value = tl.max(tl.where(tokens == _NO_TOKEN, -float("inf"), values), 0)
    token = tl.min(tl.where(values == value, tokens, _NO_TOKEN), 0)
    return value, token, tl.where(tokens == token, _NO_TOKEN, tokens)


@triton.jit(do_not_specialize=["first_token"])
def top_of_chunk(
    logits_ptr,
    values_ptr,
    tokens_ptr,
    sums_ptr,
    stride_row,
    vocab_size,
    first_token,
    COUNT: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """Find the COUNT largest logits of one chunk and their tokens, and its maximum and sum of exponentials.

    Logits of tokens below `first_token` are minus infinity for the selection, but not in the sum.
    """
    row, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    place = row * tl.num_programs(1) + chunk
    tokens = chunk * CHUNK + tl.arange(0, CHUNK)
    is_token = tokens < vocab_size
    values = tl.load(logits_ptr + row * stride_row + tokens, mask=is_token, other=-float("inf")).to(tl.float32)
    highest = tl.max(values, 0)
    shift = tl.where(highest == -float("inf"), 0.0, highest)
    tl.store(sums_ptr + place * 2, highest)
    tl.store(sums_ptr + place * 2 + 1, tl.sum(tl.exp(values - shift), 0))
    values = tl.where(tokens < first_token, -float("inf"), values)
    tokens = tl.where(is_token, tokens, _NO_TOKEN)
    for number in range(COUNT):
        value, token, tokens = _take_largest(values, tokens)
        tl.store(values_ptr + place * COUNT + number, value)
        tl.store(tokens_ptr + place * COUNT + number, token)


@triton.jit
def merge_chunks(
    values_ptr,
    tokens_ptr,
    sums_ptr,
    top_values_ptr,
    top_tokens_ptr,
    chunks,
    COUNT: tl.constexpr,
    CANDIDATES: tl.constexpr,
    CHUNKS: tl.constexpr,
):
    """Compute the COUNT most probable tokens of one row and their log-probabilities from its chunks."""
    row = tl.program_id(0).to(tl.int64)
    chunk = tl.arange(0, CHUNKS)
    peaks = tl.load(sums_ptr + (row * chunks + chunk) * 2, mask=chunk < chunks, other=-float("inf"))
    sums = tl.load(sums_ptr + (row * chunks + chunk) * 2 + 1, mask=chunk < chunks, other=0.0)
    highest = tl.max(peaks, 0)
    log_sum = highest + tl.log(tl.sum(sums * tl.exp(peaks - highest), 0))
    candidate = tl.arange(0, CANDIDATES)
    is_candidate = candidate < chunks * COUNT
    first = row * chunks * COUNT
    values = tl.load(values_ptr + first + candidate, mask=is_candidate, other=-float("inf"))
    tokens = tl.load(tokens_ptr + first + candidate, mask=is_candidate, other=_NO_TOKEN)
    for number in range(COUNT):
        value, token, tokens = _take_largest(values, tokens)
        tl.store(top_values_ptr + row * COUNT + number, value - log_sum)
        # Among NaN logits there is no largest one, but the result must be a valid token.
        tl.store(top_tokens_ptr + row * COUNT + number, tl.where(token == _NO_TOKEN, 0, token).to(tl.int64))


def triton_allowed_tokens(logits: Tensor, count: int, first_token: int, forbidden: Tensor) -> tuple[Tensor, Tensor]:
    """`kernels.top_tokens` with forbidden tokens of each row, for one more pass over the logits.

    The kernel normalizes what it is given, and log-probabilities are the model's own.
    """
    allowed = logits.scatter(1, forbidden, -torch.inf)
    _, tokens = triton_top_tokens(allowed.contiguous(), count, first_token)
    values = allowed.gather(1, tokens).float() - logits.float().logsumexp(dim=1, keepdim=True)
    return values.masked_fill(tokens < first_token, -torch.inf), tokens


@torch.library.custom_op("translator::triton_top_tokens", mutates_args=())
def triton_top_tokens(logits: Tensor, count: int, first_token: int) -> tuple[Tensor, Tensor]:
    """`kernels.top_tokens` in Triton."""
    rows, vocab_size = logits.shape
    chunks = triton.cdiv(vocab_size, _CHUNK)
    top_values, top_tokens = _empty(logits, (rows, count), torch.float32), _empty(logits, (rows, count), torch.int64)
    values, tokens = (_empty(logits, (rows, chunks, count), dtype) for dtype in (torch.float32, torch.int32))
    sums = _empty(logits, (rows, chunks, 2), torch.float32)
    with on_device_of(logits):
        top_of_chunk[(rows, chunks)](
            *(logits, values, tokens, sums, logits.stride(0), vocab_size, first_token), COUNT=count, CHUNK=_CHUNK
        )
        merge_chunks[(rows,)](
            *(values, tokens, sums, top_values, top_tokens, chunks),
            COUNT=count,
            CANDIDATES=triton.next_power_of_2(chunks * count),
            CHUNKS=triton.next_power_of_2(chunks),
            num_warps=1,
        )
    return top_values, top_tokens


@triton_top_tokens.register_fake
def _(logits: Tensor, count: int, first_token: int) -> tuple[Tensor, Tensor]:
    shape = (logits.shape[0], count)
    return _empty(logits, shape, torch.float32), _empty(logits, shape, torch.int64)


def _empty(like: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=like.device)
