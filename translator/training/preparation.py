"""What happens before the first step: the run directory, the tokenizer, the corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from translator.atomic_io import write_whole
from translator.checkpoint import CONFIG_FILE
from translator.config import Config, ConfigError, differences, load_config, to_yaml
from translator.data.corpus import Corpus, load_corpus, read_clean_rows
from translator.data.objectives import objective_of
from translator.tokenizer import Tokenizers
from translator.training.beginning import earlier_tokenizers

# What a resumed run may change without being asked: where things lie, how long it goes on, what it reports and what
# changes its speed and no bit.
_FREE_TO_CHANGE = (
    "output",
    "data.cache",
    "training.max_steps",
    "training.log_every",
    "training.keep_last",
    "training.data_workers",
    "training.cuda_graphs",
    "decoding.",
)


def claim_directory(run: Path, config: Config, allow_config_change: bool) -> None:
    """Write the effective configuration into a run directory, unless it holds a run with another one.

    Raises:
        ConfigError: it does, and the difference changes what is learned.
    """
    path = run / CONFIG_FILE
    if path.exists() and Tokenizers.exist(run) and not allow_config_change:
        has_learned = (run / "last").exists()  # before that, only what the tokenizer was learned from is settled
        changed = {
            key: values
            for key, values in differences(load_config(path), config).items()
            if not key.startswith(_FREE_TO_CHANGE) and (has_learned or key.startswith(("data.", "tokenizer.")))
        }
        if changed:
            lines = "\n".join(f"  {key}: {old!r} -> {new!r}" for key, (old, new) in changed.items())
            raise ConfigError(
                f"A resumed run keeps its configuration. Received: {run} with changes in\n{lines}\n"
                "Undo them, choose another output, or pass --allow-config-change."
            )
    write_whole(path, to_yaml(config))


def prepare_tokenizers(run: Path, config: Config, say: Callable[[str], None]) -> Tokenizers:
    """The tokenizers of the run directory; where it has none, those of `start_from`, else trained on the training text.

    Raises:
        TokenizerError: they cannot be trained or read.
        DataError: the sources cannot be read.
    """
    if not Tokenizers.exist(run):
        if config.training.start_from:
            tokenizers = earlier_tokenizers(config)
        else:
            say(f"learning {config.tokenizer.vocab_size} pieces from the training text")
            rows = read_clean_rows(config.data.train, config.data, say, config.form)
            texts = (row[:1] for row in rows) if config.form == "labelled" else rows
            tokenizers = Tokenizers.train(texts, config.tokenizer, config.seed)
        tokenizers.save(run)
    return Tokenizers.load(run)


def prepare_corpus(config: Config, tokenizers: Tokenizers, say: Callable[[str], None]) -> Corpus:
    """The cleaned and tokenized training corpus, from the cache or into it; raises DataError."""
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
