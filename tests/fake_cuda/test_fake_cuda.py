"""What a CUDA device would be asked to do, on a machine without one: the properties are in `on_fake_cuda.py`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.skipif(torch.version.cuda is not None, reason="torch that knows CUDA is tested on CUDA")
def test_training_and_decoding_keep_to_the_device_and_never_wait_for_it(tmp_path: Path) -> None:
    """In a process of its own: what makes CUDA seem present must be loaded before torch."""
    home = Path(torch.__file__).parent
    library = tmp_path / "absent_gpu.so"
    compiler = ["g++", "-std=c++20", "-O0", "-shared", "-fPIC", f"-I{home / 'include'}", str(HERE / "absent_gpu.cpp")]
    linker = [f"-L{home / 'lib'}", f"-Wl,-rpath,{home / 'lib'}", "-lc10", "-ltorch_cpu", "-o", str(library)]
    subprocess.run([*compiler, *linker], check=True)
    program = (
        f"import ctypes, sys; ctypes.CDLL({str(library)!r}); import pytest;"
        f"sys.exit(pytest.main([{str(HERE / 'on_fake_cuda.py')!r}, '--durations=5', '-p', 'no:cacheprovider']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
