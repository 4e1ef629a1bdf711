"""The coverage penalty: translations whose attention leaves out source tokens lose score (Wu et al., 2016)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request
from translator.engines.base import Pair

_MIN_COVERAGE = 1e-9  # an output of no tokens attends to nothing; its score must stay finite

CrossAttention = Callable[[Sequence[Pair], int], list[Tensor]]
Search = Callable[[Sequence[Request], DecodingOptions], list[list[Candidate]]]


def uses_coverage(options: DecodingOptions) -> bool:
    """Return True if the options ask for a search with the coverage penalty: a beam search, not a sample."""
    return bool(options.coverage_penalty) and options.beam_size > 1 and not options.sample


def coverage_penalty(weights: Tensor) -> float:
    """Return the penalty of Wu et al. (2016), section 7, without its factor: at most 0.

    The sum over the source tokens of log(min(sum over the output tokens of the attention weight, 1)).

    Args:
        weights: attention of each output token to each source token, `(target_length, source_length)`.
    """
    return float(weights.double().sum(dim=0).clamp(_MIN_COVERAGE, 1.0).log().sum())


def with_coverage(
    requests: Sequence[Request],
    found: Sequence[Sequence[Candidate]],
    cross_attention: CrossAttention,
    options: DecodingOptions,
) -> list[list[Candidate]]:
    """Return candidates with the penalty added to their scores, those of each request ranked anew.

    Args:
        requests: the requests.
        found: candidates of each.
        cross_attention: `Engine.cross_attention`.
        options: the penalty's factor, and the size of batches.
    """
    pairs = list(
        dict.fromkeys(
            (request.source, each.tokens) for request, given in zip(requests, found, strict=True) for each in given
        )
    )
    weights = cross_attention(pairs, options.batch_tokens) if pairs else []
    penalties = {
        pair: options.coverage_penalty * coverage_penalty(each) for pair, each in zip(pairs, weights, strict=True)
    }
    results = []
    for request, given in zip(requests, found, strict=True):
        scored = [replace(each, score=each.score + penalties[request.source, each.tokens]) for each in given]
        results.append(sorted(scored, key=lambda each: (not each.is_finished, -each.score)))
    return results


def search_with_coverage(
    search: Search, cross_attention: CrossAttention, requests: Sequence[Request], options: DecodingOptions
) -> list[list[Candidate]]:
    """Search without the penalty, and choose the results among all hypotheses of the beam with it.

    Args:
        search: `Engine.search`.
        cross_attention: `Engine.cross_attention`.
        requests: the requests.
        options: options with a `coverage_penalty`.
    """
    whole_beam = {"coverage_penalty": 0.0, "num_hypotheses": options.beam_size, "mbr_candidates": 0}
    found = search(requests, options.model_copy(update=whole_beam))
    ranked = with_coverage(requests, found, cross_attention, options)
    return [candidates[: options.num_hypotheses] for candidates in ranked]
