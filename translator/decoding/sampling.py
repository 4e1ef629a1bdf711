"""Sampling: each token drawn from the model's distribution, changed by temperature and truncation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.greedy import extended_by_one
from translator.decoding.hypotheses import Hypotheses
from translator.decoding.next_tokens import NextTokens
from translator.decoding.request import Request
from translator.tokenizer import EOS_ID


class SamplingSelection:
    """Extends each hypothesis by a token drawn at random.

    Args:
        requests: one for each sentence; the n-th of several equal requests in a row gets the n-th sample.
        options: the sampling options, and num_hypotheses, the samples per request.
        device: device of the logits.
    """

    moves_rows = False

    def __init__(self, requests: Sequence[Request], options: DecodingOptions, device: torch.device) -> None:
        self._options = options
        self._uniforms = _uniforms(requests, options).to(device)

    def __call__(
        self, live: Hypotheses, logits: Tensor, allowed: NextTokens, sentences: Sequence[int]
    ) -> tuple[Hypotheses, Hypotheses]:
        """See `search.Selection`."""
        log_probs = allowed.log_probabilities(logits)
        ranks = allowed.ranks(log_probs)
        tokens = draw(ranks, self._uniforms[sentences, live.length], self._options)[:, None]
        is_nan = log_probs.amax(dim=1, keepdim=True).isnan()  # a draw from NaN gives some token; the search reports it
        values = log_probs.gather(1, tokens).masked_fill(is_nan, math.nan)
        return extended_by_one(live, tokens, values, ranks.gather(1, tokens).masked_fill(is_nan, math.nan))


def draw(log_probs: Tensor, uniform: Tensor, options: DecodingOptions) -> Tensor:
    """Draw one token per row by inverting the cumulative distribution.

    Args:
        log_probs: `(rows, vocab_size)` float32; minus infinity is never drawn.
        uniform: points of the cumulative distribution: `(rows,)` float64 in [0, 1).
        options: the sampling options.

    Returns:
        `(rows,)` int64.
    """
    probabilities, tokens = sampling_distribution(log_probs, options)
    cumulative = probabilities.cumsum(dim=-1)
    total = cumulative[:, -1:]
    place = torch.searchsorted(cumulative, uniform[:, None] * total, right=True)
    last = (cumulative < total).sum(dim=-1, keepdim=True)  # where rounding put the point past the end
    place = torch.minimum(place, last)
    return (place if tokens is None else tokens.gather(1, place)).squeeze(1)


def sampling_distribution(log_probs: Tensor, options: DecodingOptions) -> tuple[Tensor, Tensor | None]:
    """Return the distribution that `draw` draws from.

    Args:
        log_probs: `(rows, vocab_size)` float32.
        options: the sampling options. Temperature 0 gives the most probable token probability 1. `top_p`, `min_p` and
            `epsilon_cutoff` apply to the probabilities that temperature and `top_k` leave.

    Returns:
        Probabilities, `(rows, n)` float64, not normalized if tokens were cut off; and the token of each, `(rows, n)`
        int64, most probable first, or None if the columns are the vocabulary in its order.
    """
    log_probs = log_probs.double()
    # Relative to the maximum, so that division by a small temperature leaves it 0 and the others minus infinity.
    scaled = log_probs - log_probs.amax(dim=-1, keepdim=True)
    top_k = options.top_k if options.temperature else 1
    scaled = scaled / options.temperature if options.temperature else scaled
    tokens = None
    if top_k or options.top_p < 1:
        scaled, tokens = scaled.sort(dim=-1, descending=True, stable=True)
        scaled, tokens = scaled[:, : top_k or None], tokens[:, : top_k or None]
    probabilities = scaled.softmax(dim=-1)
    if options.top_p < 1:
        before = probabilities.cumsum(dim=-1) - probabilities
        probabilities = probabilities.where(before < options.top_p, 0.0)
    if options.min_p or options.epsilon_cutoff:
        most = probabilities.amax(dim=-1, keepdim=True)
        least = torch.minimum(most, (options.min_p * most).clamp(min=options.epsilon_cutoff))
        probabilities = probabilities.where(probabilities >= least, 0.0)
    return probabilities, tokens


def _uniforms(requests: Sequence[Request], options: DecodingOptions) -> Tensor:
    """Return the random number of each row and step: `(len(requests), longest)` float64.

    Each row has its own generator, so that its text is the same in any batch.
    """
    longest = max(request.max_length for request in requests)
    rows = []
    for place, request in enumerate(requests):
        key = f"{options.seed} {place % options.num_hypotheses} {[*request.source, EOS_ID]}".encode()
        digest = hashlib.blake2b(key, digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
        rows.append(torch.rand(longest, dtype=torch.float64, generator=generator))
    return torch.stack(rows)
