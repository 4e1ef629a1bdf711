"""The precision of a run: what `auto` chooses, what a resumed run keeps, and the type of the processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from launching import finish, start_ranks

from translator.checkpoint import CheckpointError
from translator.config import Config, to_yaml
from translator.training import precision
from translator.training.precision import Precision, bfloat16_unit, choose_precision, processor_type

CPU = torch.device("cpu")
CPU_INFO = """processor\t: 0
cpu family\t: 6
model\t\t: 143
model name\t: Some CPU
flags\t\t: fpu avx2 avx512f {flag}

processor\t: 1
flags\t\t: amx_bf16
"""


@pytest.fixture
def cpu_info(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "cpuinfo"
    path.write_text(CPU_INFO.format(flag=""), encoding="utf-8")
    monkeypatch.setattr(precision, "_CPU_INFO", path)
    return path


@pytest.mark.parametrize(
    ("flag", "unit"), [("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16"), ("avx512_bf16 amx_bf16", "AMX"), ("", None)]
)
def test_a_new_run_uses_bfloat16_if_the_cpu_has_units_for_it(cpu_info: Path, flag: str, unit: str | None) -> None:
    cpu_info.write_text(CPU_INFO.format(flag=flag), encoding="utf-8")
    lines: list[str] = []
    chosen = choose_precision("auto", CPU, None, lines.append)
    assert bfloat16_unit(CPU) == unit
    assert chosen.name == ("float32" if unit is None else "bfloat16")
    assert chosen.dtype == (torch.float32 if unit is None else torch.bfloat16)
    assert lines == [f"precision {chosen.name} (auto: {unit or 'no fast bfloat16 units'}) on {chosen.processor}"]


def test_a_cpu_without_onednn_uses_float32(cpu_info: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_info.write_text(CPU_INFO.format(flag="amx_bf16"), encoding="utf-8")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert bfloat16_unit(CPU) is None


@pytest.mark.parametrize(("is_supported", "unit"), [(True, "CUDA"), (False, None)])
def test_cuda_uses_bfloat16_if_it_is_not_emulated(
    monkeypatch: pytest.MonkeyPatch, is_supported: bool, unit: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: is_supported)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    cuda = torch.device("cuda")
    assert bfloat16_unit(cuda) == unit
    assert processor_type(cuda) == "a GPU"


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_an_explicit_precision_overrides_processor_and_checkpoint(cpu_info: Path, name: str) -> None:
    other = {"name": "float32" if name == "bfloat16" else "bfloat16", "processor": processor_type(CPU)}
    lines: list[str] = []
    assert choose_precision(name, CPU, other, lines.append).name == name
    assert lines == [f"precision {name} on {processor_type(CPU)}"]


def test_auto_keeps_the_precision_of_the_checkpoint_and_warns_of_another_processor(cpu_info: Path) -> None:
    lines: list[str] = []
    earlier = Precision("bfloat16", "Another CPU").state_dict()
    assert choose_precision("auto", CPU, earlier, lines.append).name == "bfloat16"
    assert lines[0].startswith("precision bfloat16 (auto: kept from the start of the run) on Some CPU")
    assert lines[1].startswith("warning: the checkpoint is from Another CPU. On Some CPU (cpu family 6, model 143, ")


@pytest.mark.parametrize("earlier", ["bfloat16", {"name": "float16", "processor": "CPU"}, {"name": "float32"}])
def test_a_damaged_precision_in_a_checkpoint_is_refused(earlier: object) -> None:
    with pytest.raises(CheckpointError, match="The precision in a training state must be float32 or bfloat16 on a pr"):
        choose_precision("auto", CPU, earlier, lambda _: None)


def test_the_type_of_a_cpu_is_known_without_cpuinfo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(precision, "_CPU_INFO", tmp_path / "missing")
    assert processor_type(CPU).endswith(f" ({torch.backends.cpu.get_cpu_capability()})")
    assert bfloat16_unit(CPU) is None


def test_ranks_whose_products_round_differently_refuse_muon(tiny: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny("run", training={"optimizer": "muon"})
    (tmp_path / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    for code, error in finish(start_ranks([tmp_path] * 2, threads=(1, 2))):
        assert code == 2 and "Traceback" not in error
        assert "muon requires the same processor on all ranks" in error
        assert "with 1 threads; rank 1 is" in error and "with 2 threads. Use training.optimizer=adamw." in error
