from __future__ import annotations

import numpy as np
import pytest

from translator.data.seen import SeenTable


@pytest.mark.parametrize("spread", [1, 2**40])
def test_the_table_finds_what_a_set_finds(spread: int) -> None:
    rng = np.random.default_rng(1)
    table, known = SeenTable(5000), set()
    for _ in range(10):
        hashes = rng.integers(0, 3000, 500).astype(np.uint64) * np.uint64(spread)
        expected = []
        for value in np.maximum(hashes, 1).tolist():
            expected.append(value not in known)
            known.add(value)
        assert table.add(hashes).tolist() == expected
    table.clear()
    assert table.add(np.arange(1, 5001, dtype=np.uint64)).all()


def test_the_table_has_a_fixed_size() -> None:
    table = SeenTable(1_000_000)
    assert 16e6 <= table._slots.nbytes <= 32e6


def test_hashes_that_meet_in_the_last_slot_continue_in_the_first() -> None:
    table = SeenTable(8)  # of 16 slots
    hashes = np.array([15, 31, 47], np.uint64)
    assert table.add(hashes).all() and not table.add(hashes).any()
