"""Translations of lines from the candidates of their parts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from translator.config import DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request
from translator.engines.base import Engine, Pair
from translator.inference.alignment import Alignment, align
from translator.inference.reading import Line
from translator.inference.results import Hypothesis, Translation
from translator.tokenizer import Tokenizer, Tokenizers


def assemble(
    line: Line,
    parts: Sequence[tuple[tuple[int, ...], Sequence[Candidate]]],
    options: DecodingOptions,
    alignments: Mapping[Pair, Alignment],
    target: Tokenizer,
) -> Translation:
    """Return the translation of a line from those of its parts: its n-th hypothesis joins the n-th of each part.

    Args:
        line: the text.
        parts: source ids and candidates of each part.
        options: the decoding options.
        alignments: alignment of source ids and tokens of candidates; empty if it was not asked for.
        target: tokenizer of the target language.
    """
    count = max((len(candidates) for _, candidates in parts), default=1)
    columns = [
        [(source, candidates[min(number, len(candidates) - 1)]) for source, candidates in parts]
        for number in range(count)
    ]
    is_truncated = any(not candidate.is_finished for _, candidate in columns[0])
    flags = (*line.flags, "truncated") if is_truncated and "truncated" not in line.flags else line.flags
    hypotheses = []
    for column in columns:
        hypothesis = _join([candidate for _, candidate in column], target)
        if options.alignment:
            linked = [alignments[source, candidate.tokens] for source, candidate in column]
            hypothesis = replace(hypothesis, alignment=sum(linked, start=Alignment((), (), ())))
        hypotheses.append(hypothesis)
    if not options.is_random:  # joined parts may be equal
        texts = [hypothesis.text for hypothesis in hypotheses]
        hypotheses = [each for place, each in enumerate(hypotheses) if each.text not in texts[:place]]
    return Translation(line.source, tuple(hypotheses), flags)


def _join(candidates: Sequence[Candidate], target: Tokenizer) -> Hypothesis:
    return Hypothesis(
        text=" ".join(text for candidate in candidates if (text := target.decode(candidate.tokens))),
        score=math.fsum(candidate.score for candidate in candidates),
        log_probability=math.fsum(candidate.log_probability for candidate in candidates),
        tokens=tuple(piece for candidate in candidates for piece in target.pieces(candidate.tokens)),
        token_log_probabilities=tuple(value for candidate in candidates for value in candidate.token_log_probabilities),
    )


def alignments_of(
    engine: Engine, tokenizers: Tokenizers, found: Mapping[Request, Sequence[Candidate]], options: DecodingOptions
) -> dict[Pair, Alignment]:
    """Return the word alignment of each candidate with its source, by the ids of both."""
    pairs = list({(request.source, each.tokens) for request, candidates in found.items() for each in candidates})
    weights = engine.cross_attention(pairs, options.batch_tokens)
    source, target = (side.pieces for side in (tokenizers.source, tokenizers.target))
    return {pair: align(source(pair[0]), target(pair[1]), each) for pair, each in zip(pairs, weights, strict=True)}
