"""Gradients that are summed over the ranks during the backward pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from launching import environment

from translator.training.gradient_sum import GradientSum
from translator.training.parallel import Ranks

# Run by each of two ranks. The expected gradients are those of one process that computes the batches of both.
TWO_RANKS = """
import copy
import torch
from translator.training import gradient_sum
from translator.training.gradient_sum import GradientSum
from translator.training.parallel import Ranks

ranks = Ranks.join()

def make(bucket_bytes):
    gradient_sum._BUCKET_BYTES = bucket_bytes
    torch.manual_seed(0)
    model = torch.nn.Sequential(*[torch.nn.Linear(3, 3) for _ in range(3)])
    model.unused = torch.nn.Parameter(torch.zeros(2))
    return model, copy.deepcopy(model), GradientSum(list(model.parameters()), ranks)

def loss(model, rank, number):
    return model(torch.full((4, 3), 1.0 + rank + 2 * number)).pow(2).sum()

def check(model, plain):
    for number in range(2):
        for rank in range(2):
            loss(plain, rank, number).backward()
    for own, expected in zip(model.parameters(), plain.parameters(), strict=True):
        assert (own.grad is None) == (expected.grad is None)
        if own.grad is not None:
            torch.testing.assert_close(own.grad, expected.grad)
    model.zero_grad()
    plain.zero_grad()

for bucket_bytes, least in ((1, 4), (48, 2), (10**9, 0)):
    model, plain, sums = make(bucket_bytes)
    seen = []  # buckets sent when the first layer, the last in the backward pass, has its gradient
    model[0].weight.register_post_accumulate_grad_hook(lambda _: seen.append(sums._num_sent))
    for step in range(2):
        for number in range(2):
            with sums.last_pass(number == 1):
                loss(model, ranks.rank, number).backward()
        sums.finish()
        check(model, plain)
    assert seen[0] == seen[2] == 0 and min(seen[1], seen[3]) >= least, (bucket_bytes, seen)

# On one rank, a pass fails after some gradients were sent, and is repeated from the start of the step
model, plain, sums = make(1)
fails = [ranks.rank == 1]

def fail_once(_):
    if fails[0] and sums._num_sent:
        fails[0] = False
        raise MemoryError

def compute():
    for number in range(2):
        with sums.last_pass(number == 1):
            loss(model, ranks.rank, number).backward()

model[1].weight.register_post_accumulate_grad_hook(fail_once)
try:
    compute()
    assert ranks.rank == 0
except MemoryError:
    model.zero_grad()
    compute()
sums.finish()
check(model, plain)
ranks.leave()
"""


def test_sums_begin_in_the_last_backward_pass_and_are_those_of_all_ranks(tmp_path: Path) -> None:
    (tmp_path / "ranks.py").write_text(TWO_RANKS, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", "ranks.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_gradients_of_one_rank_are_their_own_sum() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    sums = GradientSum([weight], Ranks(0, 1, torch.device("cpu")))
    with sums.last_pass():
        (3 * weight).sum().backward()
        sums.add(weight)  # as `Bfloat16Copy` does
    sums.finish()
    assert weight.grad is not None and weight.grad.tolist() == [3, 3]
