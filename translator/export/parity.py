"""Comparison of an exported model with the original: scores of given translations, greedy search, beam search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from translator.config import change_decoding
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request
from translator.engines.base import Engine, Pair
from translator.evaluation.metrics import evaluate
from translator.export.folder import ExportError
from translator.inference.translator import Translator
from translator.tokenizer import EOS_ID

MAX_DIFFERENCE = 1e-4  # of the log-probability of a token, in nats
_MAX_QUANTIZED_DIFFERENCE = 0.5  # mean; a wrong start token or a wrong position table costs 7 to 8
_BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Parity:
    """Agreement of an exported model with the original.

    Attributes:
        tokens: number of tokens whose log-probabilities were compared.
        max_difference: largest difference of a token's log-probability, in nats.
        mean_difference: mean absolute difference, in nats.
        texts: number of texts that both models translated.
        greedy: texts with the same greedy translation.
        ties: texts whose greedy translations part at two tokens that are within `MAX_DIFFERENCE` of each other.
        beam: texts with the same translation by beam search.
        beam_size: beam size of that search.
        bleu: BLEU of the original and of the exported model by that beam search; None without references.
    """

    tokens: int
    max_difference: float
    mean_difference: float
    texts: int
    greedy: int
    ties: int
    beam: int
    beam_size: int
    bleu: tuple[float, float] | None

    def as_text(self) -> str:
        """Return the comparison as lines of text."""
        lines = [
            f"scores of {self.tokens:,} tokens: largest difference {self.max_difference:.1e} nats, "
            f"mean {self.mean_difference:.1e}",
            f"greedy search: {self.greedy} of {self.texts} texts the same"
            + (f", {self.ties} more part at a tie" if self.ties else ""),
            f"beam search ({self.beam_size}): {self.beam} of {self.texts} texts the same",
        ]
        if self.bleu is not None:
            lines.append(f"BLEU: {self.bleu[0]:.2f} original, {self.bleu[1]:.2f} exported")
        return "\n".join(lines)


def compare(original: Translator, exported: Engine, rows: Sequence[tuple[str, ...]], *, has_references: bool) -> Parity:
    """Translate and score texts with both models.

    Args:
        original: the model that was exported.
        exported: the exported model.
        rows: source texts, each with a target text to score. Texts that are too long are left out.
        has_references: True if the target texts are translations, so that BLEU means something.

    Raises:
        ExportError: if no text fits the model.
    """
    greedy = change_decoding(original.decoding, {"beam_size": 1, "num_hypotheses": 1, "no_repeat_ngram": 0})
    beam = greedy.model_copy(update={"beam_size": max(original.decoding.beam_size, 2)})
    encoded = [
        (tuple(original.tokenizers.source.encode(row[0])), tuple(original.tokenizers.target.encode(row[1])), row[1])
        for row in rows
    ]
    limit = original.longest_source
    kept = [each for each in encoded if 0 < len(each[0]) <= limit and len(each[1]) < original.engine.max_positions]
    if not kept:
        raise ExportError("A comparison requires texts that fit the model, and no text does. Give another --test.")
    requests = [original.request(source, greedy) for source, _, _ in kept]
    ours, theirs = original.engine.search(requests, greedy), exported.search(requests, greedy)
    ties = sum(_parts_at_tie(original.engine, *each) for each in zip(requests, ours, theirs, strict=True))
    pairs = [(source, target) for source, target, _ in kept]
    pairs += [(request.source, best.tokens) for request, (best, *_) in zip(requests, ours, strict=True)]
    pairs = [pair for pair in pairs if len(pair[1]) < original.engine.max_positions]
    differences = _differences(original.engine, exported, pairs)
    ours_beam, theirs_beam = original.engine.search(requests, beam), exported.search(requests, beam)
    references = [text for _, _, text in kept]
    return Parity(
        tokens=len(differences),
        max_difference=max(differences),
        mean_difference=math.fsum(differences) / len(differences),
        texts=len(requests),
        greedy=_same(ours, theirs),
        ties=ties,
        beam=_same(ours_beam, theirs_beam),
        beam_size=beam.beam_size,
        bleu=(_bleu(original, ours_beam, references), _bleu(original, theirs_beam, references))
        if has_references
        else None,
    )


def require_parity(parity: Parity, *, is_quantized: bool) -> None:
    """Check that an exported model may be used in place of the original.

    Raises:
        ExportError: if the log-probability of a token differs by more than `MAX_DIFFERENCE`, or a greedy translation
            differs without a tie. Of a quantized model, only large differences are refused.
    """
    if is_quantized:
        is_accepted = parity.mean_difference <= _MAX_QUANTIZED_DIFFERENCE
        requirement = f"must differ by at most {_MAX_QUANTIZED_DIFFERENCE} nats per token on average"
    else:
        is_accepted = parity.max_difference <= MAX_DIFFERENCE and parity.greedy + parity.ties == parity.texts
        requirement = f"must have the same greedy translations, and scores within {MAX_DIFFERENCE} nats per token"
    if not is_accepted:  # NaN is not accepted
        raise ExportError(
            f"An exported model {requirement}. Nothing was written. Received:\n{parity.as_text()}\n"
            "Please report this with the configuration of the model."
        )


def _differences(original: Engine, exported: Engine, pairs: Sequence[Pair]) -> list[float]:
    """Return the absolute difference of the log-probability of each token of each target."""
    ours, theirs = original.score(pairs, _BATCH_TOKENS), exported.score(pairs, _BATCH_TOKENS)
    return [abs(a - b) for mine, other in zip(ours, theirs, strict=True) for a, b in zip(mine, other, strict=True)]


def _same(ours: Sequence[Sequence[Candidate]], theirs: Sequence[Sequence[Candidate]]) -> int:
    return sum(mine[0].tokens == other[0].tokens for mine, other in zip(ours, theirs, strict=True))


def _parts_at_tie(engine: Engine, request: Request, ours: Sequence[Candidate], theirs: Sequence[Candidate]) -> bool:
    """Return True if two greedy translations differ first at tokens that are nearly equally probable."""
    outputs = [[*found[0].tokens, *([EOS_ID] * found[0].is_finished)] for found in (ours, theirs)]
    place = next((i for i, (a, b) in enumerate(zip_longest(*outputs)) if a != b), None)
    if place is None or place >= min(*map(len, outputs), engine.max_positions - 1):
        return False
    targets = [output[: place + (output[place] != EOS_ID)] for output in outputs]
    first, second = engine.score([(request.source, target) for target in targets], _BATCH_TOKENS)
    return abs(first[place] - second[place]) <= MAX_DIFFERENCE


def _bleu(translator: Translator, found: Sequence[Sequence[Candidate]], references: Sequence[str]) -> float:
    texts = [translator.tokenizers.target.decode(best.tokens) for best, *_ in found]
    return evaluate(texts, references, with_ter=False).bleu.score
