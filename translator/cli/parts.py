"""The parts of an output that several ranks write: each survives a kill, and the last rank to finish joins them.

Beside the output `NAME` lies the folder `NAME.parts`:

    00000, 00001, …            the part of each rank, appended to
    00000.json, 00001.json, …  how far it is: bytes of input that are done, and bytes of the part that they gave
    finished                   one line of JSON per rank that is done, written under a lock

When the output is complete, the folder is deleted, and `NAME.parts.json` records the job, so that a rank that starts
once more does nothing. Ranks do not communicate otherwise: they may run at different times.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from translator.atomic_io import atomic_write
from translator.cli.streams import StreamError, full_disk_named, open_output, unwritable
from translator.errors import UserError, shorten
from translator.file_input import expand_user
from translator.ranks import Rank

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class PartError(UserError):
    """Parts of an output that do not belong together, or are written by another process."""


@dataclass(frozen=True)
class Progress:
    """Progress of a rank through its part.

    Attributes:
        job: everything that the output depends on, by name.
        input_offset: offset of the first byte of input that is not done.
        stop: offset at which the input of the part ends.
        line: number of the next line of the input.
        size: bytes of the part so far; what follows them was written before a kill and is dropped.
        flags: number of lines with each flag, or other key that is counted.
        is_finished: True if the part is complete.
    """

    job: dict[str, str]
    input_offset: int
    stop: int
    line: int = 0
    size: int = 0
    flags: dict[str, int] = field(default_factory=dict)
    is_finished: bool = False


class Parts:
    """The parts of one output.

    Args:
        output: path of the output.
        rank: place of this process.
        job: everything that the output depends on, by name.

    Raises:
        StreamError: if the output is not a file, or cannot be written.
    """

    def __init__(self, output: str, rank: Rank, job: Mapping[str, str]) -> None:
        self._output = expand_user(output).resolve()
        if self._output.exists() and not self._output.is_file():
            raise StreamError(f"Several ranks require that --output is a file. Received: {output}.")
        self._rank, self._job = rank, dict(job)
        self._folder = self._output.with_name(f"{self._output.name}.parts")
        self._joined = self._output.with_name(f"{self._output.name}.parts.json")
        self._path = self._folder / f"{rank.rank:05}"
        self._record = self._folder / f"{rank.rank:05}.json"

    def is_joined(self) -> bool:
        """Return True if an earlier start of this job has written the output; delete what it left over."""
        known = _read_json(self._joined)
        if known is None or known != self._description_of_output():
            return False
        self._delete()
        return True

    @contextmanager
    def opened(self) -> Iterator[tuple[BinaryIO, Progress | None]]:
        """Yield the part of this rank, at its end, and how far it is; None if it has not begun.

        Raises:
            PartError: if the folder has parts of another job, or another process writes this part.
            StreamError: if the folder cannot be written.
        """
        try:
            self._folder.mkdir(exist_ok=True)
            self._require_same_job()
            file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
        except OSError as error:
            raise unwritable(str(self._output), error) from error
        with full_disk_named(str(self._output)), file:
            self._lock_part(file)
            known = _read_json(self._record)
            progress = Progress(**known) if known else None
            if progress is not None and progress.size > file.seek(0, os.SEEK_END):  # the part was damaged
                progress = None
            size = progress.size if progress is not None else 0
            file.truncate(size)
            file.seek(size)
            yield file, progress

    def save(self, file: BinaryIO, progress: Progress) -> Progress:
        """Make what was written durable; return the progress with the size of the part."""
        file.flush()
        os.fsync(file.fileno())
        progress = replace(progress, size=file.tell())
        atomic_write(self._record, json.dumps(asdict(progress)))
        return progress

    def finish(self, progress: Progress) -> Counter[str] | None:
        """Record that the part of this rank is complete; join the parts if those of all ranks are.

        Returns:
            The number of lines with each key, if this rank joined the parts.

        Raises:
            PartError: if a part is of another job, or is gone.
        """
        if self.is_joined():
            return None
        with self._locked("finished") as file:
            if not (self._folder / "finished").exists():  # another rank joined the parts and deleted them
                return None
            entry = json.dumps(asdict(progress) | {"rank": self._rank.rank})
            found = _finished(file.read())
            if found.get(self._rank.rank) != progress:
                file.write(f"\n{entry}\n".encode())  # after the incomplete line of a killed process, if there is one
                file.flush()
                os.fsync(file.fileno())
                found[self._rank.rank] = progress
            if set(found) != set(range(self._rank.world_size)):
                return None
            self._join([found[rank] for rank in range(self._rank.world_size)])
        self._delete()
        return sum((Counter(each.flags) for each in found.values()), start=Counter())

    def _join(self, found: list[Progress]) -> None:
        """Write the output from complete parts."""
        paths = [self._folder / f"{rank:05}" for rank in range(len(found))]
        for path, progress in zip(paths, found, strict=True):
            _require_job(progress.job, self._job, self._folder)
            if not path.is_file() or path.stat().st_size != progress.size:
                raise PartError(
                    f"{path} must be complete, and is not. Delete {self._folder} and run the same command again."
                )
        with open_output(str(self._output), []) as output:
            for path in paths:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, output, 1 << 20)
            output.flush()
            os.fsync(output.fileno())
        atomic_write(self._joined, json.dumps(self._description_of_output()))

    def _description_of_output(self) -> dict[str, Any] | None:
        if not self._output.is_file():
            return None
        state = self._output.stat()
        return {"job": self._job, "size": state.st_size, "modified": state.st_mtime_ns}

    def _require_same_job(self) -> None:
        """Raise PartError if the folder has a part of another job."""
        for path in sorted(self._folder.glob("[0-9]*.json")):
            known = _read_json(path)
            if known is not None:
                _require_job(known["job"], self._job, self._folder)

    def _lock_part(self, file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PartError(
                f"{self._path} is written by another process, which is rank {self._rank.rank}, too. Wait until it "
                "ends, or stop it."
            ) from error
        except OSError as error:
            _warn_of_missing_locks(error, self._folder)

    @contextmanager
    def _locked(self, name: str) -> Iterator[BinaryIO]:
        """Yield a file of the folder, which no other process holds meanwhile."""
        try:
            file = (self._folder / name).open("a+b")
        except FileNotFoundError:  # the folder was joined and deleted
            with open(os.devnull, "a+b") as nothing:  # noqa: PTH123
                yield nothing
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                _warn_of_missing_locks(error, self._folder)
            file.seek(0)
            yield file

    def _delete(self) -> None:
        """Delete the folder; first its name, so that no half of it is ever taken for the parts of a job."""
        hidden = self._folder.with_name(f".{self._folder.name}.{os.urandom(8).hex()}.partial")
        with suppress(FileNotFoundError):
            self._folder.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)


def _finished(content: bytes) -> dict[int, Progress]:
    """Return the entries of the ranks that are done; a line that a kill cut off is passed over."""
    entries = {}
    for line in content.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        rank = entry.pop("rank")
        entries[rank] = Progress(**entry)
    return entries


def _require_job(known: Mapping[str, str], job: Mapping[str, str], folder: Path) -> None:
    changes = [
        f"{name}: {shorten(known.get(name, 'none'))} -> {shorten(job.get(name, 'none'))}"
        for name in dict.fromkeys((*known, *job))
        if known.get(name) != job.get(name)
    ]
    if changes:
        raise PartError(
            "All ranks, and a rank that starts again, must have the same input, model, options and number of ranks. "
            f"Received: {'; '.join(changes)}. Run the command that began {folder}, or delete this folder."
        )


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _warn_of_missing_locks(error: OSError, folder: Path) -> None:
    """Warn of a file system without locks; raise any other error."""
    if error.errno not in _NO_LOCKS:
        raise error
    print(f"translator: {folder} cannot be locked: run no rank twice at the same time.", file=sys.stderr)
