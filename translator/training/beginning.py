"""What a run begins with besides random weights: those of an earlier run, and word vectors."""

from __future__ import annotations

from collections.abc import Callable

from translator.checkpoint import CheckpointError, locate_weights, read_weights, set_weights
from translator.checkpoint.location import find_model
from translator.config import Config, ConfigError, differences, load_config
from translator.model import EncoderDecoder, Model
from translator.tokenizer import Tokenizers
from translator.training.vectors import start_from_vectors

_HEAD = "classifier."  # weights that no pre-training has
_FREE_TO_DIFFER = (  # what changes no weight's shape or meaning
    *("model.dropout", "model.attention_dropout", "model.activation_dropout", "model.attention"),
    *("model.source_vectors", "model.target_vectors"),
)


def earlier_tokenizers(config: Config) -> Tokenizers:
    """The tokenizers of the model that a run starts from.

    Raises:
        ModelNotFoundError: there is no such model.
        ConfigError: the run asks for another vocabulary.
    """
    assert config.training.start_from is not None
    home, _ = locate_weights(find_model(config.training.start_from))
    tokenizers = Tokenizers.load(home)
    if tokenizers.source.vocab_size != config.tokenizer.vocab_size:
        raise ConfigError(
            "A run has the vocabulary of the model that it starts from. "
            f"Received: tokenizer.vocab_size={config.tokenizer.vocab_size}, and {tokenizers.source.vocab_size} pieces "
            f"in {config.training.start_from}. Set tokenizer.vocab_size={tokenizers.source.vocab_size}."
        )
    return tokenizers


def begin(model: Model, config: Config, tokenizers: Tokenizers, say: Callable[[str], None]) -> None:
    """Give a fresh model the weights and vectors that its configuration names.

    Raises:
        CheckpointError: the model to start from is of other sizes, or has another tokenizer.
        ConfigError: it is of another architecture.
        VectorsError: a file of vectors cannot be used.
    """
    if config.training.start_from is not None:
        _start_from(config.training.start_from, model, config, tokenizers, say)
    if isinstance(model, EncoderDecoder):
        _start_from_vectors(model, config, tokenizers, say)


def _start_from(path: str, model: Model, config: Config, tokenizers: Tokenizers, say: Callable[[str], None]) -> None:
    """Copy an earlier run's weights; a classifier keeps its own fresh last layer."""
    home, file = locate_weights(find_model(path))
    earlier = load_config(home / "config.yaml")
    changed = {
        key: values
        for key, values in differences(earlier, config).items()
        if key.startswith("model.") and not key.startswith(_FREE_TO_DIFFER)
    }
    if changed:
        lines = "\n".join(f"  {key}: {old!r} -> {new!r}" for key, (old, new) in changed.items())
        raise ConfigError(f"A run has the architecture of the model that it starts from. Received: {path} and\n{lines}")
    weights, metadata = read_weights(file)
    if metadata.get("tokenizer") != tokenizers.fingerprint:
        raise CheckpointError(
            f"A run has the tokenizer of the model that it starts from. Received: {path}, with another. "
            "Choose another output."
        )
    body = {name: weight for name, weight in weights.items() if not name.startswith(_HEAD)}
    own = {name: weight.detach() for name, weight in model.named_parameters() if name.startswith(_HEAD)}
    set_weights(model, body | own, path)
    say(f"{len(body)} tensors start from {path}")


def _start_from_vectors(
    model: EncoderDecoder, config: Config, tokenizers: Tokenizers, say: Callable[[str], None]
) -> None:
    """Give the embeddings the pre-trained vectors that the configuration names."""
    for side, path, tokenizer, embedding in (
        ("source", config.model.source_vectors, tokenizers.source, model.source_embedding),
        ("target", config.model.target_vectors, tokenizers.target, model.target_embedding),
    ):
        if path is not None:
            count = start_from_vectors(embedding, tokenizer, path)
            say(f"{count:,} of {tokenizer.vocab_size:,} {side} pieces start from {path}")
