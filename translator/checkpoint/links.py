"""The links `best` and `last` of a run directory, on file systems with and without symbolic links.

Where symbolic links cannot be created, a link is a text file that holds the relative path of the checkpoint. A tool
that copies directories may replace a link by the folder that it points to, or leave it out.
"""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

from translator.atomic_io import atomic_write, sync
from translator.checkpoint.weights import WEIGHTS_FILE

LINKS = ("best", "last")
_MAX_PATH_BYTES = 4096


def point(run: Path, name: str, checkpoint: Path) -> None:
    """Make the link `name` (`best` or `last`) point to a checkpoint, atomically.

    Raises:
        OSError: if neither a symbolic link nor a file can be created.
    """
    link, target = run / name, checkpoint.relative_to(run)
    if link.is_dir() and not link.is_symlink():
        _remove_copy(run, link)
    temporary = run / f".{name}.partial"
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(target)
    except OSError:  # exFAT, some network file systems
        atomic_write(link, f"{target.as_posix()}\n")
    else:
        temporary.replace(link)
    sync(run)


def follow(run: Path, name: str) -> Path | None:
    """Return the checkpoint that the link `name` points to; None if it is missing or dangling."""
    link = run / name
    if link.is_dir():
        return link.resolve() if link.is_symlink() else link
    if not link.is_file() or link.stat().st_size > _MAX_PATH_BYTES:
        return None
    target = Path(link.read_text(encoding="utf-8", errors="replace").strip())
    is_checkpoint = target.parent == Path("checkpoints") and target.name not in ("", ".", "..")
    return run / target if is_checkpoint and (run / target).is_dir() else None


def _remove_copy(run: Path, folder: Path) -> None:
    """Make room for a link: delete the folder if its weights are those of a checkpoint, otherwise keep it as one."""
    weights = folder / WEIGHTS_FILE
    for other in (run / "checkpoints").glob(f"*/{WEIGHTS_FILE}"):
        if weights.is_file() and filecmp.cmp(weights, other, shallow=False):
            shutil.rmtree(folder)
            return
    kept = run / "checkpoints" / f"{folder.name}-copy"
    shutil.rmtree(kept, ignore_errors=True)
    folder.rename(kept)
