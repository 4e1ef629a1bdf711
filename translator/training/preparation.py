"""What happens before the first step: the run directory, the tokenizer, the corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from translator.checkpoint import CONFIG_FILE, write_text
from translator.config import Config, ConfigError, differences, load_config, to_yaml
from translator.data.corpus import Corpus, load_corpus, read_clean_pairs
from translator.tokenizer import Tokenizers

# What a resumed run may change without being asked: where things lie, how long it goes on and what it reports.
_FREE_TO_CHANGE = (
    "output",
    "data.cache",
    "training.max_steps",
    "training.log_every",
    "training.keep_last",
    "training.data_workers",
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
    write_text(path, to_yaml(config))


def prepare_tokenizers(run: Path, config: Config, say: Callable[[str], None]) -> Tokenizers:
    """The tokenizers of the run directory, trained on the training sources where it has none.

    Raises:
        TokenizerError: they cannot be trained or read.
        DataError: the sources cannot be read.
    """
    if not Tokenizers.exist(run):
        say(f"learning {config.tokenizer.vocab_size} pieces from the training text")
        Tokenizers.train(read_clean_pairs(config.data.train, config.data, say), config.tokenizer, config.seed).save(run)
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
    )
