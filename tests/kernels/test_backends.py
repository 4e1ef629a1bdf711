"""Which implementation serves a call, what is logged about it, and what is refused before a kernel starts."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from triton_cases import Attention

from translator.kernels import backends, linear_cross_entropy, packed_attention
from translator.kernels.backends import choose_backend


@pytest.fixture
def forgetful() -> Iterator[None]:
    """`auto` has chosen, and logged, nothing yet, and remembers nothing that a test pretended."""
    backends._automatic.cache_clear()
    yield
    backends._automatic.cache_clear()


@pytest.mark.usefixtures("forgetful")
def test_auto_selects_triton_on_cuda_and_logs_it_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: name)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert choose_backend("auto", "cuda", torch.bfloat16, 128) == "triton"
    assert [record.message for record in caplog.records] == [
        "attention: triton, for torch.bfloat16 with heads of 128 on cuda"
    ]


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(
    ("installed", "dtype", "head_dim", "reason"),
    [
        (True, torch.bfloat16, 160, "head_dim of up to 128. Received: head_dim=160"),
        (True, torch.float64, 64, "it takes float32, float16 and bfloat16. Received: float64"),
        (False, torch.bfloat16, 64, "it is not installed"),
    ],
)
def test_auto_falls_back_to_sdpa_and_logs_the_reason_once(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    installed: bool,
    dtype: torch.dtype,
    head_dim: int,
    reason: str,
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: name if installed else None)
    for _ in range(2):
        assert choose_backend("auto", "cuda", dtype, head_dim) == "sdpa"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and reason in record.message
    with pytest.raises(ValueError, match=f"backend triton cannot serve this: .*{reason}"):
        choose_backend("triton", "cuda", dtype, head_dim)


def test_triton_supports_the_cpu_in_the_interpreter_only(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert choose_backend("triton", "cpu", torch.float32, 16) == "triton"
    assert choose_backend("auto", "cpu", torch.float32, 16) == "grouped"
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(ValueError, match=r"requires a CUDA device, or TRITON_INTERPRET=1.* Received: tensors on cpu"):
        choose_backend("triton", "cpu", torch.float32, 16)


def test_attention_works_without_triton() -> None:
    script = """
import sys
sys.modules["triton"] = None  # importing it fails
import torch
from translator.kernels import linear_cross_entropy, packed_attention
x, offsets = torch.randn(3, 2, 8), torch.tensor([0, 3], dtype=torch.int32)
packed_attention([x, x, x], offsets, offsets, 3, 3, causal=True)
linear_cross_entropy(x[0], x[1], torch.tensor([0, 1]))
"""
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | {"PYTHONPATH": ":".join(sys.path)})


def wrong_offsets() -> dict[str, tuple[list[int], str]]:
    return {
        "start": ([1, 3, 7], r"must start at 0 and never decrease. Received: \[1, 3, 7\]"),
        "decrease": ([0, 5, 3], r"must start at 0 and never decrease. Received: \[0, 5, 3\]"),
        "end": ([0, 3, 13], "must end within the 12 rows it divides. Received: 13 at its end."),
        "length": ([0, 2, 7], "may be longer than its max_seqlen, 4. Received: 5 tokens."),
    }


@pytest.mark.parametrize("what", wrong_offsets())
@pytest.mark.parametrize("side", ["cu_seqlens_q", "cu_seqlens_k"])
@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_wrong_offsets_are_refused_by_the_reference_and_with_checks(
    monkeypatch: pytest.MonkeyPatch, what: str, side: str, backend: str
) -> None:
    offsets, expected = wrong_offsets()[what]
    case = Attention.random([3, 4])
    right = case.offsets()[0]
    wrong = torch.tensor(offsets, dtype=torch.int32)
    pair = {"cu_seqlens_q": right, "cu_seqlens_k": right, side: wrong}
    if backend == "auto":
        monkeypatch.setenv("TRANSLATOR_CHECK", "1")
    with pytest.raises(ValueError, match=f"{side}.*{expected}"):
        packed_attention(
            [case.q, case.k, case.v], **pair, max_seqlen_q=4, max_seqlen_k=4, causal=False, backend=backend
        )


def test_invalid_layouts_and_dropout_are_refused() -> None:
    case = Attention.random([3, 4])
    offsets = case.offsets()
    sideways = case.q.transpose(1, 2).contiguous().transpose(1, 2)
    with pytest.raises(ValueError, match=r"contiguous in their last dimension.* Received: strides \(32, 1, 2\)"):
        packed_attention([sideways, case.k, case.v], *offsets, 4, 4, causal=False)
    for dropout_p in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"at least 0 and below 1. Received: {dropout_p}"):
            packed_attention([case.q, case.k, case.v], *offsets, 4, 4, causal=False, dropout_p=dropout_p)
    for seeds in (torch.tensor(3), torch.tensor([3]), torch.tensor([3.0, 4.0])):
        with pytest.raises(ValueError, match=r"seeds must be \(2,\) int64, one per sequence"):
            packed_attention([case.q, case.k, case.v], *offsets, 4, 4, causal=False, dropout_p=0.1, seeds=seeds)
    with pytest.raises(ValueError, match=r"one device. Received: cpu, cpu, cpu, cpu, cpu, meta"):
        meta = torch.zeros(2, dtype=torch.int64, device="meta")
        packed_attention([case.q, case.k, case.v], *offsets, 4, 4, causal=False, dropout_p=0.1, seeds=meta)


def test_under_autocast_products_are_made_in_its_dtype() -> None:
    case = Attention.random([3, 4])
    hidden, weight = torch.randn(2, 3, 16, requires_grad=True).unbind()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = packed_attention([case.q, case.k, case.v.bfloat16()], *case.offsets(), 4, 4, causal=False)
        loss = linear_cross_entropy(hidden, weight, torch.tensor([0, 1, 2]))
    assert mixed.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    rounded = linear_cross_entropy(hidden.bfloat16(), weight.bfloat16(), torch.tensor([0, 1, 2]))
    assert torch.equal(loss, rounded)
    (gradient,) = torch.autograd.grad(loss, hidden)
    assert gradient.dtype == torch.float32
