"""Sources by path or URL. A URL is downloaded once, into the cache."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO

from translator.data.files import DataError
from translator.errors import shorten
from translator.file_input import expand_user

_TIMEOUT_SECONDS = 60.0  # without receiving a byte


def is_url(place: str) -> bool:
    """Return True for a URL, False for a path."""
    return place.startswith(("http://", "https://"))


def local_file(place: str) -> Path:
    """Return the path of a file that exists and is not empty.

    Raises:
        DataError: if the file is missing, is not a regular file, or is empty.
    """
    path = expand_user(place)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"A source must be a file that exists. Received: {shorten(str(path))} ({reason}).") from error
    if not stat.S_ISREG(status.st_mode):
        problem = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise DataError(f"A source must be a file that exists. Received: {path} ({problem}).")
    if status.st_size == 0:
        raise DataError(f"A source must contain text. Received: {path}, which is empty.")
    return path


def download(url: str, cache: Path) -> Path:
    """Return the file of a URL from the cache, after downloading it if necessary. It appears complete or not at all.

    Args:
        url: address of the file.
        cache: cache directory; downloads are kept in its folder `downloads`.

    Raises:
        DataError: if the download fails, is incomplete or is empty.
    """
    folder = cache / "downloads"
    name = Path(urllib.parse.urlparse(url).path).name or "index"
    path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".download-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            _fetch(url, file)
        # mkstemp grants access to the owner only, but a cache may be shared.
        Path(temporary).chmod(folder.stat().st_mode & 0o666)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def _fetch(url: str, file: BinaryIO) -> None:
    """Copy the content of a URL into a file."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "translator"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            expected = answer.headers.get("Content-Length")
            while block := answer.read(1 << 20):
                file.write(block)
    except (OSError, ValueError) as error:  # URLError and HTTPError are OSErrors
        raise DataError(
            f"A source by URL must be reachable. Received: {url} ({shorten(str(error))}). "
            "Check the address, or download the file yourself and give its path."
        ) from error
    if expected is not None and file.tell() != int(expected):
        raise DataError(
            f"A download must be complete. Received: {file.tell()} of {expected} bytes of {url}. Try again."
        )
    if file.tell() == 0:
        raise DataError(f"A source must contain text. Received: {url}, which is empty.")
