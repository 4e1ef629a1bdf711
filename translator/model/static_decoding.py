"""Decoding in static memory, so that CUDA graphs can replay the steps.

A decoding step is about a hundred small kernels, which take longer to launch from Python than to run. A CUDA graph
launches them at once if their inputs have the same addresses every time. So all state that a search changes is in one
`_Workspace`: the caches, which beams access through an index (the ancestry) and which are never copied, the keys and
values of the sources, and the number of filled positions, which the kernels read on the device.

`StaticDecoder` is a `Decodable` like the model that it wraps, with the same results. It works on any device; graphs are
captured on CUDA only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from translator.kernels import decode_attention, decode_cross_attention
from translator.model.base import check_order
from translator.model.encoder_decoder import EncoderDecoder
from translator.packing import Packed

_INITIAL_CAPACITY = 64  # positions; doubled when a translation is longer
_GraphShape = tuple[int, int, int]  # sentences, beams and bound on the source lengths


@dataclass
class StaticState:
    """State of a search; the rest is in the workspace, so a decoder supports one search at a time.

    Attributes:
        search: number of the search.
        sentences: number of sentences still searched.
        beams: rows per sentence.
        position: number of tokens that each row has consumed.
    """

    search: int
    sentences: int
    beams: int
    position: int

    @property
    def rows(self) -> int:
        """Number of rows: one per beam of each sentence."""
        return self.sentences * self.beams


class StaticDecoder:
    """Decoder of a model in static memory, with replayed graphs on CUDA.

    Args:
        model: the model, in evaluation mode.
        backend: attention backend; see `kernels.decode_attention`.
    """

    def __init__(self, model: EncoderDecoder, backend: str = "auto") -> None:
        self.model = model
        self.backend = backend
        self.layers = model.decoder_layers()
        self.search = 0
        self.workspace = _Workspace(self, sentences=0, tokens=0, slots=0, capacity=_INITIAL_CAPACITY)
        self._graphs = _Graphs(model.output_embedding.weight.device)

    @torch.inference_mode()
    def start(self, source: Packed) -> StaticState:
        """Encode source sentences and return the state before their first target token, one row per sentence."""
        memory = self.model.encode(source)
        sentences, space = source.num_sequences, self.workspace
        # The capacity for a long translation is not kept: a large batch of short ones would need too much memory.
        if sentences > space.sentences or len(memory) > space.tokens or space.capacity > _INITIAL_CAPACITY:
            max_sentences, max_tokens = max(space.sentences, sentences), max(space.tokens, len(memory))
            self.workspace = _Workspace(self, _rounded(max_sentences), _rounded(max_tokens), 0, _INITIAL_CAPACITY)
            self._graphs.clear()
        self.workspace.take_sources(memory, source)
        self.search += 1
        return StaticState(self.search, sentences, beams=1, position=0)

    @torch.inference_mode()
    def step(self, tokens: Tensor, state: StaticState) -> Tensor:
        """Consume one token per row and return the logits of the next; see `EncoderDecoder.step`.

        The next step overwrites them.
        """
        assert state.search == self.search, "A decoder supports one search at a time."
        padded = self._padded(state.sentences) * state.beams
        self._grow(padded, state.position + 1)
        space = self.workspace
        space.tokens_taken[: len(tokens)] = tokens
        logits = self._run(padded, state.beams)
        state.position += 1
        return logits[: len(tokens)]

    @torch.inference_mode()
    def reorder(self, state: StaticState, rows: Tensor, sentences: Sequence[int] | None = None) -> StaticState:
        """Replace row i by row `rows[i]`; see `EncoderDecoder.reorder`. Copies four bytes per row and position."""
        check_order(rows, state.rows, state.sentences, sentences)
        kept = state.sentences if sentences is None else len(sentences)
        beams = len(rows) // max(1, kept)
        self._grow(self._padded(kept) * beams, state.position)
        self.workspace.ancestry[: len(rows)] = self.workspace.ancestry[rows]
        if sentences is not None:
            self.workspace.keep_sources(sentences)
        return StaticState(state.search, kept, beams, state.position)

    def _padded(self, sentences: int) -> int:
        """Return the number of sentences rounded up, so that few graphs are captured."""
        return min(_rounded(sentences), self.workspace.sentences)

    def _grow(self, slots: int, positions: int) -> None:
        """Replace a workspace that is too small by a larger copy, and drop the graphs, which contain its addresses."""
        old = self.workspace
        if slots > old.slots or positions > old.capacity:
            capacity = old.capacity * (2 if positions > old.capacity else 1)
            self.workspace = _Workspace(self, old.sentences, old.tokens, max(slots, old.slots), capacity)
            self.workspace.copy(old)
            self._graphs.clear()

    def _run(self, rows: int, beams: int) -> Tensor:
        """Run one step: the first of a shape in eager mode, the second captured in a graph, later ones replayed."""
        space = self.workspace
        shape = (rows // beams, beams, space.longest_source)
        self._graphs.run(shape, lambda: space.advance(rows, beams))
        return space.logits[:rows]


class _Workspace:
    """Memory of a `StaticDecoder`, and the step that uses it.

    Attributes:
        sentences: maximum number of sentences.
        tokens: maximum number of source tokens.
        slots: maximum number of rows.
        capacity: maximum number of positions.
        longest_source: bound on the lengths of the current sources, in tokens.
        tokens_taken: `(slots,)` int64, tokens of the step.
        logits: `(slots, target_vocab_size)`, logits of the last step.
        length: `(1,)` int32, number of filled positions.
        ancestry: `(slots, capacity)` int32, slot of each position in the history of each row.
        starts: `(sentences,)` int32, first source token of each sentence.
        lengths: `(sentences,)` int32, number of its source tokens; 0 for unused entries.
    """

    def __init__(self, decoder: StaticDecoder, sentences: int, tokens: int, slots: int, capacity: int) -> None:
        self.decoder, self.sentences, self.tokens, self.slots, self.capacity = (
            decoder,
            sentences,
            tokens,
            slots,
            capacity,
        )
        self.longest_source = 0
        weight = decoder.model.output_embedding.weight
        self.tokens_taken = torch.zeros(slots, dtype=torch.int64, device=weight.device)
        self.logits = weight.new_empty(slots, len(weight))
        self.length = torch.zeros(1, dtype=torch.int32, device=weight.device)
        self.ancestry = torch.zeros(slots, capacity, dtype=torch.int32, device=weight.device)
        self.starts, self.lengths = torch.zeros(2, sentences, dtype=torch.int32, device=weight.device).unbind()
        self.caches, self.memories = [], []
        for layer in decoder.layers:
            heads, head_dim = layer.self_attention.num_heads, layer.self_attention.head_dim
            cache = weight.new_zeros(2, capacity, slots, heads, head_dim)
            self.caches.append(_IndexedCache(self, cache[0], cache[1]))
            memory = weight.new_zeros(2, tokens, heads, head_dim)
            self.memories.append(_PackedMemory(self, memory[0], memory[1]))

    def take_sources(self, memory: Tensor, source: Packed) -> None:
        """Compute keys and values of the encoder's output, `(num_tokens, d_model)`, per layer; reset the search."""
        self.longest_source = _rounded(source.max_seqlen, minimum=64)
        for layer, place in zip(self.decoder.layers, self.memories, strict=True):
            assert layer.cross_attention is not None
            keys, values = layer.cross_attention.keys_and_values(memory)
            place.keys[: len(memory)], place.values[: len(memory)] = keys, values
        self._set_sources(source.cu_seqlens[:-1], source.lengths)
        self.length.zero_()

    def keep_sources(self, sentences: Sequence[int]) -> None:
        """Drop all other sentences; their keys and values are no longer read."""
        chosen = torch.tensor(sentences, dtype=torch.int64, device=self.starts.device)
        self._set_sources(self.starts[chosen], self.lengths[chosen])

    def _set_sources(self, starts: Tensor, lengths: Tensor) -> None:
        self.starts.zero_()
        self.lengths.zero_()
        self.starts[: len(starts)], self.lengths[: len(lengths)] = starts, lengths

    def copy(self, old: _Workspace) -> None:
        """Copy the content of a smaller workspace."""
        self.longest_source = old.longest_source
        self.length.copy_(old.length)
        self.ancestry[: old.slots, : old.capacity] = old.ancestry
        self.starts[: old.sentences], self.lengths[: old.sentences] = old.starts, old.lengths
        for mine, others in zip(self.caches, old.caches, strict=True):
            mine.keys[: old.capacity, : old.slots] = others.keys
            mine.values[: old.capacity, : old.slots] = others.values
        for memory, other in zip(self.memories, old.memories, strict=True):
            memory.keys[: old.tokens], memory.values[: old.tokens] = other.keys, other.values

    def advance(self, rows: int, beams: int) -> None:
        """Compute the logits of the first `rows` rows, `beams` per sentence, without synchronization with the host."""
        position = self.length.long()  # (1,)
        self.length.add_(1)
        own_slot = torch.arange(rows, dtype=torch.int32, device=self.ancestry.device)
        self.ancestry[:rows].index_copy_(1, position, own_slot[:, None])
        for memory in self.memories:
            memory.sentences = rows // beams
        model = self.decoder.model
        hidden = model.next_hidden(self.tokens_taken[:rows], position, self.caches, self.memories)
        weight, bias = model.output_embedding.weight, model.output_bias
        if bias is None:
            torch.mm(hidden, weight.T, out=self.logits[:rows])
        else:
            torch.addmm(bias, hidden, weight.T, out=self.logits[:rows])


@dataclass
class _IndexedCache:
    """Keys and values of one layer, `(capacity, slots, heads, head_dim)`; row i writes to slot i."""

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
    """Keys and values of the source tokens for one layer, `(tokens, heads, head_dim)`."""

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


class _Graphs:
    """Captured steps of one workspace.

    They share one memory pool, since they never run at the same time and nothing in it outlives a step: the logits are
    in the workspace. A pool for each would hold its own copy of all hidden states.

    Args:
        device: device of the workspace. Torch captures on a stream of the current device by default; the graph of a
            step on another device would be empty, and its replays would change nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        self._pool: Any = None
        self._graphs: dict[_GraphShape, torch.cuda.CUDAGraph | None] = {}  # None: run once, as a warm-up

    def clear(self) -> None:
        """Drop all graphs. A pool without graphs cannot be captured into again."""
        self._graphs.clear()
        self._pool = None

    def run(self, shape: _GraphShape, step: Callable[[], None]) -> None:
        """Run a step: the first of a shape in eager mode, the second captured in a graph, later ones replayed."""
        if self._device.type != "cuda" or shape not in self._graphs:
            self._graphs[shape] = None
            step()
            return
        with torch.cuda.device(self._device):
            graph = self._graphs[shape] or self._captured(step)
            self._graphs[shape] = graph
            graph.replay()

    def _captured(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        self._stream = self._stream or torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # other threads may use CUDA meanwhile
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            step()
        return graph


def _rounded(size: int, minimum: int = 1) -> int:
    """Round up to 4 to 7 times a power of two, so that sizes are few and at most a quarter too large."""
    size = max(size, minimum)
    unit = 1 << max(0, size.bit_length() - 3)
    return -(-size // unit) * unit
