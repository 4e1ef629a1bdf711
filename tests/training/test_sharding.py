"""Sharded training by real ranks: the result of one rank, and checkpoints that any number of ranks resume from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from launching import finish, start_ranks, without_key_bias

from translator.checkpoint import CheckpointError, newest_checkpoint, read_weights
from translator.config import Config, to_yaml
from translator.model.dropout import DropoutKeys
from translator.model.layers import SITES_PER_LAYER, FeedForward
from translator.packing import SequenceLayout
from translator.training.sharding import compile_sublayer
from translator.training.trainer import train

Tiny = Callable[..., Config]


def prepare(config: Config) -> Path:
    """Write a configuration beside its output, and return the folder of both."""
    folder = Path(config.output).parent
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    return folder


def last_weights(run: Path) -> dict[str, torch.Tensor]:
    return read_weights(run / "last" / "model.safetensors")[0]


def losses(run: Path) -> list[float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


@pytest.fixture(scope="module")
def expected(module_tiny: Tiny) -> dict[str, torch.Tensor]:
    """The averaged weights of one rank after 12 steps of four micro-batches."""
    config = module_tiny("one", model={"dropout": 0.1}, training={"ema_decay": 0.9, "accumulation": 4})
    return last_weights(train(config))


@pytest.fixture(scope="module")
def four(module_tiny: Tiny) -> Path:
    """The folder of a run of four ranks on two machines that was stopped after step 6."""
    config = module_tiny(
        "four", model={"dropout": 0.1}, training={"ema_decay": 0.9, "parallel": "hybrid", "keep_last": 2}
    )
    folder = prepare(config)
    results = finish(start_ranks([folder] * 4, "training.max_steps=6", local_world_size=2))
    assert [code for code, _ in results] == [0] * 4, results
    return folder


def test_a_run_of_four_sharded_ranks_resumes_on_two_and_on_one(
    four: Path, expected: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    shutil.copytree(four / "four", tmp_path / "four", symlinks=True)
    shutil.copy(four / "config.yaml", tmp_path)
    assert len(list((tmp_path / "four" / "last" / "shards").iterdir())) == 4
    options = ["output=four"]
    for ranks, stop, accumulation in ((2, 9, 2), (1, 12, 4)):
        more = ["training.parallel=shard", f"training.max_steps={stop}", f"training.accumulation={accumulation}"]
        results = finish(start_ranks([tmp_path] * ranks, *options, *more, "--allow-config-change"))
        assert [code for code, _ in results] == [0] * ranks, results
        assert f"of {stop}" in results[0][1] and "resuming from step" in results[0][1]
    found = last_weights(tmp_path / "four")
    for name in expected:
        found_part, expected_part = (without_key_bias(name, weights[name]) for weights in (found, expected))
        torch.testing.assert_close(found_part, expected_part, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("harm", ["delete", "damage"])
def test_a_checkpoint_without_one_of_its_shards_is_passed_over(
    four: Path, tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "four"
    shutil.copytree(four / "four", run, symlinks=True)
    for step, is_last in ((6, False), (4, True)):
        shard = sorted((run / "checkpoints" / f"step-{step}" / "shards").iterdir())[2]
        if harm == "delete":
            shard.unlink()
        else:
            content = bytearray(shard.read_bytes())
            content[-1] ^= 1
            shard.write_bytes(content)
        problem = f"its shard {shard.name} is {'missing' if harm == 'delete' else 'damaged'}"
        if is_last:
            with pytest.raises(CheckpointError, match=f"none that is complete.*(\n.*)*{problem}"):
                newest_checkpoint(run)
        else:
            found = newest_checkpoint(run)
            assert found is not None and found[0].name == "step-4"
            assert problem in caplog.text


def test_sharded_bfloat16_training_agrees_with_that_of_one_rank(module_tiny: Tiny) -> None:
    options = {"precision": "bfloat16", "max_steps": 6, "validate_every": 100}
    one = last_weights(train(module_tiny("one-bfloat16", training={**options, "accumulation": 2})))
    folder = prepare(module_tiny("two-bfloat16", training={**options, "parallel": "shard"}))
    results = finish(start_ranks([folder] * 2))
    assert [code for code, _ in results] == [0, 0], results
    two = last_weights(folder / "two-bfloat16")
    start = 0.003  # learning rate: six steps of Adam move a weight by at most about six times as much
    for name in one:
        assert float((two[name] - one[name]).abs().mean()) < 0.05 * start, name


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_compiled_feed_forward_networks_share_code_and_draw_their_own_masks() -> None:
    networks = [FeedForward(16, 32, dropout=0.3) for _ in range(2)]

    def results() -> list[torch.Tensor]:
        """Outputs and gradients of both networks, as layers 0 and 1, for sequences of two lengths."""
        found = []
        for number, network in enumerate(networks):
            for count in (7, 9):
                layout = SequenceLayout(torch.tensor([0, count], dtype=torch.int32), count, torch.arange(count))
                keys = DropoutKeys.of(torch.tensor([3]), layout).at(SITES_PER_LAYER * number)
                x = torch.linspace(-1, 1, 16 * count).view(count, 16).requires_grad_()
                out = network(x, keys)
                out.sum().backward()
                assert x.grad is not None
                found += [out.detach(), x.grad]
        return found

    expected = results()
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for network in networks:
        compile_sublayer(network, static_shapes=False)
    torch.testing.assert_close(results(), expected)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_compiled_sharded_training_has_the_losses_of_one_rank_in_eager_mode(
    module_tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"dropout": 0.1, "activation_dropout": 0.1, "attention_dropout": 0.1, "encoder_layers": 2}
    options = {"max_steps": 3, "log_every": 1, "validate_every": 100}
    one = train(module_tiny("one-eager", model=model, training={**options, "accumulation": 2}))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    sharded = {**options, "parallel": "shard", "compile": True}
    folder = prepare(module_tiny("two-compiled", model=model, training=sharded))
    results = finish(start_ranks([folder] * 2))
    assert [code for code, _ in results] == [0, 0], results
    assert list((tmp_path / "compiled").rglob("*.py"))
    assert losses(folder / "two-compiled") == pytest.approx(losses(one), rel=1e-5)


def test_a_full_disk_of_one_rank_stops_all_ranks_with_the_reason(module_tiny: Tiny) -> None:
    folder = prepare(module_tiny("full", training={"parallel": "shard", "max_steps": 1000, "validate_every": 1000}))
    limits = [None, 40_000]  # bytes: more than a marker of a rank, less than a shard
    for code, error in finish(start_ranks([folder] * 2, file_sizes=limits)):
        assert code == 2, error
        assert "step-4: rank 1: [Errno 27] File too large. Earlier checkpoints are untouched." in error, error
        assert "Traceback" not in error
    assert list((folder / "full" / "checkpoints").iterdir()) == []
