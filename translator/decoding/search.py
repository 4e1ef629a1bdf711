"""What a search asks of a model, what it returns, and the two simplest searches: greedy and sampling.

A search knows nothing of the model but `Decodable`: rows of unfinished text go in, logits of the next token come out.
Rows that are finished leave the batch. No sum runs across rows, so a sentence never sees its batch mates.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from translator.config import UserError
from translator.decoding.distribution import first_allowed, log_probabilities
from translator.kernels import top_tokens
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID

State = TypeVar("State")

# A search on the CPU looks after each step which texts have ended, and lets them go. To look at another device is to
# wait until it has come to the step, so there the search runs ahead and lets texts that have ended go on for a while.
STEPS_BETWEEN_LOOKS = {"cpu": 1}
_STEPS_AHEAD = 8


class DecodingError(UserError):
    """A search that cannot be run as asked, or whose model gives numbers that are no probabilities."""


def require_positive(name: str, value: float) -> None:
    """Raise DecodingError unless the number is above 0 and finite."""
    if not 0 < value < float("inf"):
        raise DecodingError(f"{name} must be above 0 and finite. Received: {value}.")


class Decodable(Protocol[State]):
    """A model that gives the next token of many texts at once."""

    def start(self, source: Packed) -> State:
        """Read the sources, ids `(num_tokens,)` int64, each ended by EOS: a state with one row per sentence."""

    def step(self, tokens: Tensor, state: State) -> Tensor:
        """Append `tokens: (rows,)` int64 to the rows of `state`, in place.

        Returns:
            Logits of the token after: `(rows, vocab_size)` floating point. The search may write to it.
        """

    def reorder(self, state: State, rows: Tensor, sentences: Sequence[int] | None = None) -> State:
        """A state whose row i is row `rows[i]` of the old one.

        Args:
            state: not to be used again.
            rows: `(new_rows,)` int64; rows may be repeated or dropped, those of a sentence stand side by side, as many
                for each that stays.
            sentences: the numbers of those that stay, among the state's, in order; None where all do. The host knows
                them, so that nobody needs to read `rows` on the device.
        """


@dataclass(frozen=True)
class Candidate:
    """One translation as the search found it.

    Attributes:
        tokens: ids, without BOS and EOS.
        token_log_probabilities: of each token, then of EOS if the text is finished; natural logarithms.
        log_probability: their sum.
        score: `log_probability / length_penalty(number of them)`; what the search ranks by.
        is_finished: whether it ends by EOS; one that does not ran into its longest length.
    """

    tokens: tuple[int, ...]
    token_log_probabilities: tuple[float, ...]
    log_probability: float
    score: float
    is_finished: bool

    @classmethod
    def of(cls, tokens: Sequence[int], token_log_probabilities: Sequence[float], alpha: float) -> Candidate:
        """A candidate from its ids (EOS last, if it is finished) and the log-probability of each."""
        log_probability = math.fsum(token_log_probabilities)
        is_finished = tokens[-1] == EOS_ID
        return cls(
            tokens=tuple(tokens[:-1] if is_finished else tokens),
            token_log_probabilities=tuple(token_log_probabilities),
            log_probability=log_probability,
            score=log_probability / length_penalty(len(tokens), alpha),
            is_finished=is_finished,
        )


def length_penalty(length: int, alpha: float) -> float:
    """What a log-probability is divided by: ((5 + |Y|) / 6) ** alpha, Wu et al. (2016), equation 14.

    Args:
        length: |Y|, tokens of the translation, its EOS counted.
        alpha: 0 ranks by probability alone; greater values favour longer translations.
    """
    return float(((5 + length) / 6) ** alpha)


@torch.inference_mode()
def greedy(
    model: Decodable[State], source: Packed, *, max_lengths: Sequence[int], alpha: float = 0.0
) -> list[list[Candidate]]:
    """Take the likeliest token each time; of equal ones that with the lowest id.

    Args:
        model: what to decode.
        source: ids `(num_tokens,)` int64, each sentence ended by EOS.
        max_lengths: most tokens in each translation, its EOS counted.
        alpha: length penalty of the score; it does not change the text.

    Returns:
        For each sentence a list of one.
    """

    def likeliest(logits: Tensor, step: int, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        values, tokens = top_tokens(logits, 1, first_token=first_allowed(is_first=step == 0))
        return tokens.squeeze(1), values.squeeze(1)

    candidates = _follow(model, model.start(source), source.values.device, max_lengths, likeliest, alpha)
    return [[candidate] for candidate in candidates]


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: divides the logits; below 1 is more careful, above 1 more daring.
        top_k: draw among the so many likeliest tokens; 0 is all.
        top_p: draw among the likeliest tokens whose probabilities just reach this sum (Holtzman et al., 2020).
        seed: every draw is a function of it, the source sentence and the number of the sample; of nothing else.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise DecodingError(f"temperature must be above 0 and finite. Received: {self.temperature}.")
        if self.top_k < 0:
            raise DecodingError(f"top_k must be at least 1, or 0 for all tokens. Received: {self.top_k}.")
        if not 0 < self.top_p <= 1:
            raise DecodingError(f"top_p must be above 0 and at most 1. Received: {self.top_p}.")


@torch.inference_mode()
def sample(
    model: Decodable[State],
    source: Packed,
    *,
    max_lengths: Sequence[int],
    sampling: Sampling,
    num_hypotheses: int = 1,
    alpha: float = 0.0,
) -> list[list[Candidate]]:
    """Draw each token from the model's distribution.

    Args:
        model: what to decode.
        source: ids `(num_tokens,)` int64, each sentence ended by EOS.
        max_lengths: most tokens in each translation, its EOS counted.
        sampling: how to draw. Scores are the model's own all the same, before temperature, top-k and top-p.
        num_hypotheses: independent samples of each sentence.
        alpha: length penalty of the score; it does not change what is drawn.

    Returns:
        For each sentence its samples, best score first.
    """
    device = source.values.device
    uniforms = _uniforms(source, max_lengths, num_hypotheses, sampling.seed).to(device)

    def drawn(logits: Tensor, step: int, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        allowed = log_probabilities(logits, is_first=step == 0)
        tokens = draw(allowed, uniforms[rows, step], sampling)
        return tokens, allowed.gather(1, tokens[:, None]).squeeze(1)

    # Samples of a sentence end at different steps, so each is a sentence of its own to the model.
    copies = [ids for ids in source.unpack() for _ in range(num_hypotheses)]
    state = model.start(Packed.from_sequences(copies).to(device))
    row_lengths = [length for length in max_lengths for _ in range(num_hypotheses)]
    candidates = _follow(model, state, device, row_lengths, drawn, alpha)
    samples = [candidates[start : start + num_hypotheses] for start in range(0, len(candidates), num_hypotheses)]
    return [sorted(group, key=lambda candidate: -candidate.score) for group in samples]


def draw(log_probs: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """One token for each row, by inverting the cumulative distribution at a given point.

    Args:
        log_probs: `(rows, vocab_size)` float32; minus infinity is never drawn.
        uniform: `(rows,)` float64 in [0, 1).
        sampling: temperature, top-k and top-p.

    Returns:
        `(rows,)` int64.
    """
    probabilities, tokens = sampling_distribution(log_probs, sampling)
    cumulative = probabilities.cumsum(dim=-1)
    total = cumulative[:, -1:]
    place = torch.searchsorted(cumulative, uniform[:, None] * total, right=True)
    last = (cumulative < total).sum(dim=-1, keepdim=True)  # where rounding put the point on the far end
    place = torch.minimum(place, last)
    return (place if tokens is None else tokens.gather(1, place)).squeeze(1)


def sampling_distribution(log_probs: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """What `draw` draws from.

    Args:
        log_probs: `(rows, vocab_size)` float32.
        sampling: temperature, top-k and top-p.

    Returns:
        Probabilities, `(rows, n)` float64, up to a factor if `top_p` cuts them; and the token of each, `(rows, n)`
        int64 from the likeliest on, or None where there is one for each token in the vocabulary's order.
    """
    log_probs = log_probs.double()
    # From the likeliest down, so that dividing by next to nothing leaves it 0, and the others minus infinity.
    scaled = (log_probs - log_probs.amax(dim=-1, keepdim=True)) / sampling.temperature
    tokens = None
    if sampling.top_k or sampling.top_p < 1:
        scaled, tokens = scaled.sort(dim=-1, descending=True, stable=True)
        scaled, tokens = scaled[:, : sampling.top_k or None], tokens[:, : sampling.top_k or None]
    probabilities = scaled.softmax(dim=-1)
    if sampling.top_p < 1:
        before = probabilities.cumsum(dim=-1) - probabilities
        probabilities = probabilities.where(before < sampling.top_p, 0.0)
    return probabilities, tokens


def _uniforms(source: Packed, max_lengths: Sequence[int], num_hypotheses: int, seed: int) -> Tensor:
    """The random number of each row and step: `(num_sequences * num_hypotheses, longest)` float64.

    A row draws from a generator of its own, so that its text is the same in any batch.
    """
    longest = max(max_lengths, default=0)
    rows = []
    for ids in source.unpack():
        for number in range(num_hypotheses):
            key = f"{seed} {number} {ids.tolist()}".encode()
            digest = hashlib.blake2b(key, digest_size=8).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
            rows.append(torch.rand(longest, dtype=torch.float64, generator=generator))
    return torch.stack(rows) if rows else torch.empty(0, longest, dtype=torch.float64)


@dataclass
class _Text:
    """One row while it grows.

    Attributes:
        max_length: most tokens, EOS counted.
    """

    max_length: int
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        return self.tokens[-1:] == [EOS_ID] or len(self.tokens) == self.max_length

    def append(self, token: int, log_probability: float) -> None:
        """One token more; what the model went on with after the end counts for nothing."""
        if not self.has_ended:
            self.tokens.append(token)
            self.log_probabilities.append(require_number(log_probability))


Choose = Callable[[Tensor, int, Sequence[int]], tuple[Tensor, Tensor]]


def _follow(
    model: Decodable[State],
    state: State,
    device: torch.device,
    max_lengths: Sequence[int],
    choose: Choose,
    alpha: float,
) -> list[Candidate]:
    """Extend each row by the one token that `choose(logits, step, rows)` names, until all have ended."""
    texts = [_Text(max_length) for max_length in max_lengths]
    active = list(range(len(texts)))
    tokens = torch.full((len(texts),), BOS_ID, device=device)
    unseen: list[tuple[Tensor, Tensor]] = []  # what was chosen since the last look
    step = 0
    while active:
        tokens, log_probs = choose(model.step(tokens, state), step, active)
        unseen.append((tokens, log_probs))
        step += 1
        if is_time_to_look(step, [texts[row].max_length for row in active], device):
            steps = zip(*(torch.stack(numbers).tolist() for numbers in zip(*unseen, strict=True)), strict=True)
            for row, token, log_prob in (each for columns in steps for each in zip(active, *columns, strict=True)):
                texts[row].append(token, log_prob)
            unseen.clear()
            going = [place for place, row in enumerate(active) if not texts[row].has_ended]
            if 0 < len(going) < len(active):
                rows = torch.tensor(going, device=device)
                tokens, state = tokens[rows], model.reorder(state, rows, going)
            active = [active[place] for place in going]
    return [Candidate.of(text.tokens, text.log_probabilities, alpha) for text in texts]


def is_time_to_look(step: int, limits: Collection[int], device: torch.device) -> bool:
    """Whether a search asks the device, after so many steps, which texts have ended.

    Always where one of them reaches its greatest length: the model may have no position after it.
    """
    return step % STEPS_BETWEEN_LOOKS.get(device.type, _STEPS_AHEAD) == 0 or step in limits


def require_number(log_probability: float) -> float:
    """The same number; a model that gives none is named as what is wrong.

    Raises:
        DecodingError: it is not a number.
    """
    if math.isnan(log_probability):
        raise DecodingError(
            "A model must give finite logits. Received: NaN. Its weights are damaged, or its training diverged."
        )
    return log_probability
