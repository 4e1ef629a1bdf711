"""`TransformersEngine`: a Hugging Face encoder-decoder model behind the interface of an engine, for comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from translator.config import DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request
from translator.engines.base import Pair, group_by_length

# Both divide a log-probability by a power of the length, but count it differently. With this fraction of the exponent
# they rank most beams alike.
LENGTH_PENALTY_FACTOR = 0.75
_SERVED = ("beam_size", "length_penalty", "max_length_factor", "batch_tokens", "fold_capitals", "split_sentences")


class TransformersEngine:
    """An `Engine` around a directory of `transformers` whose ids are those of this project.

    Beams are ranked by the score of transformers, with 0.75 times the length penalty, which is the nearest setting.

    Candidates have no log-probabilities; `score` computes them.

    Args:
        directory: folder that `marian.write_marian` wrote.
    """

    shares_positions = False
    serves_terms = False

    def __init__(self, directory: Path) -> None:
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.model = transformers.MarianMTModel.from_pretrained(directory).eval()
        config = self.model.config
        self.max_positions: int = config.max_position_embeddings
        self._pad, self._eos, self._start = config.pad_token_id, config.eos_token_id, config.decoder_start_token_id

    def unsupported(self, options: DecodingOptions) -> list[str]:
        """See `Engine`: it serves greedy and beam search."""
        default = DecodingOptions()
        return [
            name
            for name in DecodingOptions.model_fields
            if name not in _SERVED and getattr(options, name) != getattr(default, name)
        ]

    @torch.inference_mode()
    def search(self, requests: Sequence[Request], options: DecodingOptions) -> list[list[Candidate]]:
        """See `Engine`."""
        found: list[tuple[int, ...]] = [() for _ in requests]
        for batch in group_by_length([len(request.source) for request in requests], options.batch_tokens):
            sources = self._padded([[*requests[number].source, self._eos] for number in batch])
            output = self.model.generate(
                input_ids=sources,
                attention_mask=self._mask(sources),
                num_beams=options.beam_size,
                do_sample=False,
                length_penalty=LENGTH_PENALTY_FACTOR * options.length_penalty,
                max_length=1 + max(requests[number].max_length for number in batch),
            )
            for number, ids in zip(batch, output[:, 1:].tolist(), strict=True):
                end = ids.index(self._eos) + 1 if self._eos in ids else len(ids)
                found[number] = tuple(ids[: min(end, requests[number].max_length)])
        return [[self._candidate(ids)] for ids in found]

    def _candidate(self, ids: tuple[int, ...]) -> Candidate:
        is_finished = ids[-1:] == (self._eos,)
        return Candidate(ids[:-1] if is_finished else ids, (), math.nan, math.nan, is_finished)

    @torch.inference_mode()
    def score(self, pairs: Sequence[Pair], batch_tokens: int) -> list[tuple[float, ...]]:
        """See `Engine`."""
        lengths = [max(len(source), len(target)) + 1 for source, target in pairs]
        scores: list[tuple[float, ...]] = [() for _ in pairs]
        for batch in group_by_length(lengths, batch_tokens):
            sources = self._padded([[*pairs[number][0], self._eos] for number in batch])
            inputs = self._padded([[self._start, *pairs[number][1]] for number in batch])
            logits = self.model(input_ids=sources, attention_mask=self._mask(sources), decoder_input_ids=inputs).logits
            labels = self._padded([[*pairs[number][1], self._eos] for number in batch])
            values = logits.float().log_softmax(-1).gather(2, labels[:, :, None]).squeeze(2).tolist()
            for number, row in zip(batch, values, strict=True):
                scores[number] = tuple(row[: len(pairs[number][1]) + 1])
        return scores

    @torch.inference_mode()
    def cross_attention(self, pairs: Sequence[Pair], batch_tokens: int) -> list[Tensor]:
        """See `Engine`."""
        self.model.set_attn_implementation("eager")  # others do not return weights
        weights: list[Tensor] = [torch.empty(0)] * len(pairs)
        for batch in group_by_length([max(map(len, pair)) + 1 for pair in pairs], batch_tokens):
            sources = self._padded([[*pairs[number][0], self._eos] for number in batch])
            inputs = self._padded([[self._start, *pairs[number][1]] for number in batch])
            found = self.model(
                input_ids=sources,
                attention_mask=self._mask(sources),
                decoder_input_ids=inputs,
                output_attentions=True,
            ).cross_attentions[-1]
            for number, each in zip(batch, found.mean(dim=1), strict=True):
                source, target = pairs[number]
                weights[number] = each[: len(target), : len(source)]
        return weights

    def _padded(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Return `(rows, longest)` int64, padded at the end."""
        longest = max(map(len, rows))
        return torch.tensor([[*row, *[self._pad] * (longest - len(row))] for row in rows])

    def _mask(self, ids: Tensor) -> Tensor:
        """Return 1 up to the EOS of each row: `(rows, longest)` int64."""
        is_eos = (ids == self._eos).long()
        return torch.eq(is_eos.cumsum(1) - is_eos, 0).long()
