"""The initial weights of a run: random ones, those of an earlier model, and word vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from translator.checkpoint import (
    CONFIG_FILE,
    CheckpointError,
    locate_weights,
    read_weights,
    set_weights,
    step_checkpoints,
)
from translator.checkpoint.location import find_model
from translator.config import Config, ConfigError, ModelConfig, describe_differences, differences, load_config
from translator.model import EncoderDecoder, Model, build_model
from translator.tokenizer import Tokenizers
from translator.training.parallel import Ranks
from translator.training.vectors import start_from_vectors

_HEAD = "classifier."  # prefix of weights that no pre-training has
_MAY_DIFFER = (  # options that change neither the shape nor the meaning of a weight
    *("model.dropout", "model.attention_dropout", "model.activation_dropout", "model.attention"),
    *("model.source_vectors", "model.target_vectors"),
    *("model.alignment_layer", "model.alignment_head"),
)


def earlier_tokenizers(config: Config) -> Tokenizers:
    """Load the tokenizers of the model `training.start_from`.

    Raises:
        ModelNotFoundError: if the model does not exist.
        ConfigError: if `tokenizer.vocab_size` is not its vocabulary size.
    """
    assert config.training.start_from is not None
    home, _ = locate_weights(find_model(config.training.start_from))
    tokenizers = Tokenizers.load(home)
    if tokenizers.source.vocab_size != config.tokenizer.vocab_size:
        raise ConfigError(
            "tokenizer.vocab_size must be that of training.start_from. "
            f"Received: {config.tokenizer.vocab_size}, and {tokenizers.source.vocab_size} tokens in "
            f"{config.training.start_from}. Set tokenizer.vocab_size={tokenizers.source.vocab_size}."
        )
    return tokenizers


def with_earlier_alignment(config: Config, run: Path, ranks: Ranks, say: Callable[[str], None]) -> Config:
    """Return a configuration with the alignment layer and head of the model that it continues. Called by all ranks.

    They are inherited if the configuration gives neither: from the run itself if it has checkpoints, otherwise from
    `training.start_from`.

    Args:
        config: configuration of the run.
        run: run directory, read by rank 0 alone.
        ranks: ranks of the run.
        say: function that shows a line of rank 0.

    Raises:
        UserError: if the earlier model cannot be found or read; if it has no alignment head, and guided alignment
            requires one.
    """
    if config.model.names_alignment or config.model.architecture != "encoder_decoder":
        return config
    inherited = ranks.on_main(lambda: _earlier_alignment(config, run, say))
    return config.model_copy(update={"model": config.model.model_copy(update=inherited)})


def _earlier_alignment(config: Config, run: Path, say: Callable[[str], None]) -> dict[str, int | None]:
    """Return the options of word alignments to inherit; none if the earlier model has none, or other layers."""
    start = config.training.start_from
    if (run / CONFIG_FILE).exists() and step_checkpoints(run):
        origin, home = str(run), run
    elif start is not None:
        origin, (home, _) = start, locate_weights(find_model(start))
    else:
        return {}
    earlier, model = load_config(home / CONFIG_FILE).model, config.model
    found = {name: getattr(earlier, name) for name in ("alignment_layer", "alignment_head")}
    given = {f"model.{name}={value}" for name, value in found.items() if value is not None}
    if config.training.guided_alignment_weight and found["alignment_head"] is None:
        raise ConfigError(
            "training.guided_alignment_weight requires model.alignment_head, the head to train, and "
            f"{origin} has none to inherit. Set model.alignment_head=1."
        )
    is_same = (earlier.decoder_layers, earlier.decoder_heads) == (model.decoder_layers, model.decoder_heads)
    if not given or not is_same:  # other layers are refused when the weights are read
        return {}
    say(f"{' and '.join(sorted(given, reverse=True))} inherited from {origin}")
    return found


def initial_model(
    config: Config, tokenizers: Tokenizers, ranks: Ranks, say: Callable[[str], None], *, is_new: bool
) -> Model:
    """Build the model of a run in training mode. Called by all ranks.

    Args:
        config: configuration of the run.
        tokenizers: tokenizers of the run.
        ranks: ranks of the run.
        say: function that shows a line of rank 0.
        is_new: whether the run is new: its weights are then initialized on rank 0 and sent to all ranks. Those of a
            resumed run are read later.

    Raises:
        UserError: as `_initialize`, on every rank.
    """
    torch.manual_seed(config.seed)
    sizes = tokenizers.source.vocab_size, tokenizers.target.vocab_size
    model = build_model(config.model, *sizes, config.training.label_smoothing, len(config.data.labels))
    model = model.to(ranks.device)
    if is_new:
        ranks.on_main(lambda: _initialize(model, config, tokenizers, say))
        ranks.replicate(model)
    model.train()
    return model


def _initialize(model: Model, config: Config, tokenizers: Tokenizers, say: Callable[[str], None]) -> None:
    """Replace random weights by those of `training.start_from` and by word vectors, if the configuration names them.

    Args:
        model: newly built model, changed in place.
        config: configuration of the run.
        tokenizers: tokenizers of the run.
        say: function that shows a line.

    Raises:
        CheckpointError: if the earlier model has other sizes or another tokenizer.
        ConfigError: if it has another architecture.
        VectorsError: if a file of vectors cannot be used.
    """
    if config.training.start_from is not None:
        _start_from(config.training.start_from, model, config, tokenizers, say)
    if isinstance(model, EncoderDecoder):
        _start_from_vectors(model, config.model, tokenizers, say)


def _start_from(path: str, model: Model, config: Config, tokenizers: Tokenizers, say: Callable[[str], None]) -> None:
    """Copy the weights of an earlier model; a classifier keeps its random last layer."""
    home, file = locate_weights(find_model(path))
    earlier = load_config(home / CONFIG_FILE)
    changed = {
        key: values
        for key, values in differences(earlier, config).items()
        if key.startswith("model.") and not key.startswith(_MAY_DIFFER)
    }
    if changed:
        raise ConfigError(
            f"The model section must be that of training.start_from. Received: {path}, with differences in\n"
            f"{describe_differences(changed)}\nCopy these values, or choose another model."
        )
    weights, metadata = read_weights(file)
    if metadata.get("tokenizer") != tokenizers.fingerprint:
        raise CheckpointError(
            f"The tokenizer must be that of training.start_from. Received: {path}, with another tokenizer than "
            "the one in the output directory. Choose another output."
        )
    body = {name: weight for name, weight in weights.items() if not name.startswith(_HEAD)}
    own = {name: weight.detach() for name, weight in model.named_parameters() if name.startswith(_HEAD)}
    set_weights(model, body | own, path)
    say(f"{len(body)} tensors initialized from {path}")
    _report_decoding(path, earlier, config, say)


def _report_decoding(path: str, earlier: Config, config: Config, say: Callable[[str], None]) -> None:
    """Name the decoding options of an earlier model that a configuration leaves at their defaults."""
    unset = {
        f"decoding.{name}" for name in type(config.decoding).model_fields.keys() - config.decoding.model_fields_set
    }
    lost = {key: values for key, values in differences(earlier, config).items() if key in unset}
    if lost:
        say(
            f"warning: decoding options of {path} are not inherited. The defaults apply:\n"
            f"{describe_differences(lost)}\nTo keep them, set them in the section decoding."
        )


def _start_from_vectors(
    model: EncoderDecoder, config: ModelConfig, tokenizers: Tokenizers, say: Callable[[str], None]
) -> None:
    """Initialize the embeddings from the word vectors that the configuration names."""
    for side, path, tokenizer, embedding in (
        ("source", config.source_vectors, tokenizers.source, model.source_embedding),
        ("target", config.target_vectors, tokenizers.target, model.target_embedding),
    ):
        if path is not None:
            count = start_from_vectors(embedding, tokenizer, path)
            say(f"{count:,} of {tokenizer.vocab_size:,} {side} embeddings initialized from {path}")
