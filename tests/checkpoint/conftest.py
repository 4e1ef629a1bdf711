from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def directory(model_directory: Path, tmp_path: Path) -> Path:
    """A copy of the model directory, to break."""
    return Path(shutil.copytree(model_directory, tmp_path / "model", symlinks=True))


@pytest.fixture
def weights_path(directory: Path) -> Path:
    """The weights of its only checkpoint."""
    return directory / "checkpoints" / "step-1" / "model.safetensors"
