"""What the compiled kernels take of an A100 and of an H100: registers, shared memory, spilled bytes, tensor cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import roofline

ROOT = Path(__file__).parents[2]
SM_86_SHARED = 99 * 1024  # bytes that a program may have on the consumer cards of the A100's generation
SM_80_SHARED = 163 * 1024

# Spilled bytes of a thread that are put up with, for kernels named with their tile, and why. All others spill nothing.
SPILL_BUDGETS = {
    # Backward holds three tiles of 128 x 128 in eight warps, 64 registers each, and what draws the dropout. Matrix
    # instructions of sm_80 take both operands from registers. Four tiles of 64 would recompute each softmax.
    (80, "short_backward", 128): 168,
    (90, "short_backward", 128): 64,
}
# Registers of a thread where more would halve the programs on a multiprocessor: the classes that most sentences are in.
REGISTER_LIMITS = {
    ("short_forward", 16): 72,
    ("short_forward", 32): 72,
    ("short_forward", 64): 104,
    ("short_backward", 16): 104,
    ("short_backward", 32): 136,
    ("short_backward", 64): 200,
    ("self_attention", 32): 80,
    ("cross_attention", 16): 128,
    ("merge", None): 40,
    ("rows_loss", None): 64,
    ("relu_gradient", 16): 72,
}
FOR_HOPPER = ("short_forward", 64), ("short_backward", 64), ("long_forward", 64), ("long_backward_queries", 64)


def compiled(which: str, cache: Path, architectures: tuple[int, ...] = (80, 90)) -> dict[int, list[dict[str, Any]]]:
    """What the kernels use, by architecture; compiled in processes of their own, which do not interpret."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = Path(__file__).with_name("ahead_of_time.py")
    processes = {
        arch: subprocess.Popen(
            [sys.executable, script, which, str(arch)], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for arch in architectures
    }
    outputs = {arch: process.communicate()[0] for arch, process in processes.items()}
    assert all(process.returncode == 0 for process in processes.values())
    return {arch: [json.loads(line) for line in output.splitlines()] for arch, output in outputs.items()}


def tile_of(usage: dict[str, Any]) -> int | None:
    """The number that tells the variants of a kernel apart: what a program owns, in tokens."""
    constants = usage["constants"]
    owned = {"long_backward_keys": "BLOCK_K", "self_attention": "BLOCK", "long_forward": "BLOCK_Q"}
    name = owned.get(usage["name"], "BLOCK_Q" if usage["name"].startswith("long") else "TILE")
    size: int | None = constants.get(name)
    return size


@pytest.fixture(scope="module")
def usages(pytestconfig: pytest.Config) -> dict[int, list[dict[str, Any]]]:
    pytest.importorskip("triton")
    assert pytestconfig.cache is not None
    return compiled("representatives", Path(pytestconfig.cache.mkdir("triton")))


@pytest.mark.parametrize("arch", [80, 90])
def test_kernels_fit_the_registers_and_the_shared_memory(usages: dict[int, list[dict[str, Any]]], arch: int) -> None:
    names = {usage["name"] for usage in usages[arch]}
    assert len(names) == 12, names
    for usage in usages[arch]:
        name, tile = usage["name"], tile_of(usage)
        assert usage["spilled"] <= SPILL_BUDGETS.get((arch, name, tile), 0), usage
        assert usage["registers"] <= REGISTER_LIMITS.get((name, tile), 255), usage
        assert usage["shared"] <= SM_86_SHARED, usage


def test_the_roofline_counts_the_instructions_of_the_compiled_kernels(usages: dict[int, list[dict[str, Any]]]) -> None:
    """Within a tenth, which versions of the compiler may differ by."""
    found = {(usage["name"], tile_of(usage)): (usage["instructions"], usage["warps"]) for usage in usages[90]}
    for kernel, (instructions, warps) in roofline.INSTRUCTIONS.items():
        assert found[kernel] == (pytest.approx(instructions, rel=0.1), warps), kernel


@pytest.mark.parametrize("arch", [80, 90])
def test_products_are_made_by_tensor_cores(usages: dict[int, list[dict[str, Any]]], arch: int) -> None:
    for usage in usages[arch]:
        multiplies = usage["name"].startswith(("short", "long", "cross"))
        assert (usage["matrix_instructions"] > 0) == multiplies, usage


def test_hopper_multiplies_by_whole_warp_groups(usages: dict[int, list[dict[str, Any]]]) -> None:
    found = [usage for usage in usages[90] if (usage["name"], tile_of(usage)) in FOR_HOPPER]
    assert len(found) == len(FOR_HOPPER)
    for usage in found:
        assert usage["warp_group_instructions"] > 0, usage


def test_arguments_that_the_compiler_takes_for_constants_compile(pytestconfig: pytest.Config) -> None:
    """One head, one row, no ancestry, odd strides, a beam of 1,024: each is code of its own."""
    pytest.importorskip("triton")
    assert pytestconfig.cache is not None
    usages = compiled("oddities", Path(pytestconfig.cache.mkdir("triton")))
    for usage in [*usages[80], *usages[90]]:
        assert usage["spilled"] <= 192 and usage["shared"] <= SM_86_SHARED, usage


@pytest.mark.parametrize("arch", [80, 90])
def test_the_gradient_of_relu_moves_six_bytes_per_element(usages: dict[int, list[dict[str, Any]]], arch: int) -> None:
    """It reads two numbers and writes one, in whole words, and a thread writes at most four sums of its columns."""
    (usage,) = [usage for usage in usages[arch] if usage["name"] == "relu_gradient"]
    elements = usage["constants"]["BLOCK_ROWS"] * usage["constants"]["COLUMNS"] / (32 * usage["warps"])
    assert 6 * elements < usage["global_bytes"] <= 6 * elements + 16, usage
    assert usage["half_word_accesses"] == 0, usage


def test_searches_of_all_sizes_share_five_compiled_kernels(pytestconfig: pytest.Config) -> None:
    """Self- and cross-attention, with the keys split and whole, and the merge of splits."""
    pytest.importorskip("triton")
    assert pytestconfig.cache is not None
    usages = compiled("searches", Path(pytestconfig.cache.mkdir("triton")), (90,))[90]
    variants = sorted((usage["name"], usage["constants"].get("IS_SPLIT", True)) for usage in usages)
    assert variants == [
        ("cross_attention", False),
        ("cross_attention", True),
        ("merge", True),
        ("self_attention", False),
        ("self_attention", True),
    ]


def test_the_loss_reads_and_writes_whole_words_of_any_vocabulary(pytestconfig: pytest.Config) -> None:
    """Two bytes are accessed twice, for the logit of the label and its gradient."""
    pytest.importorskip("triton")
    assert pytestconfig.cache is not None
    (usage,) = compiled("odd_vocabulary", Path(pytestconfig.cache.mkdir("triton")), (90,))[90]
    assert usage["half_word_accesses"] <= 2, usage


@pytest.mark.skipif(
    os.environ.get("TRANSLATOR_ALL_KERNELS") != "1", reason="takes an hour; set TRANSLATOR_ALL_KERNELS=1"
)
@pytest.mark.timeout(7200)
def test_every_variant_compiles_and_fits_the_hardware(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.cache is not None
    usages = compiled("everything", Path(pytestconfig.cache.mkdir("triton")))
    for usage in [*usages[80], *usages[90]]:
        assert usage["spilled"] <= 256 and usage["shared"] <= SM_80_SHARED, usage
