"""The classes of a classifier, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from translator.data.files import DataError
from translator.data.store import IntArray


@dataclass(frozen=True)
class Labels:
    """Makes numbers of labels, as a tokenizer does of text.

    Attributes:
        names: of the classes, in the order of their numbers.
    """

    names: tuple[str, ...]

    @property
    def vocab_size(self) -> int:
        """How many there are."""
        return len(self.names)

    def encode_arrays(self, labels: Sequence[str]) -> list[IntArray]:
        """The number of each label, as an array of one.

        Raises:
            DataError: a label has none.
        """
        unknown = sorted(set(labels) - set(self.names))
        if unknown:
            raise DataError(
                f"A label must be one of data.labels: {', '.join(self.names)}. "
                f"Received: {', '.join(map(repr, unknown[:5]))}."
            )
        return [np.array([self.names.index(label)]) for label in labels]
