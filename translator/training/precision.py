"""Choice of the precision of a training run, and the processor that its results depend on."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from translator.checkpoint import CheckpointError
from translator.ranks import RankError
from translator.training.parallel import Ranks

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CPU_INFO = Path("/proc/cpuinfo")
# Flags of CPUs that multiply bfloat16 matrices at least twice as fast as float32 matrices.
_BFLOAT16_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16"}


@dataclass(frozen=True)
class Precision:
    """The precision of a run and the processor it runs on. A checkpoint stores both.

    Attributes:
        name: `float32` or `bfloat16`.
        processor: type of the processor.
        reason: reason for the choice of `training.precision: auto`; None if the configuration names the type.
    """

    name: str
    processor: str
    reason: str | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Data type of activations and of the weights in matrix products."""
        return _DTYPES[self.name]

    def state_dict(self) -> dict[str, str]:
        """Return the plain values that a checkpoint stores."""
        return {"name": self.name, "processor": self.processor}

    def __str__(self) -> str:
        reason = "" if self.reason is None else f" (auto: {self.reason})"
        return f"{self.name}{reason} on {self.processor}"


def choose_precision(requested: str, device: torch.device, earlier: object, say: Callable[[str], None]) -> Precision:
    """Return the precision of a run, and show it.

    Args:
        requested: `training.precision`. `auto` keeps the precision of a resumed run. A new run uses bfloat16 if the
            device multiplies it fast.
        device: device of the run.
        earlier: `Precision.state_dict` of the checkpoint to resume from; None for a new run, or if an earlier version
            wrote the checkpoint.
        say: function that shows a line.

    Raises:
        CheckpointError: if `earlier` is damaged.
    """
    processor = processor_type(device)
    before = None if earlier is None else _checked(earlier)
    if requested != "auto":
        precision = Precision(requested, processor)
    elif before is not None:
        precision = Precision(before.name, processor, "kept from the start of the run")
    else:
        unit = bfloat16_unit(device)
        name = "float32" if unit is None else "bfloat16"
        precision = Precision(name, processor, "no fast bfloat16 units" if unit is None else unit)
    say(f"precision {precision}")
    if before is not None and before.processor != processor:
        say(
            f"warning: the checkpoint is from {before.processor}. "
            f"On {processor}, results may differ from those of an uninterrupted run in their last bits"
        )
    return precision


def check_same_processor(ranks: Ranks) -> None:
    """Raise RankError, on every rank, if matrix products of the same matrices may differ between ranks."""
    threads = f" with {torch.get_num_threads()} threads" if ranks.device.type == "cpu" else ""
    found = ranks.exchange(processor_type(ranks.device) + threads)
    others = [f"rank {rank} is {name}" for rank, name in enumerate(found) if name != found[0]]
    if others:
        shown = "; ".join(others[:3]) + ("; …" if len(others) > 3 else "")
        raise RankError(
            "training.optimizer: muon requires the same processor on all ranks, because its matrix products round by "
            f"processor. Received: rank 0 is {found[0]}; {shown}. Use training.optimizer=adamw."
        )


def _checked(earlier: object) -> Precision:
    """Return the precision that a checkpoint stores, or raise CheckpointError."""
    match earlier:
        case {"name": "float32" | "bfloat16" as name, "processor": str(processor)}:
            return Precision(name, processor)
    raise CheckpointError(
        "The precision in a training state must be float32 or bfloat16 on a processor. "
        f"Received: {earlier!r}. Delete this checkpoint to resume from an older one, or choose another output."
    )


def bfloat16_unit(device: torch.device) -> str | None:
    """Return the name of the units that multiply bfloat16 fast; None if the device has none.

    CPUs are recognized on Linux only, and only if torch was built with oneDNN, which uses these units.
    """
    if device.type == "cuda":
        return "CUDA" if torch.cuda.is_bf16_supported(including_emulation=False) else None
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    flags = set(_cpu_field("flags").split())
    return next((name for flag, name in _BFLOAT16_UNITS.items() if flag in flags), None)


def processor_type(device: torch.device) -> str:
    """Return the type of the processor: equal types, threads and precision give equal bits."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    model = _cpu_field("model name") or platform.processor() or platform.machine()
    # Virtual machines hide the number of the model from its name.
    details = [f"{name} {_cpu_field(name)}" for name in ("cpu family", "model") if _cpu_field(name)]
    return f"{model} ({', '.join([*details, torch.backends.cpu.get_cpu_capability()])})"


def _cpu_field(name: str) -> str:
    """Return a field of the first CPU in `/proc/cpuinfo`; empty if there is none."""
    if not _CPU_INFO.exists():
        return ""
    found = re.search(rf"^{name}\s*: *(.*)$", _CPU_INFO.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return found[1].strip() if found else ""
