"""README.md: commands run with fewer training steps, Python runs unchanged, YAML passes validation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pages import ROOT, blocks, commands, run_python

from translator.config import validate
from translator.config.parsing import parse_yaml

README = (ROOT / "README.md").read_text(encoding="utf-8")

# Overrides that shorten training; everything else runs as written.
SHORTER = (
    "training.max_steps=20 training.save_every=10 training.validate_every=10 training.warmup_steps=5 "
    "training.valid_decode_examples=10 training.batch_tokens=256 data.train={phrasebook: train, max_examples: 3000} "
    "data.valid={phrasebook: valid, max_examples: 50} data.test={phrasebook: test, max_examples: 40} "
    "tokenizer.vocab_size=600 decoding.max_length_factor=0.2"
)


FIRST = "translator train configs/phrasebook.yaml"  # the other commands need its model
OTHERS = [line for line in commands("README.md") if line != FIRST and not line.startswith(("pip ", "bash scripts/"))]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped configurations, a `translator` command and the model of the README's first command."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "bin").mkdir()
    (folder / "bin" / "translator").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m translator "$@"\n')
    (folder / "bin" / "translator").chmod(0o755)
    run(FIRST, folder)
    return folder


def run(command: str, folder: Path) -> str:
    if "translator train" in command:
        command += "".join(f" '{override}'" for override in re.findall(r"\S+=(?:\{.*?\}|\S+)", SHORTER))
    if "translator train" in command or "translator check" in command:
        command += f" data.cache={folder / 'cache'}"
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("command", OTHERS)
def test_readme_commands_run(command: str, workplace: Path) -> None:
    output = run(command, workplace)
    if command.startswith("printf 'Où est la gare"):
        assert output.count("\n") == 3
        assert output.split("\n")[1] == ""


def test_readme_python_runs(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    assert run_python("README.md") >= 10


def test_readme_yaml_is_a_valid_configuration() -> None:
    for block in blocks("README.md", "yaml"):
        validate({"output": "run", **parse_yaml(block, "README.md")}, "README.md")


def test_files_named_in_the_readme_exist() -> None:
    named = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"`((?:configs|scripts|translator)/[\w/.]+)`", README)
    missing = [name for name in named if not (ROOT / name).exists()]
    assert named
    assert not missing


def test_contributing_shows_the_layers_of_the_import_contract() -> None:
    [contract, *_] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    packages = text[text.index("## Packages") : text.index("| package |")]
    shown = [line.strip() for line in packages.splitlines() if line.startswith("    ")]
    assert shown == [layer.replace("translator.", "") for layer in contract["layers"]]


def test_files_named_in_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+/?(?:[a-z_]+\.py)?)`", text)) - {"serving/", "export/"}
    files = [name for name in named if name.endswith((".py", "/"))]
    assert len(files) > 20
    missing = [
        name for name in files if not (ROOT / name).exists() and not any((ROOT / "translator").glob(f"**/{name}"))
    ]
    assert not missing


def test_installed_package_works_outside_the_checkout(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target",
         str(tmp_path / "site"), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    script = (
        "import translator; from translator.data.embedded import embedded_file;"
        "size = embedded_file('phrasebook', 'train').stat().st_size;"
        "shipped = translator.Translator.load('fr-en');"
        "print(translator.__file__, size, shipped.translate('Oui.').text)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    path, size, translation = done.stdout.split()
    assert translation == "Yes."
    assert Path(path).is_relative_to(tmp_path)
    assert int(size) > 1_000_000
