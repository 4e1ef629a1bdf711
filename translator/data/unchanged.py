"""Streamed files that must not change during a run: every pass, every rank and a resumed run read the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from translator.data.files import DataError


class UnchangedFiles:
    """Sizes of files at the start of a run. The fingerprint of a stream holds the sizes, too.

    Args:
        paths: existing files.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._sizes = {path: path.stat().st_size for path in paths}

    @contextmanager
    def read(self, paths: Iterable[Path]) -> Iterator[None]:
        """Check files before and after they are read in this block. A change is reported in place of its consequence.

        Raises:
            DataError: if a file has another size than at the start, or is missing.
        """
        paths = list(paths)
        self._check(paths)
        try:
            yield
        except DataError:
            self._check(paths)
            raise
        self._check(paths)

    def _check(self, paths: Iterable[Path]) -> None:
        for path in paths:
            try:
                size = path.stat().st_size
            except OSError as error:
                found = f"{path}, which cannot be found any more ({error.strerror})"
            else:
                if size == self._sizes[path]:
                    continue
                found = f"{path}, of {size:,} bytes and of {self._sizes[path]:,} at the start"
            raise DataError(
                f"A streamed file must not change during a run. Received: {found}. Restore it, then run the same "
                "command again. To train on other data, choose another output."
            )
