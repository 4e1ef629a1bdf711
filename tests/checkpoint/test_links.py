"""The links of a run directory, wherever it lies and however it was copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from translator.checkpoint import follow, point


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (4, 8):
        (tmp_path / "checkpoints" / f"step-{step}").mkdir(parents=True)
        (tmp_path / "checkpoints" / f"step-{step}" / "model.safetensors").write_text(f"weights of step {step}")
    return tmp_path


def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on exFAT: the error of a kernel whose file system has no symbolic links."""

    def symlink_to(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", symlink_to)


@pytest.mark.parametrize("has_links", [True, False])
def test_a_link_leads_to_the_checkpoint_it_was_last_pointed_to(
    run: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        no_links(monkeypatch)
    assert follow(run, "last") is None
    for step in (4, 8):
        point(run, "last", run / "checkpoints" / f"step-{step}")
        assert follow(run, "last") == run / "checkpoints" / f"step-{step}"
        assert (run / "last").is_symlink() == has_links
    assert not list(run.glob(".*"))
    shutil.rmtree(run / "checkpoints" / "step-8")
    assert follow(run, "last") is None


def test_a_file_in_place_of_a_link_leads_nowhere_else(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (
        "",
        "checkpoints",
        "checkpoints/..",
        "../secret",
        "/etc",
        "checkpoints/step-8/../..",
        "\0",
        "x" * 9999,
    ):
        (run / "last").write_text(content)
        assert follow(run, "last") is None, content
    (run / "last").write_bytes(b"checkpoints/step-4\xff")
    assert follow(run, "last") is None


def test_links_replace_files_and_files_replace_links(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point(run, "best", run / "checkpoints" / "step-4")
    with monkeypatch.context() as patch:
        no_links(patch)
        point(run, "best", run / "checkpoints" / "step-8")
    assert (run / "best").read_text() == "checkpoints/step-8\n"
    assert (run / "checkpoints" / "step-4" / "model.safetensors").read_text() == "weights of step 4"
    point(run, "best", run / "checkpoints" / "step-4")
    assert (run / "best").is_symlink() and follow(run, "best") == run / "checkpoints" / "step-4"


def test_a_link_that_became_a_folder_is_one_again_and_nothing_is_lost(run: Path) -> None:
    shutil.copytree(run / "checkpoints" / "step-4", run / "last")
    assert follow(run, "last") == run / "last"
    point(run, "last", run / "checkpoints" / "step-8")
    assert (run / "last").is_symlink() and follow(run, "last") == run / "checkpoints" / "step-8"
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-4", "step-8"]

    (run / "best").mkdir()
    (run / "best" / "model.safetensors").write_text("the only copy")
    point(run, "best", run / "checkpoints" / "step-8")
    assert (run / "checkpoints" / "best-copy" / "model.safetensors").read_text() == "the only copy"
