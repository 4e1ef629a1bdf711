"""`Request`: what differs between the sequences of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from translator.packing import Packed
from translator.tokenizer import EOS_ID


@dataclass(frozen=True)
class Request:
    """One sequence to decode. Options that hold for the whole call are in `config.DecodingOptions`.

    Attributes:
        source: token ids, without EOS; the prompt, for a language model.
        max_length: maximum number of output tokens, EOS included; at least 1.
        min_length: minimum number of output tokens before EOS.
        prefix: ids that the output begins with, without BOS; shorter than `max_length`.
    """

    source: tuple[int, ...]
    max_length: int
    min_length: int = 0
    prefix: tuple[int, ...] = ()


def pack_sources(requests: Sequence[Request], device: torch.device) -> Packed:
    """Return the sources, each ended by EOS, as one packed batch on `device`."""
    return Packed.from_sequences([[*request.source, EOS_ID] for request in requests]).to(device)
