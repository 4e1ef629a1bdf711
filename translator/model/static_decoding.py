"""Decoding a model step by step in memory that stays where it is, so that CUDA graphs can replay the steps.

A step of decoding is some hundred small kernels; launching them from Python takes longer than running them. A CUDA
graph launches them at once, if they find their inputs at the same addresses every time. So everything that a search
changes lies in one `_Workspace`: the caches, which beams reach through an index (the ancestry) and which nothing ever
copies, the keys and values of the sources, and the number of positions filled, which the kernels read on the device.

`StaticDecoder` is a `Decodable` like the model that it wraps and gives what the model gives. It works on any device;
without CUDA nothing is captured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from translator.kernels import decode_attention, decode_cross_attention
from translator.model.base import check_order
from translator.model.models import EncoderDecoder
from translator.packing import Packed

_FIRST_ROOM = 64  # positions; doubled where a translation grows beyond
_SHAPE = tuple[int, int, int]  # sentences, beams and bound on the sources' lengths that a graph was captured for


@dataclass
class StaticState:
    """Where a search stands; the rest is in the workspace, so that a decoder serves one search at a time.

    Attributes:
        search: number of the search.
        sentences: how many are still searched.
        beams: rows of each.
        position: tokens that each row has taken.
    """

    search: int
    sentences: int
    beams: int
    position: int

    @property
    def rows(self) -> int:
        return self.sentences * self.beams


class StaticDecoder:
    """Steps a model through static memory, on CUDA by replaying graphs.

    Args:
        model: in evaluation mode.
        backend: of attention; see `kernels.decode_attention`.
    """

    def __init__(self, model: EncoderDecoder, backend: str = "auto") -> None:
        self.model = model
        self.backend = backend
        self.layers = model.decoder_layers()
        self.search = 0
        self.workspace = _Workspace(self, sentences=0, tokens=0, slots=0, room=_FIRST_ROOM)
        self._graphs: dict[_SHAPE, _Graph | None] = {}  # None: seen once, and run to warm up

    @torch.inference_mode()
    def start(self, source: Packed) -> StaticState:
        """Encode source sentences and stand before their first target token, one row for each sentence."""
        memory = self.model.encode(source)
        sentences, space = source.num_sequences, self.workspace
        # A long translation's room is not kept: times the rows of a batch of short ones it would be much.
        if sentences > space.sentences or len(memory) > space.tokens or space.room > _FIRST_ROOM:
            most_sentences, most_tokens = (max(space.sentences, sentences), max(space.tokens, len(memory)))
            self.workspace = _Workspace(self, _rounded(most_sentences), _rounded(most_tokens), 0, _FIRST_ROOM)
            self._graphs.clear()
        self.workspace.take_sources(memory, source)
        self.search += 1
        return StaticState(self.search, sentences, beams=1, position=0)

    @torch.inference_mode()
    def step(self, tokens: Tensor, state: StaticState) -> Tensor:
        """Take one token a row and score the next; see `EncoderDecoder.step`."""
        assert state.search == self.search, "A decoder serves one search at a time."
        padded = self._padded(state.sentences) * state.beams
        self._make_room(padded, state.position + 1)
        space = self.workspace
        space.tokens_taken[: len(tokens)] = tokens
        logits = self._run(padded, state.beams)
        state.position += 1
        return logits[: len(tokens)]

    @torch.inference_mode()
    def reorder(self, state: StaticState, rows: Tensor, sentences: Sequence[int] | None = None) -> StaticState:
        """Make row i what row `rows[i]` was; see `EncoderDecoder.reorder`. Copies four bytes a row and position."""
        check_order(rows, state.rows, state.sentences, sentences)
        kept = state.sentences if sentences is None else len(sentences)
        beams = len(rows) // max(1, kept)
        self._make_room(self._padded(kept) * beams, state.position)
        self.workspace.ancestry[: len(rows)] = self.workspace.ancestry[rows]
        if sentences is not None:
            self.workspace.keep_sources(sentences)
        return StaticState(state.search, kept, beams, state.position)

    def _padded(self, sentences: int) -> int:
        """So many sentences, and some empty places: a graph serves few numbers of them."""
        return min(_rounded(sentences), self.workspace.sentences)

    def _make_room(self, slots: int, positions: int) -> None:
        """A larger workspace, where need be, that holds what the old one held; graphs know its addresses, and go."""
        old = self.workspace
        if slots > old.slots or positions > old.room:
            room = old.room * (2 if positions > old.room else 1)
            self.workspace = _Workspace(self, old.sentences, old.tokens, max(slots, old.slots), room)
            self.workspace.copy(old)
            self._graphs.clear()

    def _run(self, rows: int, beams: int) -> Tensor:
        """One step of so many rows: the first of a shape as Python launches it, the second captured, then replayed."""
        space = self.workspace
        shape = (rows // beams, beams, space.longest_source)
        if not space.ancestry.is_cuda or shape not in self._graphs:
            self._graphs[shape] = None
            return space.advance(rows, beams)
        graph = self._graphs[shape] or _Graph(space, rows, beams)
        self._graphs[shape] = graph
        return graph.replay()


class _Workspace:
    """The memory of a `StaticDecoder`, and the step that works in it.

    Attributes:
        sentences: most sentences.
        tokens: most source tokens.
        slots: most rows.
        room: most positions.
        longest_source: bound on the lengths of the present sources, in tokens.
        tokens_taken: `(slots,)` int64, the tokens of the step.
        length: `(1,)` int32, positions filled.
        ancestry: `(slots, room)` int32, slot that holds each position of each row's history.
        starts: `(sentences,)` int32, where each sentence begins among the source tokens.
        lengths: `(sentences,)` int32, how many it has; 0 for places without a sentence.
    """

    def __init__(self, decoder: StaticDecoder, sentences: int, tokens: int, slots: int, room: int) -> None:
        self.decoder, self.sentences, self.tokens, self.slots, self.room = decoder, sentences, tokens, slots, room
        self.longest_source = 0
        weight = decoder.model.output_embedding.weight
        self.tokens_taken = torch.zeros(slots, dtype=torch.int64, device=weight.device)
        self.length = torch.zeros(1, dtype=torch.int32, device=weight.device)
        self.ancestry = torch.zeros(slots, room, dtype=torch.int32, device=weight.device)
        self.starts, self.lengths = torch.zeros(2, sentences, dtype=torch.int32, device=weight.device).unbind()
        self.caches, self.memories = [], []
        for layer in decoder.layers:
            heads, head_dim = layer.self_attention.num_heads, layer.self_attention.head_dim
            cache = weight.new_zeros(2, room, slots, heads, head_dim)
            self.caches.append(_IndexedCache(self, cache[0], cache[1]))
            memory = weight.new_zeros(2, tokens, heads, head_dim)
            self.memories.append(_PackedMemory(self, memory[0], memory[1]))

    def take_sources(self, memory: Tensor, source: Packed) -> None:
        """Make keys and values of the encoder's output, `(num_tokens, d_model)`, for each layer; forget all else."""
        self.longest_source = _rounded(source.max_seqlen, least=64)
        for layer, place in zip(self.decoder.layers, self.memories, strict=True):
            assert layer.cross_attention is not None
            keys, values = layer.cross_attention.keys_and_values(memory)
            place.keys[: len(memory)], place.values[: len(memory)] = keys, values
        self._set_sources(source.cu_seqlens[:-1], source.lengths)
        self.length.zero_()

    def keep_sources(self, sentences: Sequence[int]) -> None:
        """Let the other sentences go; their keys and values stay where they are, and nobody reads them."""
        chosen = torch.tensor(sentences, dtype=torch.int64, device=self.starts.device)
        self._set_sources(self.starts[chosen], self.lengths[chosen])

    def _set_sources(self, starts: Tensor, lengths: Tensor) -> None:
        self.starts.zero_()
        self.lengths.zero_()
        self.starts[: len(starts)], self.lengths[: len(lengths)] = starts, lengths

    def copy(self, old: _Workspace) -> None:
        """Take over what a smaller workspace holds."""
        self.longest_source = old.longest_source
        self.length.copy_(old.length)
        self.ancestry[: old.slots, : old.room] = old.ancestry
        self.starts[: old.sentences], self.lengths[: old.sentences] = old.starts, old.lengths
        for mine, others in zip(self.caches, old.caches, strict=True):
            mine.keys[: old.room, : old.slots] = others.keys
            mine.values[: old.room, : old.slots] = others.values
        for memory, other in zip(self.memories, old.memories, strict=True):
            memory.keys[: old.tokens], memory.values[: old.tokens] = other.keys, other.values

    def advance(self, rows: int, beams: int) -> Tensor:
        """One step of the first `rows` rows, `beams` for a sentence; nothing in it asks the host.

        Returns:
            `(rows, target_vocab_size)` logits in the model's dtype.
        """
        position = self.length.long()  # (1,)
        self.length.add_(1)
        own_slot = torch.arange(rows, dtype=torch.int32, device=self.ancestry.device)
        self.ancestry[:rows].index_copy_(1, position, own_slot[:, None])
        for memory in self.memories:
            memory.sentences = rows // beams
        return self.decoder.model.score(self.tokens_taken[:rows], position, self.caches, self.memories)


@dataclass
class _IndexedCache:
    """One layer's keys and values, `(room, slots, heads, head_dim)`; a row writes to the slot of its own number."""

    space: _Workspace
    keys: Tensor
    values: Tensor

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """See `attention.Cache`."""
        rows, space = len(queries), self.space
        queries, keys, values = (x.to(self.keys.dtype) for x in (queries, keys, values))
        position = space.length.long() - 1
        self.keys[:, :rows].index_copy_(0, position, keys[None])
        self.values[:, :rows].index_copy_(0, position, values[None])
        ancestry, backend = space.ancestry[:rows], space.decoder.backend
        return decode_attention(queries, self.keys, self.values, space.length, ancestry, scale=scale, backend=backend)


@dataclass
class _PackedMemory:
    """One layer's keys and values of the source tokens, `(tokens, heads, head_dim)`."""

    space: _Workspace
    keys: Tensor
    values: Tensor
    sentences: int = 0

    def attend(self, queries: Tensor, scale: float) -> Tensor:
        """See `attention.Memory`."""
        space = self.space
        starts, lengths = space.starts[: self.sentences], space.lengths[: self.sentences]
        bound, backend = space.longest_source, space.decoder.backend
        return decode_cross_attention(
            queries.to(self.keys.dtype), self.keys, self.values, starts, lengths, bound, scale=scale, backend=backend
        )


class _Graph:
    """A captured step."""

    def __init__(self, space: _Workspace, rows: int, beams: int) -> None:
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):  # other threads may go on using CUDA
            self.logits = space.advance(rows, beams)

    def replay(self) -> Tensor:
        """Run the step; its logits are overwritten by the next."""
        self.graph.replay()
        return self.logits


def _rounded(size: int, least: int = 1) -> int:
    """Up to a number with three leading bits, 4 to 7 times a power of two: few sizes, at most a quarter too large."""
    size = max(size, least)
    unit = 1 << max(0, size.bit_length() - 3)
    return -(-size // unit) * unit
