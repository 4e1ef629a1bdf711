"""`search`: the loop of all decoding methods.

A method is a `Selection`, a rule by which hypotheses continue; stepping the model, constraints, finished hypotheses
and the stop criterion are the same for all. Each sentence is searched on its own and leaves the batch when its search
is over. A step has tensors in and out; only the check for sentences that are over synchronizes with the device.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import torch
from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.beam import BeamSelection
from translator.decoding.candidates import Candidate, check_not_nan, length_penalty
from translator.decoding.constraints import Constraints
from translator.decoding.decodable import Decodable, State
from translator.decoding.greedy import GreedySelection
from translator.decoding.hypotheses import Finished, Hypotheses, results_of
from translator.decoding.next_tokens import NextTokens
from translator.decoding.request import Request, pack_sources
from translator.decoding.sampling import SamplingSelection
from translator.decoding.terms import TermSelection

# Steps between checks for sentences that are over. On the CPU a check costs nothing. On another device it waits until
# the device has reached the step, so the host runs ahead and lets finished sentences go on for a while.
STEPS_BETWEEN_CHECKS = {"cpu": 1}
_STEPS_AHEAD = 8
_CPU = torch.device("cpu")


class Selection(Protocol):
    """A decoding method: chooses how live hypotheses continue."""

    @property
    def moves_rows(self) -> bool:
        """False if each hypothesis continues the one in its own place: the model's state need not be reordered."""

    def __call__(
        self, live: Hypotheses, logits: Tensor, allowed: NextTokens, sentences: Sequence[int]
    ) -> tuple[Hypotheses | None, Hypotheses]:
        """Extend hypotheses by one token.

        Args:
            live: hypotheses.
            logits: of the next token: `(num_sentences * width, vocab_size)` floating point.
            allowed: tokens that may come next.
            sentences: index of each sentence among the requests.

        Returns:
            Hypotheses of which those that end by EOS are finished, or None if there are none; and the next live ones.
        """


@torch.inference_mode()
def search(
    model: Decodable[State],
    requests: Sequence[Request],
    options: DecodingOptions,
    device: torch.device = _CPU,
) -> list[list[Candidate]]:
    """Decode requests by the method that the options ask for: beam search, greedy search or sampling.

    A request with terms is searched by `TermSelection`, instead of a greedy search with a beam of one.

    Args:
        model: the model.
        requests: sequences to decode together.
        options: method and settings. `sample: null` is no sampling.
        device: device of the model.

    Returns:
        For each request its results, best score first, at least one. A sample may occur more than once.

    Raises:
        DecodingError: if the model's logits are NaN.
    """
    if not requests:
        return []
    if len(batches := _batches(requests)) > 1:
        parts = [search(model, [requests[number] for number in batch], options, device) for batch in batches]
        by_number = {
            number: candidates
            for batch, part in zip(batches, parts, strict=True)
            for number, candidates in zip(batch, part, strict=True)
        }
        return [by_number[number] for number in range(len(requests))]
    constraints, alpha = Constraints.from_options(options, requests), options.length_penalty
    if options.is_random:
        # Samples of a sentence end at different steps, so each is a sentence of its own to the model.
        count = options.num_hypotheses
        copies = [request for request in requests for _ in range(count)]
        found = decode(model, copies, SamplingSelection(copies, options, device), constraints, 1, alpha, device)
        groups = [found[start : start + count] for start in range(0, len(found), count)]
        return [sorted((each for [each] in group), key=lambda sample: -sample.score) for group in groups]
    is_greedy = bool(options.sample) or options.beam_size == 1
    selection: Selection = GreedySelection()
    if requests[0].terms:
        selection = TermSelection(requests, 1 if is_greedy else options.beam_size)
    elif not is_greedy:
        selection = BeamSelection(options.beam_size, options.num_beam_groups, options.diversity_penalty)
    return decode(model, requests, selection, constraints, options.num_hypotheses, alpha, device)


def _batches(requests: Sequence[Request]) -> list[list[int]]:
    """Return the numbers of the requests that can be searched together, so that no request depends on the others.

    Requests with equally many terms have equally many hypotheses. Terms that get a bonus change how tokens are ranked.
    """
    groups: dict[tuple[int, bool], list[int]] = {}
    for number, request in enumerate(requests):
        groups.setdefault((len(request.terms), bool(request.soft_terms)), []).append(number)
    return list(groups.values())


@torch.inference_mode()
def decode(
    model: Decodable[State],
    requests: Sequence[Request],
    selection: Selection,
    constraints: Constraints,
    num_hypotheses: int,
    alpha: float,
    device: torch.device,
) -> list[list[Candidate]]:
    """Extend the hypotheses of each request until its search is over.

    Args:
        model: the model.
        requests: sequences to decode together, at least one.
        selection: the decoding method.
        constraints: constraints on the output.
        num_hypotheses: maximum number of results per request.
        alpha: exponent of the length penalty.
        device: device of the model.
    """
    results: list[list[Candidate]] = [[] for _ in requests]
    active = list(range(len(requests)))
    live = Hypotheses.empty(len(active), device)
    finished = Finished.empty(len(active), num_hypotheses, device)
    state, rules = model.start(pack_sources(requests, device)), constraints.start(requests, device)
    last_tokens = live.last_tokens.flatten()
    while True:
        logits = model.step(last_tokens, state)
        ended, live = selection(live, logits, constraints.next_tokens(rules, live.tokens.flatten(0, 1)), active)
        if ended is not None:
            finished = finished.with_ended(ended, alpha)
        if device.type == "cpu":  # elsewhere this would synchronize; `_partition` reports NaN a few steps later
            check_not_nan(live.rank.sum().item())
        remaining, limits = None, [requests[sentence].max_length for sentence in active]
        # Before a hypothesis has ended, a sentence is over at its maximum length only.
        if (finished.length or live.length in limits) and is_sync_step(live.length, limits, device):
            going, over = _partition(live, finished, limits, alpha)
            if over:
                parts = live.of_sentences(over), finished.of_sentences(over), [limits[place] for place in over]
                for place, candidates in zip(over, results_of(*parts, alpha), strict=True):
                    results[active[place]] = candidates
                remaining, active = going, [active[place] for place in going]
                live, finished = live.of_sentences(going), finished.of_sentences(going)
        if not active:
            return results
        if selection.moves_rows or remaining is not None:
            rows = live.rows.flatten()
            state, rules = model.reorder(state, rows, remaining), constraints.reorder(rules, rows, remaining)
            live = live.renumbered()
        last_tokens = live.last_tokens.flatten()
        rules = constraints.advance(rules, last_tokens)


def is_sync_step(step: int, limits: Collection[int], device: torch.device) -> bool:
    """Return True if the search must check for sentences that are over after `step` tokens.

    Always if one of them is at its maximum length: the model may have no position after it.
    """
    return step % STEPS_BETWEEN_CHECKS.get(device.type, _STEPS_AHEAD) == 0 or step in limits


def _partition(
    live: Hypotheses, finished: Finished, limits: Sequence[int], alpha: float
) -> tuple[list[int], list[int]]:
    """Return the sentences that go on, and those at their maximum length or where no live hypothesis can win any more.

    Let a live hypothesis have log-probability p <= 0, and let Y be any finished extension of it. Its further tokens
    only add numbers <= 0, so log P(Y) <= p. With alpha >= 0 the penalty lp grows with the length and is positive, and
    |Y| <= max_length, so

        score(Y) = log P(Y) / lp(|Y|) <= p / lp(|Y|) <= p / lp(max_length),

    the last because p <= 0: dividing by more brings it nearer to zero. No bound that looks at p alone is tighter: a Y
    of maximum length whose other tokens are certain reaches it. With penalties, ranks take the place of
    log-probabilities. So once the worst of the results that we keep scores at least `p / lp(max_length)` for the best
    p, no later one scores better, and none is needed.

    Args:
        live: live hypotheses.
        finished: finished hypotheses of the same sentences.
        limits: maximum length of each sentence.
        alpha: exponent of the length penalty.
    """
    best = live.rank[:, 0] if live.width == 1 else live.rank.amax(dim=1)
    numbers = torch.stack((best, finished.score[:, -1]), dim=1).tolist()  # synchronizes
    going: list[int] = []
    over: list[int] = []
    check_not_nan(sum(best_live + worst_kept for best_live, worst_kept in numbers))
    length = live.length
    for place, ((best_live, worst_kept), limit) in enumerate(zip(numbers, limits, strict=True)):
        can_win = best_live / length_penalty(limit, alpha) > worst_kept
        (going if can_win and length < limit else over).append(place)
    return going, over
