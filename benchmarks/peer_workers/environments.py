"""The toolkits of benchmarks/peers.py, and a virtual environment for each."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

TORCH = "torch"  # replaced by the version that runs this project


@dataclass(frozen=True)
class Peer:
    """A toolkit.

    Attributes:
        module: module of `peer_workers` that runs it.
        training: precisions in which it trains.
        decoding: precisions in which it decodes.
        environment: name of its environment; None is that of this project.
        requirements: arguments of the calls of `pip install`, in order.
    """

    module: str
    training: tuple[str, ...]
    decoding: tuple[str, ...]
    environment: str | None = None
    requirements: tuple[tuple[str, ...], ...] = ()


HUGGING_FACE = ((TORCH,), ("transformers", "accelerate"))
# OpenNMT-py requires torch < 2.3, so it is installed without its dependencies, and they without torch.
OPENNMT = (
    (TORCH,),
    ("--no-deps", "OpenNMT-py"),
    ("configargparse", "ctranslate2<5", "flask", "pyonmttok", "pyyaml", "sacrebleu", "tensorboard", "waitress"),
    ("fasttext-wheel", "pyahocorasick", "rapidfuzz", "six", "spacy"),
)
JOEYNMT = ((TORCH,), ("joeynmt", "importlib_metadata"))  # imports the latter without requiring it
PEERS = {
    "translator": Peer("ours", ("float32", "bfloat16"), ("float32", "bfloat16", "int8")),
    "nn.Transformer": Peer("nn_transformer", ("float32", "bfloat16"), ("float32",)),
    "Hugging Face": Peer("hugging_face", ("float32", "bfloat16"), ("float32",), "transformers", HUGGING_FACE),
    "Seq2SeqTrainer": Peer("seq2seq_trainer", ("float32", "bfloat16"), (), "transformers", HUGGING_FACE),
    "OpenNMT-py": Peer("opennmt", ("float32",), ("float32",), "opennmt", OPENNMT),
    "eole": Peer("eole", ("float32", "bfloat16"), ("float32",), "eole", ((TORCH,), ("eole",))),
    "JoeyNMT": Peer("joeynmt", ("float32",), ("float32",), "joeynmt", JOEYNMT),
    "CTranslate2": Peer("ctranslate2", (), ("float32", "int8"), "ctranslate2", (("ctranslate2",),)),
}


class CannotBeInstalledError(Exception):
    """An environment could not be created; the message is the reason."""


def python_of(peer: Peer, environments: Path, torch: str) -> Path:
    """Return the interpreter of a toolkit, whose environment is created unless it is complete.

    Args:
        peer: the toolkit.
        environments: directory of all environments.
        torch: version of torch that all of them get.

    Raises:
        CannotBeInstalledError: if pip fails.
    """
    if peer.environment is None:
        return Path(sys.executable)
    folder = environments / peer.environment
    python = folder / "bin" / "python"
    steps = [[f"torch=={torch}" if word == TORCH else word for word in step] for step in peer.requirements]
    marker = folder / "installed.json"
    if marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) == steps:
        return python
    print(f"# creating the environment {folder}", file=sys.stderr, flush=True)
    venv.create(folder, with_pip=True, clear=True)
    for step in steps:
        found = subprocess.run([python, "-m", "pip", "install", *step], capture_output=True, text=True)
        if found.returncode != 0:
            raise CannotBeInstalledError(f"pip install {' '.join(step)}: {_error_of(found.stderr)}")
    marker.write_text(json.dumps(steps), encoding="utf-8")
    return python


def _error_of(output: str) -> str:
    """Return the first error that pip printed, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no message"]
    return next((line for line in lines if line.startswith("ERROR:")), lines[-1])[:300]
