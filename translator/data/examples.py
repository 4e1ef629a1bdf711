"""The interface between a corpus and the batches made of it: examples in a fixed order, read a chunk at a time."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from translator.data.cleaning import SourceReport
from translator.data.objectives import Objective
from translator.data.store import IntArray, Ragged

# A place in the endless sequence of examples: plain values that only the reader that made it interprets.
Position = list[Any]

_DTYPE = np.int32  # of the tokens of a chunk


@dataclass(frozen=True)
class Chunk:
    """Consecutive examples.

    Attributes:
        source: tokens of each source, without special tokens.
        target: tokens of each target, without special tokens.
        specials: number of special tokens that each source and each target will get.
        links: links between the tokens of each source and target, flat, source first; None if there are no alignments.
    """

    source: Ragged
    target: Ragged
    specials: tuple[int, int]
    links: Ragged | None = None

    @classmethod
    def empty(cls, specials: tuple[int, int]) -> Chunk:
        """Return a chunk without examples."""
        return cls(Ragged.of_rows([], _DTYPE), Ragged.of_rows([], _DTYPE), specials)

    @classmethod
    def of_rows(cls, rows: tuple[Ragged, ...], specials: tuple[int, int]) -> Chunk:
        """Return a chunk of sources, targets and, with alignments, links."""
        source, target, *links = rows
        return cls(source, target, specials, links[0] if links else None)

    def __len__(self) -> int:
        return len(self.source)

    @property
    def lengths(self) -> tuple[IntArray, IntArray]:
        """Tokens of each source and of each target, special tokens included: two `(n,)` int64 arrays."""
        return self.source.lengths + self.specials[0], self.target.lengths + self.specials[1]

    def take(self, rows: IntArray) -> Chunk:
        """Return these rows, in this order."""
        links = None if self.links is None else self.links.take(rows)
        return replace(self, source=self.source.take(rows), target=self.target.take(rows), links=links)

    def append(self, other: Chunk) -> Chunk:
        """Return the examples of both chunks, one after the other."""
        links = other.links
        if self.links is not None and links is not None:
            links = self.links.append(links)
        return replace(
            self, source=self.source.append(other.source), target=self.target.append(other.target), links=links
        )

    def state_dict(self) -> dict[str, str]:
        """Return the examples by value: arrays as the base64 text of little-endian int32."""
        rows = {"source": self.source, "target": self.target} | ({} if self.links is None else {"links": self.links})
        arrays = {name: each.values for name, each in rows.items()}
        arrays |= {f"{name}_lengths": each.lengths for name, each in rows.items()}
        return {name: base64.b64encode(array.astype("<i4").tobytes()).decode() for name, array in arrays.items()}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, str], specials: tuple[int, int]) -> Chunk:
        """Return the chunk whose `state_dict` this is."""
        arrays = {name: np.frombuffer(base64.b64decode(data), "<i4").astype(_DTYPE) for name, data in state.items()}
        rows = tuple(
            Ragged.of_lengths(arrays[name], arrays[f"{name}_lengths"].astype(np.int64))
            for name in ("source", "target", "links")
            if name in arrays
        )
        return cls.of_rows(rows, specials)


@dataclass(frozen=True)
class Sharing:
    """Division of the reading among the ranks of a run: each reads one chunk of a round, and they exchange them.

    Attributes:
        rank: number of this rank.
        world_size: number of ranks.
        exchange: function that reads the chunk of this rank by its argument, sends it, and returns the chunks of all
            ranks in order. All ranks call it equally often. An error of one rank ends all of them.
    """

    rank: int
    world_size: int
    exchange: Callable[[Callable[[], Chunk]], list[Chunk]]


class ExampleReader(Protocol):
    """An endless iterator over the chunks of all epochs, in an order that the seed decides.

    A round is a number of consecutive chunks, one for each reader that shares the work. A reader returns its own chunk
    of each round, and skips the others without making their tokens.

    Attributes:
        position: beginning of the next round.
        ends: end of each chunk of the last round.
    """

    position: Position
    ends: list[Position]

    def __next__(self) -> Chunk:
        """Return this reader's chunk of the next round. Examples longer than the limits are left out."""

    def seek(self, position: Position) -> None:
        """Continue at a position of any reader of the same examples and seed."""

    def close(self) -> None:
        """Stop worker processes."""


class Examples(Protocol):
    """Training examples of one objective."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that the examples and their mixture depend on."""

    @property
    def objective(self) -> Objective:
        """Objective of the examples."""

    @property
    def length_ratio(self) -> float:
        """Source tokens per target token, special tokens included."""

    @property
    def mean_target_length(self) -> float:
        """Mean number of target tokens of an example, special tokens included."""

    @property
    def max_positions(self) -> int:
        """Upper bound on the positions of the model that an example takes."""

    def report(self, limits: tuple[int, int]) -> tuple[SourceReport, ...]:
        """Return the numbers of rows read, dropped and kept per source, if examples above the limits are left out.

        Args:
            limits: maximum number of tokens of a source and of a target, special tokens included.
        """

    def read(self, seed: int, limits: tuple[int, int], workers: int, share: tuple[int, int] = (0, 1)) -> ExampleReader:
        """Return a reader at the beginning of the first epoch.

        Args:
            seed: random seed of the order.
            limits: maximum number of tokens of a source and of a target, special tokens included; longer examples are
                left out.
            workers: number of worker processes that prepare chunks ahead; 0 uses this process.
            share: number of the chunk that the reader returns of each round, from 0, and number of chunks of a round.
        """
