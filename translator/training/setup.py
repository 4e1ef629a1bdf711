"""Preparation of a run before the first step: the run directory, the tokenizers, the corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from translator.atomic_io import atomic_write
from translator.checkpoint import CONFIG_FILE, newest_checkpoint, read_whole_state, step_checkpoints
from translator.config import Config, ConfigError, ModelConfig, describe_differences, differences, load_config, to_yaml
from translator.data.corpus import load_corpus, read_clean_rows
from translator.data.examples import Examples
from translator.data.files import Row
from translator.data.objectives import objective_of
from translator.data.streaming import load_stream, stream_rows
from translator.errors import UserError
from translator.kernels.backends import backend_obstacle
from translator.ranks import RankError
from translator.tokenizer import Tokenizers
from translator.training.data_check import check_data
from translator.training.handover import hand_over
from translator.training.initialization import earlier_tokenizers
from translator.training.parallel import Ranks
from translator.training.reporters import check_reporters

# Options that a resumed run may change without --allow-config-change: paths, length, reports and speed.
_MAY_CHANGE = (
    "output",
    "data.cache",
    "training.max_steps",
    "training.log_every",
    "training.report_to",
    "training.keep_last",
    "training.data_workers",
    "training.cuda_graphs",
    "training.parallel",
    "decoding.",
)
# Options that may differ between ranks, because they have paths. The training data is compared by its fingerprint;
# rank 0 alone reads the validation and test data.
_MAY_DIFFER_BETWEEN_RANKS = ("output", "data.train", "data.valid", "data.test", "data.cache")


class TrainingError(UserError):
    """A run that cannot continue."""


@dataclass(frozen=True)
class Setup:
    """Everything that a run needs before its first step.

    Attributes:
        tokenizers: tokenizers of the run, the same on all ranks.
        corpus: training corpus, with the same fingerprint on all ranks.
        checkpoint: name of the checkpoint to resume from; None for a new run.
        state: training state of that checkpoint. It lacks the large tensors if they are shards, which all ranks read.
        is_shared: whether every rank can write into the run directory.
    """

    tokenizers: Tokenizers
    corpus: Examples
    checkpoint: str | None = None
    state: dict[str, Any] | None = None
    is_shared: bool = True


@dataclass(frozen=True)
class _Shared:
    """Setup that rank 0 sends to the other ranks; the checkpoint is a path within the run directory."""

    config: Config
    tokenizers: Tokenizers
    corpus: str
    checkpoint: str | None
    state: dict[str, Any] | None


def set_up(run: Path, config: Config, ranks: Ranks, *, allow_config_change: bool, say: Callable[[str], None]) -> Setup:
    """Prepare a run on rank 0, and then the corpus on the other ranks. Called by all ranks.

    Args:
        run: run directory, read and written by rank 0 alone.
        config: configuration of the run.
        ranks: ranks of the run.
        allow_config_change: whether a resumed run may differ from the configuration it began with.
        say: function that shows a line.

    Raises:
        UserError: if directory, data or configuration cannot be used, on every rank.
    """
    corpora: list[Examples] = []
    is_divided = config.training.parallel != "replicate" and ranks.world_size > 1
    hand_over(run, ranks, say)
    is_shared = is_divided and ranks.share(run)
    if is_divided and not is_shared:
        say("the ranks do not share the run directory: rank 0 gathers and writes whole checkpoints")

    def prepare() -> _Shared:
        check_attention(config.model, ranks.device)
        check_reporters(config.training.report_to)
        found = newest_checkpoint(run)
        if found is None:
            claim_directory(run, config, allow_config_change)
        else:  # its configuration is replaced once its state has been read
            check_directory(run, config, allow_config_change)
        tokenizers = prepare_tokenizers(run, config, say)
        corpora.append(prepare_corpus(config, tokenizers, say))
        fingerprint = corpora[0].fingerprint
        if found is None:
            for finding in check_data(config, say, is_cheap=True).findings:
                say(f"warning: {finding.text}")
            return _Shared(config, tokenizers, fingerprint, None, None)
        checkpoint, state = found
        _check_corpus(run, state, fingerprint)
        if not is_shared:
            state = read_whole_state(checkpoint, state)
        return _Shared(config, tokenizers, fingerprint, str(checkpoint.relative_to(run)), state)

    shared = ranks.on_main(prepare)
    with ranks.together():
        if not ranks.is_main:
            _check_config(shared.config, config)
            corpora.append(prepare_corpus(config, shared.tokenizers, say))
            if corpora[0].fingerprint != shared.corpus:
                raise RankError(
                    "All ranks must read the same training data. Received: a corpus with fingerprint "
                    f"{corpora[0].fingerprint[:12]}, and {shared.corpus[:12]} on rank 0. Copy the data of rank 0."
                )
    checkpoint = None if shared.checkpoint is None else str(run / shared.checkpoint)
    return Setup(shared.tokenizers, corpora[0], checkpoint, shared.state, is_shared)


def check_attention(model: ModelConfig, device: torch.device) -> None:
    """Raise ConfigError if the attention backend cannot be used on the device, before any data is prepared."""
    for head_dim in head_dims(model):
        if obstacle := backend_obstacle(model.attention, device.type, torch.float32, head_dim):
            raise ConfigError(
                f"model.attention: {model.attention} cannot be used for this run: {obstacle}. Set model.attention=auto."
            )


def require_training_data(config: Config) -> None:
    """Raise ConfigError if a configuration has no training data, as that of an imported model."""
    if not config.data.train:
        raise ConfigError("data.train: required for training, and missing.")


def head_dims(model: ModelConfig) -> set[int]:
    """Return the dimensions per head of the layers that the architecture has."""
    stacks = {
        "encoder_only": (model.encoder_heads,),
        "decoder_only": (model.decoder_heads,),
        "encoder_decoder": (model.encoder_heads, model.decoder_heads),
    }[model.architecture]
    return {model.d_model // n for heads in stacks for n in (heads if isinstance(heads, tuple) else (heads,))}


def claim_directory(run: Path, config: Config, allow_config_change: bool) -> None:
    """Write the configuration into a run directory, unless it contains a run with another one.

    Raises:
        ConfigError: as `check_directory`.
        TrainingError: as `check_directory`.
    """
    check_directory(run, config, allow_config_change)
    write_config(run, config)


def write_config(run: Path, config: Config) -> None:
    """Write the configuration of a run into its directory."""
    atomic_write(run / CONFIG_FILE, to_yaml(config))


def check_directory(run: Path, config: Config, allow_config_change: bool) -> None:
    """Check that a run directory contains no run with another configuration.

    Raises:
        ConfigError: if it does, and the difference changes the result of training.
        TrainingError: if it contains checkpoints, but not their tokenizers.
    """
    require_training_data(config)
    path = run / CONFIG_FILE
    has_checkpoints = bool(step_checkpoints(run))
    if has_checkpoints and not Tokenizers.exist(run):
        raise TrainingError(
            f"A resumed run must have its tokenizer. Received: {run}, with checkpoints but without a tokenizer. "
            "Restore it, delete the checkpoints to train from the start, or choose another output."
        )
    if path.exists() and Tokenizers.exist(run) and not allow_config_change:
        # Before the first checkpoint, only the options that the tokenizers depend on are fixed.
        # With step_tokens, batch_tokens changes only how a step is split.
        may_change = (*_MAY_CHANGE, "training.batch_tokens") if config.training.step_tokens else _MAY_CHANGE
        changed = {
            key: values
            for key, values in differences(load_config(path), config).items()
            if not key.startswith(may_change) and (has_checkpoints or key.startswith(("data.", "tokenizer.")))
        }
        if changed:
            raise ConfigError(
                f"A resumed run must keep its configuration. Received: {run} with changes in\n"
                f"{describe_differences(changed)}\n"
                "Undo them, choose another output, or pass --allow-config-change."
            )


def prepare_tokenizers(run: Path, config: Config, say: Callable[[str], None]) -> Tokenizers:
    """Load the tokenizers of a run; if there are none, copy those of `start_from` or train them.

    Raises:
        TokenizerError: if they cannot be trained or read.
        DataError: if the sources cannot be read.
    """
    if not Tokenizers.exist(run):
        if config.training.start_from:
            tokenizers = earlier_tokenizers(config)
        else:
            say(f"training a tokenizer of {config.tokenizer.vocab_size} tokens")
            rows = _clean_rows(config, say)
            num_texts = 1 if config.form == "labelled" else 2  # of a row; what follows is a label or an alignment
            tokenizers = Tokenizers.train((row[:num_texts] for row in rows), config.tokenizer, config.seed)
        tokenizers.save(run)
    return Tokenizers.load(run)


def _clean_rows(config: Config, say: Callable[[str], None]) -> Iterator[Row]:
    """Return the rows to train a tokenizer on: all, or the first of the streams."""
    if config.data.is_streamed:
        return stream_rows(config.data, config.train_form, config.tokenizer.training_sentences // 2, config.seed)
    return read_clean_rows(config.data.train, config.data, say, config.train_form)


def prepare_corpus(config: Config, tokenizers: Tokenizers, say: Callable[[str], None]) -> Examples:
    """Load the cleaned and tokenized training corpus from the cache, or build it there; or open the streams.

    Raises:
        DataError: if a source cannot be read.
    """
    if config.data.is_streamed:
        return load_stream(
            config.data,
            tokenizers,
            sampling_alpha=config.tokenizer.sampling_alpha,
            seed=config.seed,
            max_positions=config.model.max_positions,
            objective=objective_of(config, tokenizers),
        )
    return load_corpus(
        config.data.train,
        config.data,
        tokenizers,
        sampling_alpha=config.tokenizer.sampling_alpha,
        seed=config.seed,
        max_positions=config.model.max_positions,
        log=say,
        objective=objective_of(config, tokenizers),
    )


def _check_corpus(run: Path, state: dict[str, Any], fingerprint: str) -> None:
    """Raise TrainingError if a state is of another corpus."""
    if state.get("corpus") != fingerprint:
        raise TrainingError(
            f"A resumed run must keep its training data. Received: {run}, which began with corpus "
            f"{str(state.get('corpus'))[:12]}, and sources that now give {fingerprint[:12]}. "
            "Restore the data or choose another output."
        )


def _check_config(main: Config, own: Config) -> None:
    """Raise RankError if the configuration of this rank differs from that of rank 0 in more than paths."""
    changed = {key: values for key, values in differences(main, own).items() if key not in _MAY_DIFFER_BETWEEN_RANKS}
    if changed:
        raise RankError(
            f"All ranks must have the same configuration. Received, on rank 0 and on this rank:\n"
            f"{describe_differences(changed)}\nStart every rank with the same configuration and arguments."
        )
