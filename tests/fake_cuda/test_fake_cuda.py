"""What a CUDA device would be asked to do, on a machine without one; the properties are in the other files here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler"),
    pytest.mark.skipif(torch.version.cuda is not None, reason="torch that knows CUDA is tested on CUDA"),
]


@pytest.fixture(scope="module")
def absent_gpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes CUDA seem present."""
    home, library = Path(torch.__file__).parent, tmp_path_factory.mktemp("absent") / "absent_gpu.so"
    compiler = ["g++", "-std=c++20", "-O0", "-shared", "-fPIC", f"-I{home / 'include'}", str(HERE / "absent_gpu.cpp")]
    linker = [f"-L{home / 'lib'}", f"-Wl,-rpath,{home / 'lib'}", "-lc10", "-ltorch_cpu", "-o", str(library)]
    subprocess.run([*compiler, *linker], check=True)
    return library


def assert_passes(absent_gpu: Path, file: str, *options: str) -> None:
    """Run the tests of a file in a process of its own, into which the library is loaded before torch."""
    program = (
        f"import ctypes, sys; ctypes.CDLL({str(absent_gpu)!r}); import pytest;"
        f"sys.exit(pytest.main([{str(HERE / file)!r}, '--durations=5', '-p', 'no:cacheprovider', *{options!r}]))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def test_training_and_decoding_keep_to_the_device_and_never_wait_for_it(absent_gpu: Path) -> None:
    assert_passes(absent_gpu, "on_fake_cuda.py")


def test_the_feed_forward_network_is_compiled_for_a_gpu(absent_gpu: Path) -> None:
    pytest.importorskip("triton")
    assert_passes(absent_gpu, "compiled_for_cuda.py", "-k", "feed_forward")


@pytest.mark.skipif(
    os.environ.get("TRANSLATOR_ALL_KERNELS") != "1",
    reason="takes minutes and leans on what torch keeps to itself; set TRANSLATOR_ALL_KERNELS=1",
)
def test_the_whole_loss_is_compiled_for_a_gpu_and_fits_cuda_graphs(absent_gpu: Path) -> None:
    pytest.importorskip("triton")
    assert_passes(absent_gpu, "compiled_for_cuda.py")
