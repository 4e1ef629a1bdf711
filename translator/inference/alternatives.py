"""Alternatives: translations that begin alike and go on with different tokens."""

from __future__ import annotations

from dataclasses import replace

from translator.config import DecodingOptions
from translator.decoding.errors import DecodingError
from translator.engines.base import Engine
from translator.inference.assembly import alignments_of, assemble
from translator.inference.reading import read_lines
from translator.inference.requests import RequestWriter
from translator.inference.results import Translation
from translator.inference.texts import read_prefixes, read_texts
from translator.tokenizer import Tokenizers


def find_alternatives(
    engine: Engine, tokenizers: Tokenizers, longest_source: int, text: str, prefix: str, options: DecodingOptions
) -> Translation:
    """Return the translations of a text that go on differently after a prefix; see `Translator.alternatives`.

    Args:
        engine: decodes.
        tokenizers: tokenizers of the model.
        longest_source: maximum number of tokens of the text.
        text: the text, which is not split.
        prefix: beginning of the translations, up to the position of the alternatives.
        options: `num_hypotheses` is the number of alternatives; the search completes each.

    Raises:
        DecodingError: if the text or the prefix is too long.
    """
    [line] = read_lines(read_texts(text), tokenizers.source, longest_source, options)
    if not line.ids:
        return assemble(line, [], options, {}, tokenizers.target)
    if len(line.ids) > longest_source:
        raise DecodingError(
            f"A text with alternatives must have at most {longest_source} tokens. "
            f"Received: {len(line.ids)} tokens. Give one of its sentences."
        )
    [prefix] = read_prefixes(prefix, 1)
    whole = RequestWriter(engine, tokenizers, options).request(line.ids, tokenizers.target.encode(prefix))
    next_token = replace(whole, max_length=len(whole.prefix) + 1)
    beam = {"sample": False, "beam_size": options.num_hypotheses, "num_beam_groups": 1, "mbr_candidates": 0}
    [found] = engine.search([next_token], options.model_copy(update=beam))
    requests = [replace(whole, prefix=each.tokens) for each in found if not each.is_finished]
    best = options.model_copy(update={"num_hypotheses": 1, "mbr_candidates": 0})
    ended = [each for each in found if each.is_finished]
    completed = [candidate for [candidate] in engine.search(requests, best)]
    candidates = sorted([*ended, *completed], key=lambda candidate: -candidate.score)
    alignments = alignments_of(engine, tokenizers, {whole: candidates}, options) if options.alignment else {}
    flags = tuple(flag for flag in line.flags if flag != "sentences")
    return assemble(replace(line, flags=flags), [(line.ids, candidates)], options, alignments, tokenizers.target)
