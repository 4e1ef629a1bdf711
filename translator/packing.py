"""Packed sequences: sequences end to end without padding, with the offset of each.

Linear layers, norms, dropout and the loss see `(num_tokens, ...)`. Only attention separates the sequences, through
`cu_seqlens`, as in other implementations of variable-length attention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

IGNORE_INDEX = -100  # label of a token that does not count in the loss


@dataclass(frozen=True)
class SequenceLayout:
    """Offsets and positions of packed sequences, without their values.

    Attributes:
        cu_seqlens: see `Packed`.
        max_seqlen: see `Packed`.
        positions: `(num_tokens,)` int64, position of each row in its own sequence; 0 in trailing padding.
    """

    cu_seqlens: Tensor
    max_seqlen: int
    positions: Tensor


@dataclass(frozen=True)
class Packed:
    """Values of sequences, end to end.

    Attributes:
        values: `(num_tokens, ...)`, any dtype; token i of sequence s is row `cu_seqlens[s] + i`.
        cu_seqlens: `(num_sequences + 1,)` int32, starts at 0, never decreases. Rows of `values` past its last entry are
            trailing padding, which belongs to no sequence.
        max_seqlen: an upper bound, in tokens, on the length of every sequence.
    """

    values: Tensor
    cu_seqlens: Tensor
    max_seqlen: int

    @classmethod
    def from_sequences(cls, sequences: Sequence[Sequence[int] | Tensor], dtype: torch.dtype = torch.int64) -> Packed:
        """Pack sequences of token ids (lists or one-dimensional tensors) on the CPU."""
        lengths = [len(sequence) for sequence in sequences]
        parts = [torch.as_tensor(sequence, dtype=dtype) for sequence in sequences]
        values = torch.cat(parts) if parts else torch.empty(0, dtype=dtype)
        return cls(values, cu_seqlens_of(torch.tensor(lengths, dtype=torch.int64)), max(lengths, default=0))

    @property
    def num_sequences(self) -> int:
        """Number of sequences, including empty ones."""
        return self.cu_seqlens.shape[0] - 1

    @property
    def lengths(self) -> Tensor:
        """Length of each sequence in tokens: `(num_sequences,)` int32."""
        return self.cu_seqlens.diff()

    def unpack(self) -> list[Tensor]:
        """Return each sequence as a view: `num_sequences` tensors `(length, ...)`."""
        offsets = self.cu_seqlens.tolist()
        return [self.values[start:end] for start, end in pairwise(offsets)]

    def with_values(self, values: Tensor) -> Packed:
        """Return the same sequences with other values, such as hidden states instead of token ids."""
        return replace(self, values=values)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Packed:
        """Return the same sequences on `device`."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def map(self, change: Callable[[Tensor], Tensor]) -> Packed:
        """Return the same sequences with `change` applied to both tensors."""
        return Packed(change(self.values), change(self.cu_seqlens), self.max_seqlen)

    def positions(self) -> Tensor:
        """Return the position of each row in its own sequence: `(num_tokens,)` int64; 0 in trailing padding."""
        rows = torch.arange(self.values.shape[0], device=self.values.device)
        sequence = torch.searchsorted(self.cu_seqlens, rows, right=True) - 1
        starts = self.cu_seqlens[sequence.clamp(max=self.num_sequences)]
        return torch.where(rows < self.cu_seqlens[-1], rows - starts, 0)

    def layout(self) -> SequenceLayout:
        """Return offsets and positions without the values."""
        return SequenceLayout(self.cu_seqlens, self.max_seqlen, self.positions())


@dataclass(frozen=True)
class TokenLinks:
    """Links between the target and the source tokens of packed sequences.

    Attributes:
        places: `(3, num_links)` int64: number of the sequence, and positions of the tokens in target and source.
        weights: `(num_links,)` float32: 1 over the number of links of the target token.
    """

    places: Tensor
    weights: Tensor

    @property
    def num_targets(self) -> int:
        """Number of target tokens that have links; synchronizes with the device."""
        return round(float(self.weights.double().sum()))

    def map(self, change: Callable[[Tensor], Tensor]) -> TokenLinks:
        """Return the same links with `change` applied to both tensors."""
        return TokenLinks(change(self.places), change(self.weights))

    def part(self, start: int, stop: int) -> TokenLinks:
        """Return the links of the sequences from `start` to before `stop`, which are numbered from 0."""
        is_inside = (self.places[0] >= start) & (self.places[0] < stop)
        places = self.places[:, is_inside]
        places[0] -= start
        return TokenLinks(places, self.weights[is_inside])


def cu_seqlens_of(lengths: Tensor) -> Tensor:
    """Return the offsets of sequences: lengths `(num_sequences,)`, integers, to `(num_sequences + 1,)` int32."""
    offsets = torch.zeros(lengths.shape[0] + 1, dtype=torch.int32, device=lengths.device)
    torch.cumsum(lengths, dim=0, out=offsets[1:])
    return offsets


def pad(packed: Packed, padding_value: float = 0.0) -> Tensor:
    """Return padded sequences: `(num_sequences, longest, ...)`, with `padding_value` after each end."""
    lengths = packed.lengths
    longest = int(lengths.max()) if packed.num_sequences else 0
    padded = packed.values.new_full((packed.num_sequences, longest, *packed.values.shape[1:]), padding_value)
    is_token = torch.arange(longest, device=lengths.device) < lengths[:, None]
    padded[is_token] = packed.values[: int(packed.cu_seqlens[-1])]
    return padded


def unpad(padded: Tensor, lengths: Tensor) -> Packed:
    """Invert `pad`: `(num_sequences, longest, ...)` and lengths `(num_sequences,)` to `Packed`."""
    longest = padded.shape[1]
    is_token = torch.arange(longest, device=lengths.device) < lengths[:, None]
    return Packed(padded[is_token], cu_seqlens_of(lengths), longest)
