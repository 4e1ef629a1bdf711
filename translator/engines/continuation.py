"""A language model as a `Decodable` whose sources are prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from translator.model import DecoderOnly, DecodingState
from translator.packing import Packed
from translator.tokenizer import BOS_ID


@dataclass
class ContinuationState:
    """State of a continuation.

    Attributes:
        state: state of the model.
        last: last token of each prompt until it has been read, `(rows,)` int64; then None.
    """

    state: DecodingState
    last: Tensor | None


class Continuation:
    """Continues prompts. BOS precedes each prompt, as in training.

    Args:
        model: the language model.
    """

    def __init__(self, model: DecoderOnly) -> None:
        self.model = model

    def start(self, source: Packed) -> ContinuationState:
        """Read each prompt, EOS-ended, except its last token; see `Decodable.start`."""
        prompts = [prompt[:-1] for prompt in source.unpack()]
        prefixes = [torch.cat((prompt.new_tensor([BOS_ID]), prompt[:-1])) for prompt in prompts]
        state = self.model.start(Packed.from_sequences(prefixes).to(source.values.device))
        return ContinuationState(state, torch.stack([prompt[-1] for prompt in prompts]))

    def step(self, tokens: Tensor, state: ContinuationState) -> Tensor:
        """See `Decodable.step`. In the first step the last token of the prompt replaces BOS."""
        if state.last is not None:
            tokens, state.last = state.last, None
        return self.model.step(tokens, state.state)

    def reorder(
        self, state: ContinuationState, rows: Tensor, sentences: Sequence[int] | None = None
    ) -> ContinuationState:
        """See `Decodable.reorder`."""
        state.state = self.model.reorder(state.state, rows, sentences)
        return state
