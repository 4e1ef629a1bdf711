"""Plans of `grouped` attention: which sequences are padded together, and where their rows lie in buffers.

A plan is computed once per batch layout, in many small steps. They are numpy calls, because a torch call costs several
times as much, and more if it wakes threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_MIN_LENGTH_RATIO = 0.65  # shortest to longest sequence of a group, unless
_MIN_GROUP_SIZE = 8  # the group has fewer sequences than this


@dataclass(frozen=True)
class Side:
    """Positions of the queries, or of the keys, of all groups in a buffer of rows `(num_places, head_dim)`.

    The buffer contains one group after the other, each `(num_sequences, heads, longest)`.

    Attributes:
        token: `(num_places,)` int64, packed row of each buffer row; row 0 for padding.
        head: `(num_places,)` int64, head of each buffer row.
        padding: `(n,)` int64, buffer rows without a token.
        place: `(num_tokens, heads)` int64, buffer row of each token and head. Tokens that attend to nothing have the
            row after the last.
    """

    token: Tensor
    head: Tensor
    padding: Tensor
    place: Tensor

    @property
    def num_places(self) -> int:
        """Number of rows of a buffer."""
        return self.token.shape[0]


@dataclass(frozen=True)
class Group:
    """Sequences computed together.

    Attributes:
        sequences: `(num_sequences,)` int64, numbers of the sequences.
        batch: number of sequences times heads.
        longest_q: number of queries of the longest sequence.
        longest_k: number of keys of the longest sequence.
        first_q: first row of the group in a buffer of queries.
        first_k: first row of the group in a buffer of keys.
        first_weight: first element of the group among all attention weights.
        bias: `(num_sequences, 1, longest_q or 1, longest_k)` float32, added to the scores: 0, or -1e30 for a masked
            key; None if no key is masked.
        has_fully_masked_query: True if a query sees no key (causal, with more queries than keys).
    """

    sequences: Tensor
    batch: int
    longest_q: int
    longest_k: int
    first_q: int
    first_k: int
    first_weight: int
    bias: Tensor | None
    has_fully_masked_query: bool

    def queries(self, buffer: Tensor) -> Tensor:
        """Return the group's part of a contiguous buffer of queries: `(batch, longest_q, head_dim)`."""
        return _part(buffer, self.first_q, self.batch, self.longest_q, buffer.shape[1])

    def keys(self, buffer: Tensor) -> Tensor:
        """Return the group's part of a contiguous buffer of keys or values: `(batch, longest_k, head_dim)`."""
        return _part(buffer, self.first_k, self.batch, self.longest_k, buffer.shape[1])

    def weights(self, flat: Tensor) -> Tensor:
        """Return the group's part of a tensor with an element per weight: `(batch, longest_q, longest_k)`."""
        return _part(flat, self.first_weight, self.batch, self.longest_q, self.longest_k)


def _part(buffer: Tensor, first: int, batch: int, rows: int, columns: int) -> Tensor:
    """Return a view from row `first` of a contiguous buffer, or from element `first` of a flat one, in one call."""
    offset = buffer.storage_offset() + first * (columns if buffer.ndim == 2 else 1)
    return buffer.as_strided((batch, rows, columns), (rows * columns, columns, 1), offset)


@dataclass(frozen=True)
class Plan:
    """Plan of attention for one layout of sequences.

    A projection `(num_tokens, m, heads, head_dim)` has m parts: queries, keys and values, or consecutive ones of these.
    The methods take the index `first` of its first part, 0 for queries.

    Attributes:
        sides: sides of queries, of keys and of values; the last two are the same.
        groups: groups, longest sequences first.
        num_weights: number of attention weights of all groups.
        indices: cache of the indices that the methods use.
    """

    sides: tuple[Side, Side, Side]
    groups: list[Group]
    num_weights: int
    indices: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    def gather(self, x: Tensor, first: int) -> list[Tensor]:
        """Copy `(num_tokens, m, heads, head_dim)` to m buffers."""
        _, parts, heads, head_dim = x.shape
        if x.stride()[1:] != (heads * head_dim, head_dim, 1) or x.stride(0) % head_dim:
            x = x.contiguous()
        step = x.stride(0) // head_dim  # from one token to the next, in rows of head_dim
        sides = self.sides[first : first + parts]
        key = (first, parts, step)
        if key not in self.indices:
            indices = [side.token * step + (side.head + part * heads) for part, side in enumerate(sides)]
            self.indices[key] = torch.cat(indices)
        num_rows = (x.shape[0] - 1) * step + parts * heads
        rows = x.as_strided((num_rows, head_dim), (head_dim, 1)).index_select(0, self.indices[key])
        return list(torch.split_with_sizes(rows, [side.num_places for side in sides]))

    def empty(self, first: int, parts: int, like: Tensor) -> list[Tensor]:
        """Return uninitialized buffers, adjacent in memory, and last the tensor of all of them and one row of zeros."""
        sizes = [side.num_places for side in self.sides[first : first + parts]]
        whole = like.new_empty(sum(sizes) + 1, like.shape[-1])
        whole[-1] = 0
        return [*torch.split_with_sizes(whole[:-1], sizes), whole]

    def scatter(self, whole: Tensor, first: int, parts: int) -> Tensor:
        """Copy the last tensor of `empty`, with filled buffers, to `(num_tokens, m, heads, head_dim)`."""
        key = (first, parts)
        if key not in self.indices:
            places, before = [], 0
            for side in self.sides[first : first + parts]:
                places.append(torch.where(side.place < side.num_places, side.place + before, whole.shape[0] - 1))
                before += side.num_places
            self.indices[key] = torch.stack(places, dim=1)
        place = self.indices[key]
        return whole.index_select(0, place.flatten()).view(*place.shape, whole.shape[1])


def plan(
    cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, num_q_tokens: int, num_k_tokens: int, heads: int, causal: bool
) -> Plan:
    """Return the plan for sequences with these offsets, both `(num_sequences + 1,)` int32 on the CPU."""
    offsets_q, offsets_k = cu_seqlens_q.numpy().tobytes(), cu_seqlens_k.numpy().tobytes()
    return _cached_plan(offsets_q, offsets_k, num_q_tokens, num_k_tokens, heads, causal)


@lru_cache(maxsize=16)  # the layers of a model share the layouts of a batch
def _cached_plan(offsets_q: bytes, offsets_k: bytes, num_q: int, num_k: int, heads: int, causal: bool) -> Plan:
    bounds = (np.frombuffer(offsets, np.int32).astype(np.int64) for offsets in (offsets_q, offsets_k))
    (starts_q, lengths_q), (starts_k, lengths_k) = ((x[:-1], np.diff(x)) for x in bounds)
    members = _group_by_length(lengths_q, lengths_k)
    groups: list[Group] = []
    first_q = first_k = first_weight = 0
    for group in members:
        group_q, group_k = lengths_q[group], lengths_k[group]
        batch, longest_q, longest_k = len(group) * heads, int(group_q.max()), int(group_k.max())
        bias, is_any_masked = _bias(group_q, group_k, causal), causal and bool((group_q > group_k).any())
        firsts, sequences = (first_q, first_k, first_weight), torch.from_numpy(group)
        groups.append(Group(sequences, batch, longest_q, longest_k, *firsts, bias, is_any_masked))
        first_q += batch * longest_q
        first_k += batch * longest_k
        first_weight += batch * longest_q * longest_k
    queries = _side([(starts_q[group], lengths_q[group]) for group in members], num_q, heads)
    if (offsets_q, num_q) == (offsets_k, num_k):
        return Plan((queries, queries, queries), groups, first_weight)
    keys = _side([(starts_k[group], lengths_k[group]) for group in members], num_k, heads)
    return Plan((queries, keys, keys), groups, first_weight)


def _group_by_length(lengths_q: np.ndarray, lengths_k: np.ndarray) -> list[np.ndarray]:
    """Group sequences of similar length, longest first; those without queries or without keys are in no group."""
    length = np.where((lengths_q > 0) & (lengths_k > 0), lengths_q + lengths_k, 0)
    order = np.argsort(-length, kind="stable")
    order = order[: np.count_nonzero(length)]
    rising = -length[order]
    groups: list[np.ndarray] = []
    start = 0
    while start < len(order):
        first_short = int(np.searchsorted(rising, _MIN_LENGTH_RATIO * rising[start], side="right"))
        end = max(first_short, start + _MIN_GROUP_SIZE)
        groups.append(order[start:end])
        start = end
    return groups


def _side(groups: Sequence[tuple[np.ndarray, np.ndarray]], num_tokens: int, heads: int) -> Side:
    """Return the side of groups, each given by starts and lengths of its sequences."""
    head = np.arange(heads)[:, None]
    tokens, all_heads, paddings = ([np.empty(0, np.int64)] for _ in range(3))
    place = np.full((num_tokens, heads), -1)
    first = 0
    for start, length in groups:
        position = np.arange(length.max())
        shape = (len(start), heads, len(position))
        is_real = position < length[:, None]  # (num_sequences, longest)
        token = np.where(is_real, start[:, None] + position, 0)
        places = first + np.arange(token.size * heads).reshape(shape)
        place[token[is_real]] = places.transpose(0, 2, 1)[is_real]
        tokens.append(np.broadcast_to(token[:, None], shape).ravel())
        all_heads.append(np.broadcast_to(head, shape).ravel())
        paddings.append(places.transpose(0, 2, 1)[~is_real].ravel())
        first += places.size
    place[place < 0] = first
    numbers = (np.concatenate(tokens), np.concatenate(all_heads), np.concatenate(paddings), place)
    return Side(*map(torch.from_numpy, numbers))


def _bias(lengths_q: np.ndarray, lengths_k: np.ndarray, causal: bool) -> Tensor | None:
    """Return the bias of a group: masks keys after the end of the sequence and, if causal, after the query."""
    if not causal and lengths_k.min() == lengths_k.max():
        return None
    key = np.arange(lengths_k.max())
    length_k = lengths_k[:, None, None, None]
    is_masked = key >= length_k  # (num_sequences, 1, 1, longest_k)
    if causal:
        query = np.arange(lengths_q.max())[:, None]
        is_masked = is_masked | (key > query + length_k - lengths_q[:, None, None, None])
    return torch.from_numpy(is_masked * np.float32(-1e30))
