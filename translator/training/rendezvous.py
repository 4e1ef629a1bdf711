"""The connection of a rank to the key-value store by which the ranks of a run find each other."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from translator.errors import shorten
from translator.ranks import Rank, RankError

JOIN_TIMEOUT = timedelta(seconds=45)  # between the first and the last rank that starts
# To a store that has answered. If rank 0 then ends, torch tries again, for about twice this time in all.
_CONNECT_TIMEOUT = timedelta(seconds=15)
_PAUSE = 0.2  # seconds between two attempts to reach rank 0


def join_store(place: Rank) -> tuple[Store, Store]:
    """Connect to the store of a run, which rank 0 or torchrun holds.

    Args:
        place: place of this process, of several.

    Returns:
        The store; and one for the heartbeat, which has a connection of its own: on a shared one, a count would wait
        while the main thread waits for a key.

    Raises:
        RankError: if torchrun has not started this process, or a rank does not start in time.
    """
    if place.rank:
        _wait_for_main()
    try:
        timeout = _CONNECT_TIMEOUT if place.rank else JOIN_TIMEOUT
        store, _, _ = next(iter(rendezvous("env://", timeout=timeout)))
        store.set_timeout(_CONNECT_TIMEOUT)
        beats = PrefixStore("heartbeats", store.clone())
        store.set_timeout(JOIN_TIMEOUT)
    except ValueError as error:
        raise RankError(f"Several ranks must be started with torchrun ({error}).") from error
    except dist.DistError as error:
        raise never_came(f"of {place.world_size} ranks, {shorten(str(error).splitlines()[0])}") from error
    return store, beats


def _wait_for_main() -> None:
    """Wait until rank 0, or torchrun, accepts connections. torch alone would try for up to twice its timeout."""
    address, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT", "")
    if address is None or not port.isdigit():
        return  # `rendezvous` says so
    end = time.monotonic() + JOIN_TIMEOUT.total_seconds()
    while True:
        try:
            socket.create_connection((address, int(port)), timeout=max(_PAUSE, end - time.monotonic())).close()
            return
        except (OSError, OverflowError) as error:
            if time.monotonic() > end:
                raise never_came(f"no answer of rank 0 at {address}:{port} ({error})") from error
        time.sleep(_PAUSE)


def never_came(what: str) -> RankError:
    """Return the error to raise if a rank does not start in time."""
    return RankError(
        f"All ranks must start within {JOIN_TIMEOUT.total_seconds():.0f} seconds. Received: {what.rstrip('.')}. "
        "Start the same command on every machine, and see its messages there."
    )


def code_fingerprint(folder: Path) -> str:
    """Return a hash of the source files of a package, given its folder."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)} ".encode() + path.read_bytes())
    return digest.hexdigest()
