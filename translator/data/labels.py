"""Class labels as integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from translator.data.files import DataError
from translator.data.store import IntArray


@dataclass(frozen=True)
class Labels:
    """Encoder of class labels, with the interface of a tokenizer.

    Attributes:
        names: names of the classes, in the order of their numbers.
    """

    names: tuple[str, ...]

    @property
    def vocab_size(self) -> int:
        """Number of classes."""
        return len(self.names)

    def encode_arrays(self, labels: Sequence[str]) -> list[IntArray]:
        """Return the number of each label, as an array with one element.

        Raises:
            DataError: if a label is not one of the classes.
        """
        unknown = sorted(set(labels) - set(self.names))
        if unknown:
            raise DataError(
                f"A label must be one of data.labels: {', '.join(self.names)}. "
                f"Received: {', '.join(map(repr, unknown[:5]))}."
            )
        return [np.array([self.names.index(label)]) for label in labels]
