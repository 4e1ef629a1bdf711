"""Log-probabilities of given translations, of texts that are read as a translator reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from translator.config import DecodingOptions
from translator.engines.base import Engine
from translator.inference.protection import Masked
from translator.inference.reading import Line, read_lines
from translator.inference.results import Score
from translator.inference.splitting import sentences_of
from translator.inference.texts import clean
from translator.tokenizer import Tokenizers

_Pair = tuple[tuple[int, ...], tuple[int, ...]]


def score_pairs(
    engine: Engine,
    tokenizers: Tokenizers,
    longest_source: int,
    pairs: Sequence[tuple[str, str]],
    options: DecodingOptions,
) -> list[Score]:
    """Return the score of each pair of source and target; see `Translator.score`.

    Args:
        engine: computes log-probabilities.
        tokenizers: tokenizers of the model.
        longest_source: maximum number of tokens of a source that is translated whole.
        pairs: source text and target text.
        options: `batch_tokens`, and the options that say how sources are read.
    """
    sources = [Masked.of(source) if options.protect else Masked(source, {}) for source, _ in pairs]
    targets = [masked.apply(clean(target)) for masked, (_, target) in zip(sources, pairs, strict=True)]
    lines = read_lines([masked.text for masked in sources], tokenizers.source, longest_source, options)
    split = [_split_alike(line, target, tokenizers) for line, target in zip(lines, targets, strict=True)]
    fitting = list(
        dict.fromkeys(pair for parts in split if all(_fits(engine, pair) for pair in parts) for pair in parts)
    )
    found = dict(zip(fitting, engine.score(fitting, options.batch_tokens), strict=True))
    return [
        _score(line, is_changed=clean(target) != target, parts=parts, found=found, tokenizers=tokenizers)
        for line, (_, target), parts in zip(lines, pairs, split, strict=True)
    ]


def _split_alike(line: Line, target: str, tokenizers: Tokenizers) -> list[_Pair]:
    """Return the ids of source and target, part by part if both have equally many, else as one pair."""
    encode = tokenizers.target.encode
    sentences = sentences_of(target)
    if 1 < len(line.parts) == len(sentences):
        return [(part, tuple(encode(text))) for part, text in zip(line.parts, sentences, strict=True)]
    return [(line.ids, tuple(encode(target)))]


def _fits(engine: Engine, pair: _Pair) -> bool:
    source, target = (len(ids) + 1 for ids in pair)
    return (source + target if engine.shares_positions else max(source, target)) <= engine.max_positions


def _score(
    line: Line,
    *,
    is_changed: bool,
    parts: Sequence[_Pair],
    found: Mapping[_Pair, tuple[float, ...]],
    tokenizers: Tokenizers,
) -> Score:
    """Return the score of one pair.

    Args:
        line: the source.
        is_changed: whether the target had invalid characters.
        parts: source and target, split alike.
        found: log-probabilities of the parts that fit the model.
        tokenizers: tokenizers of the model.
    """
    unused = {"empty"} if len(parts) > 1 else {"empty", "split", "sentences", "truncated"}
    flags = tuple(flag for flag in line.flags if flag not in unused)
    if is_changed and "invalid_bytes" not in flags:
        flags = ("invalid_bytes", *flags)
    pieces = tuple(piece for _, ids in parts for piece in tokenizers.target.pieces(ids))
    if not all(pair in found for pair in parts):
        return Score(math.nan, pieces, (), (*flags, "too_long"))
    values = tuple(value for pair in parts for value in found[pair])
    return Score(math.fsum(values), pieces, values, flags)
