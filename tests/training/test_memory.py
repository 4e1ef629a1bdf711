"""The allocator's habits."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import torch
from pathlib import Path
from translator.training.memory import keep_freed_memory, return_freed_memory

def resident():  # MiB
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

keep_freed_memory()
before = resident()
blocks = [torch.ones(2**20 + 4096 * number) for number in range(60)]  # 4 MiB and more each
full = resident()
blocks = blocks[::6]  # what stays keeps the heap from shrinking
kept = resident()
return_freed_memory()
print(full - before, kept - before, resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how glibc works")
def test_freed_memory_is_kept_until_it_is_returned() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    full, kept, returned = map(float, done.stdout.split())
    assert full > 240
    assert kept > 0.9 * full
    assert returned < 0.4 * full
