"""`CTranslate2Engine`: decoding and scoring with CTranslate2, which is made for inference."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.candidates import Candidate, check_not_nan, length_penalty
from translator.decoding.constraints import NoRepeatedNgram, max_occurrences, max_repeats
from translator.decoding.errors import DecodingError
from translator.decoding.request import Request
from translator.engines.base import Pair, group_by_length, tokens_per_batch
from translator.engines.coverage import search_with_coverage, uses_coverage
from translator.engines.ctranslate2_model import package_problem, vocabulary
from translator.errors import shorten
from translator.tokenizer import EOS_ID, Tokenizers

_BOS, _EOS = "<s>", "</s>"
# Any exponent but 0 makes CTranslate2 search on after the best hypothesis has ended. This one leaves sums as they are.
_NO_LENGTH_PENALTY = 1e-9
_PATIENCE = 2  # finished hypotheses to collect, per hypothesis of the beam
_ALLOWED_REPEATS = 3  # of a short cycle, in any text; see `NoRepeatedNgram`
_MAX_CHECKED_NGRAM = 12  # a cycle of 5 tokens, which `max_repeats` does not count, repeats an n-gram up to this length
_SERVED = frozenset(DecodingOptions.model_fields) & {
    "beam_size",
    "length_penalty",
    "coverage_penalty",
    "max_length_factor",
    "min_length",
    "no_repeat_ngram",
    "batch_tokens",
    "num_hypotheses",
    "mbr_candidates",
    "fold_capitals",
    "split_sentences",
    "alignment",
    "guard",
    "protect",
    "sample",
    "temperature",
    "top_k",
    "top_p",
    "seed",
}
_SEED_LOCK = Lock()  # CTranslate2 has one seed per process

_log = logging.getLogger(__name__)


class CTranslate2Engine:
    """An `Engine` around a directory in CTranslate2's format.

    Beams are ranked by `length_penalty` over the n-best list of CTranslate2. Four things differ from `TorchEngine`:

    - CTranslate2 excludes forbidden tokens before the softmax. The log-probability of a text may differ by about 0.01.
    - Candidates have no `token_log_probabilities`; `score` computes them. Samples and texts with a prefix have them.
    - `no_repeat_ngram`: CTranslate2 forbids every repetition, even one that the source has. Only texts that break the
      rule of `NoRepeatedNgram` are decoded again with this stricter rule, if necessary with shorter n-grams.
    - Samples of a text depend on `seed`, the text and `num_hypotheses`. CTranslate2 seeds a thread only once, so the
      model is opened again for each text. Sampling is for models that load fast.

    Args:
        directory: folder that `ctranslate2_model.write_model` wrote.
        tokenizers: tokenizers of the model.
        max_positions: maximum length of a sequence in tokens.
        device: `cpu`, `cuda`, `cuda:1`, ….
        compute_type: data type of the computation as CTranslate2 names it; `default` is that of the weights.
        threads: CPU threads, each of which decodes a batch of its own.

    Raises:
        DecodingError: if CTranslate2 is missing, the directory is incomplete or of another tokenizer, or CTranslate2
            cannot use the device or the data type.
    """

    shares_positions = False
    serves_terms = False

    def __init__(
        self,
        directory: Path,
        tokenizers: Tokenizers,
        *,
        max_positions: int,
        device: torch.device | str = "cpu",
        compute_type: str = "default",
        threads: int = 1,
    ) -> None:
        if (problem := package_problem()) is not None:
            raise DecodingError(problem)
        self.max_positions = max_positions
        self._source_pieces, self._target_pieces = _checked_vocabularies(directory, tokenizers)
        self._target_ids = {piece: index for index, piece in enumerate(self._target_pieces)}
        self._threads = threads
        self._has_warned = False
        self._open = partial(_open, directory, torch.device(device), compute_type)
        self._translator = self._open(threads)

    def unsupported(self, options: DecodingOptions) -> list[str]:
        """See `Engine`: options that CTranslate2 does not have."""
        defaults = DecodingOptions()
        names = [name for name in DecodingOptions.model_fields if name not in _SERVED]
        return [name for name in names if getattr(options, name) != getattr(defaults, name)]

    def search(self, requests: Sequence[Request], options: DecodingOptions) -> list[list[Candidate]]:
        """See `Engine`. `batch_tokens` tokens are decoded at a time, shared among the threads.

        Raises:
            DecodingError: if a request has more than a source, lengths and a prefix.
        """
        for request in requests:
            if request != Request(request.source, request.max_length, request.min_length, request.prefix):
                raise DecodingError(
                    "engine: ctranslate2 serves a source, max_length, min_length and prefix. "
                    f"Received: {shorten(request)}. Use engine: torch."
                )
        if uses_coverage(options):
            return search_with_coverage(self.search, self.cross_attention, requests, options)
        found = self._decode(requests, options, no_repeat_ngram=0)
        for size in _decreasing_sizes(options.no_repeat_ngram):
            repeating = [
                number
                for number, (request, candidates) in enumerate(zip(requests, found, strict=True))
                if any(repeats_too_much(each.tokens, request, options.no_repeat_ngram) for each in candidates)
            ]
            if not repeating:
                break
            if not self._has_warned:
                self._has_warned = True
                _log.warning(
                    "no_repeat_ngram is approximate: CTranslate2 decodes repetitive text without any repetition."
                )
            again = self._decode([requests[number] for number in repeating], options, no_repeat_ngram=size)
            for number, candidates in zip(repeating, again, strict=True):
                found[number] = candidates
        return self._rescored(requests, found, options)

    def score(self, pairs: Sequence[Pair], batch_tokens: int) -> list[tuple[float, ...]]:
        """See `Engine`."""
        lengths = [max(len(source), len(target)) + 1 for source, target in pairs]
        pending = []
        for batch in group_by_length(lengths, tokens_per_batch(lengths, batch_tokens, self._threads)):
            sources = [self._source(pairs[number][0]) for number in batch]
            targets = [self._target(pairs[number][1]) for number in batch]
            pending.append(
                (batch, self._translator.score_batch(sources, targets, max_input_length=0, asynchronous=True))
            )
        scores: list[tuple[float, ...]] = [() for _ in pairs]
        for batch, results in pending:
            for number, result in zip(batch, results, strict=True):
                scores[number] = tuple(result.result().log_probs)
        return scores

    def cross_attention(self, pairs: Sequence[Pair], batch_tokens: int) -> list[Tensor]:
        """See `Engine`. The target is given as a prefix, so that nothing else can be decoded."""
        weights = [torch.empty(len(target), len(source)) for source, target in pairs]
        given = [number for number, (_, target) in enumerate(pairs) if target]
        lengths = [max(map(len, pairs[number])) + 1 for number in given]
        pending = []
        for group in group_by_length(lengths, tokens_per_batch(lengths, batch_tokens, self._threads)):
            batch = [given[place] for place in group]
            results = self._translator.translate_batch(
                [self._source(pairs[number][0]) for number in batch],
                target_prefix=[self._target(pairs[number][1]) for number in batch],
                beam_size=1,
                max_input_length=0,
                max_decoding_length=max(len(pairs[number][1]) for number in batch),
                return_attention=True,
                asynchronous=True,
            )
            pending.append((batch, results))
        for batch, results in pending:
            for number, result in zip(batch, results, strict=True):
                rows = result.result().attention[0][: len(weights[number])]
                weights[number] = torch.tensor(rows, dtype=torch.float32)
        return weights

    def _decode(
        self, requests: Sequence[Request], options: DecodingOptions, no_repeat_ngram: int
    ) -> list[list[Candidate]]:
        lengths = [len(request.source) + 1 for request in requests]
        batches = list(group_by_length(lengths, tokens_per_batch(lengths, options.batch_tokens, self._threads)))
        batches = [part for batch in batches for part in _with_equal_settings(batch, requests)]
        if options.is_random:
            batches = [[number] for batch in batches for number in batch]
        found = self._decode_batches(requests, batches, options, no_repeat_ngram)
        # CTranslate2 has one maximum length per batch. The few texts that exceed their own are decoded again.
        late = [
            [number]
            for number, candidates in enumerate(found)
            if any(len(each.tokens) + each.is_finished > requests[number].max_length for each in candidates)
        ]
        again = self._decode_batches(requests, late, options, no_repeat_ngram)
        for [number] in late:
            found[number] = again[number]
        return [candidates[: options.num_hypotheses] for candidates in found]

    def _decode_batches(
        self,
        requests: Sequence[Request],
        batches: Sequence[Sequence[int]],
        options: DecodingOptions,
        no_repeat_ngram: int,
    ) -> list[list[Candidate]]:
        """Return all candidates of the requests in `batches`, and none of the others."""
        pending = []
        for batch in batches:
            members = [requests[number] for number in batch]
            prefixes = [self._target(member.prefix) for member in members] if members[0].prefix else None
            arguments = {
                "source": [self._source(member.source) for member in members],
                "target_prefix": prefixes,
                **_settings(options, members, no_repeat_ngram),
            }
            if options.is_random:
                [request] = members
                pending.append(self._sample(request, options.seed, arguments))
            else:
                pending.append(self._translator.translate_batch(**arguments))
        found: list[list[Candidate]] = [[] for _ in requests]
        for batch, results in zip(batches, pending, strict=True):
            for number, result in zip(batch, results, strict=True):
                found[number] = self._candidates(result.result(), options.length_penalty)
        return found

    def _sample(self, request: Request, seed: int, arguments: dict[str, Any]) -> list[Any]:
        """Decode one text in a new thread of CTranslate2, which takes its seed when it samples for the first time."""
        import ctranslate2

        digest = hashlib.blake2b(f"{seed} {list(request.source)}".encode(), digest_size=4).digest()
        with _SEED_LOCK:
            ctranslate2.set_random_seed(int.from_bytes(digest, "little"))
            results: list[Any] = self._open(1).translate_batch(**arguments)
            for result in results:
                result.result()
        return results

    def _rescored(
        self, requests: Sequence[Request], found: list[list[Candidate]], options: DecodingOptions
    ) -> list[list[Candidate]]:
        """Return the candidates, samples and texts with a prefix with the model's own log-probabilities.

        The scores of CTranslate2 do not count the tokens of a prefix, and those of samples are not the model's.
        """
        places = [number for number, request in enumerate(requests) if options.is_random or request.prefix]
        pairs = [(requests[number].source, each.tokens) for number in places for each in found[number]]
        values = iter(self.score(pairs, options.batch_tokens))
        for number in places:
            candidates = []
            for each in found[number]:
                tokens = (*each.tokens, EOS_ID) if each.is_finished else each.tokens
                candidates.append(Candidate.from_tokens(tokens, next(values)[: len(tokens)], options.length_penalty))
            found[number] = _ranked(candidates, is_random=options.is_random)
        return found

    def _candidates(self, result: Any, alpha: float) -> list[Candidate]:
        """Return the candidates of one text, finished ones first, then by score."""
        candidates = []
        for pieces, total in zip(result.hypotheses, result.scores, strict=True):
            is_finished = pieces[-1:] == [_EOS]
            candidates.append(
                Candidate(
                    tokens=tuple(self._target_ids[piece] for piece in (pieces[:-1] if is_finished else pieces)),
                    token_log_probabilities=(),
                    log_probability=check_not_nan(total),
                    score=total / length_penalty(len(pieces), alpha),
                    is_finished=is_finished,
                )
            )
        return _ranked(candidates)

    def _source(self, ids: Sequence[int]) -> list[str]:
        return [self._source_pieces[index] for index in ids]

    def _target(self, ids: Sequence[int]) -> list[str]:
        return [self._target_pieces[index] for index in ids]


def _settings(options: DecodingOptions, requests: Sequence[Request], no_repeat_ngram: int) -> dict[str, Any]:
    """Return the arguments of `translate_batch`, but for the texts, for requests of equal settings."""
    beam_size = 1 if options.sample else options.beam_size
    limit = max(request.max_length for request in requests)
    settings = {
        "beam_size": beam_size,
        "num_hypotheses": options.num_hypotheses if options.is_random else beam_size,
        "patience": _PATIENCE if beam_size > 1 else 1,
        "length_penalty": _NO_LENGTH_PENALTY,
        "no_repeat_ngram_size": no_repeat_ngram,
        "disable_unk": True,
        "suppress_sequences": [[_BOS]],
        "max_input_length": 0,
        "max_decoding_length": limit,
        "min_decoding_length": min(max(requests[0].min_length, 1), limit),
        "return_end_token": True,
        "return_scores": True,
        "asynchronous": True,
    }
    if options.is_random:
        settings |= {
            "sampling_temperature": options.temperature,
            "sampling_topk": options.top_k,
            "sampling_topp": options.top_p,
        }
    return settings


def _ranked(candidates: list[Candidate], *, is_random: bool = False) -> list[Candidate]:
    """Return the candidates by score; unless they are samples, finished ones first."""
    return sorted(candidates, key=lambda each: (not (each.is_finished or is_random), -each.score))


def _with_equal_settings(batch: Sequence[int], requests: Sequence[Request]) -> list[list[int]]:
    """Divide a batch by what CTranslate2 takes once per batch: the minimum length, and the length of prefixes."""
    groups: dict[tuple[int, int], list[int]] = {}
    for number in batch:
        groups.setdefault((requests[number].min_length, len(requests[number].prefix)), []).append(number)
    return list(groups.values())


def _decreasing_sizes(n: int) -> list[int]:
    """Return lengths of n-grams to forbid in turn: n, then shorter ones, which break cycles shorter than n."""
    sizes = [n] if n else []
    while sizes and sizes[-1] > 2:
        sizes.append(sizes[-1] // 2 + 1)
    return sizes


def repeats_too_much(tokens: Sequence[int], request: Request, n: int) -> bool:
    """Return True if the output of a request breaks the rule of `NoRepeatedNgram`."""
    if n <= _MAX_CHECKED_NGRAM and max_occurrences(tokens, n) == 1 and max_repeats(tokens) <= _ALLOWED_REPEATS:
        return False  # true of nearly every text, and a thousand times faster
    rule = NoRepeatedNgram(n)
    limits, written = rule.start([request], torch.device("cpu")), torch.tensor([tokens], dtype=torch.int64)
    for place, token in enumerate(tokens):
        forbidden = rule.forbidden(limits, written[:, :place])
        if forbidden is not None and token in forbidden[0].tolist():
            return True
    return False


def _checked_vocabularies(directory: Path, tokenizers: Tokenizers) -> tuple[list[str], list[str]]:
    """Return the pieces of source and target by id.

    Raises:
        DecodingError: if the vocabularies of the directory are not those of the tokenizers.
    """
    pieces = vocabulary(tokenizers.source), vocabulary(tokenizers.target)
    files = [directory / "shared_vocabulary.json"] * 2
    if not files[0].is_file():
        files = [directory / f"{side}_vocabulary.json" for side in ("source", "target")]
    for file, expected in zip(files, pieces, strict=True):
        try:
            stored = json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise _unusable(directory, f"{file.name} cannot be read") from error
        if stored != expected:
            raise _unusable(directory, f"{file.name} is not the vocabulary of the tokenizer beside it")
    return pieces


def _open(directory: Path, device: torch.device, compute_type: str, threads: int) -> Any:
    import ctranslate2

    try:
        return ctranslate2.Translator(
            str(directory),
            device=device.type,
            device_index=device.index or 0,
            compute_type=compute_type,
            inter_threads=threads,
            intra_threads=1,
        )
    except (ValueError, RuntimeError) as error:
        raise _unusable(directory, f"CTranslate2 says: {shorten(str(error))}") from error


def _unusable(directory: Path, reason: str) -> DecodingError:
    return DecodingError(
        f"CTranslate2 requires a complete model that it can run on the device. Received: {directory} ({reason}). "
        "Export it again, or use another device or precision."
    )
