"""Checkpoints that are sent to rank 0, if rank 0 is on another machine than when they were written.

After a machine is lost, torchrun may number the ranks anew. Without a shared disk, the checkpoints are then on the
machine where rank 0 was before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from translator.atomic_io import atomic_write, new_folder
from translator.checkpoint import step_checkpoints, step_of
from translator.training.parallel import Ranks

_SENT_BYTES = 1 << 26  # at once


def hand_over(run: Path, ranks: Ranks, say: Callable[[str], None]) -> None:
    """Give rank 0 the files of the run that another rank has, if its newest checkpoint is newer. Called by all ranks.

    Args:
        run: run directory of this rank, which may be another than that of rank 0.
        ranks: ranks of the run.
        say: function that shows a line.
    """
    checkpoints = step_checkpoints(run)
    newest = ranks.exchange(step_of(checkpoints[-1]) if checkpoints else -1)
    source = newest.index(max(newest))
    if newest[source] == newest[0]:
        return
    say(f"the checkpoint of step {newest[source]} is sent from rank {source} to rank 0")
    with ranks.together():
        if ranks.rank == source:
            files = [path for path in run.iterdir() if path.is_file() and not path.name.startswith(".")]
            folders = [path for path in (run / "checkpoints").iterdir() if not path.name.startswith(".")]
            ranks.send([path.name for path in files])
            for path in files:
                ranks.send(path.read_bytes())
            ranks.send([path.name for path in folders])
            for folder in folders:
                _send(folder, ranks)
        elif ranks.is_main:
            for name in ranks.receive(source):
                atomic_write(run / name, ranks.receive(source))
            for name in ranks.receive(source):
                with new_folder(run / "checkpoints" / name, is_locked=True, replace=True) as folder:
                    _receive(folder, source, ranks)


def _send(folder: Path, ranks: Ranks) -> None:
    """Send a folder to rank 0: the names of its files, and then their contents in pieces."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    ranks.send([str(path.relative_to(folder)) for path in files])
    for path in files:
        for piece in _pieces(path):
            ranks.send(piece)


def _receive(folder: Path, source: int, ranks: Ranks) -> None:
    """Receive a folder on rank 0."""
    for name in ranks.receive(source):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            while piece := ranks.receive(source):
                file.write(piece)


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield the content of a file in pieces, and then an empty one."""
    with contextlib.closing(path.open("rb")) as file:
        while piece := file.read(_SENT_BYTES):
            yield piece
    yield b""
