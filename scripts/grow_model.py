"""Make a larger model that computes the same function: more layers and wider feed-forward networks.

    python -m scripts.grow_model fr-en-tiny runs/grown --encoder-layers 10 --d-ff 768

Training goes on from the larger model (`training.start_from`), so it does not learn again what the smaller one knows
(Chen et al., 2016, "Net2Net"). Each new layer is a copy of the layer below it whose sublayers add zero to the residual
stream (Wu et al., 2024, "LLaMA Pro"), so only pre-norm models can be grown. New feed-forward units have random input
weights and output weights of zero.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from translator.checkpoint import LoadedModel, build_with_weights, load_model, weights_of, write_bundle
from translator.checkpoint.location import find_model
from translator.config import Config
from translator.errors import UserError


def main() -> None:
    """Write the larger model that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make a larger model that computes the same function.")
    parser.add_argument("model", help="folder of a pre-norm model, or name of a bundled one")
    parser.add_argument("output", type=Path, help="folder to write")
    parser.add_argument("--encoder-layers", type=int, help="number of encoder layers (default: as the model)")
    parser.add_argument("--decoder-layers", type=int, help="number of decoder layers (default: as the model)")
    parser.add_argument("--d-ff", type=int, help="width of the feed-forward networks (default: as the model)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the input weights of new feed-forward units")
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("encoder_layers", "decoder_layers", "d_ff")}
    sizes = {name: size for name, size in sizes.items() if size is not None}
    try:
        write_bundle(grow(load_model(find_model(options.model)), sizes, options.seed), options.output)
    except UserError as error:
        parser.error(str(error))


def grow(model: LoadedModel, sizes: Mapping[str, int], seed: int) -> LoadedModel:
    """Return a larger model that computes the same function.

    Args:
        model: a pre-norm model whose feed-forward networks have no gate.
        sizes: new values of `encoder_layers`, `decoder_layers` and `d_ff`; none may be smaller than the model has.
        seed: seed of the input weights of new feed-forward units.

    Raises:
        UserError: if the model cannot be grown, or a size is smaller than the model has.
    """
    old = model.config.model
    if old.norm != "pre" or old.activation == "swiglu":
        raise UserError(
            "Only a pre-norm model without a gate in its feed-forward networks can be grown. "
            f"Received: {model.path}, with norm {old.norm} and activation {old.activation}."
        )
    for name, size in sizes.items():
        if size < getattr(old, name):
            raise UserError(f"{name} must be at least {getattr(old, name)}, which {model.path} has. Received: {size}.")
    config = _with_sizes(model.config, sizes)
    weights = weights_of(model.model)
    for stack in ("encoder", "decoder"):
        weights = _with_layers(
            weights, stack, getattr(old, f"{stack}_layers"), getattr(config.model, f"{stack}_layers")
        )
    weights = _with_units(weights, config.model.d_ff, torch.Generator().manual_seed(seed))
    return replace(model, config=config, model=build_with_weights(config, model.tokenizers, weights, model.path))


def _with_sizes(config: Config, sizes: Mapping[str, int]) -> Config:
    """Return the configuration of the larger model; the layer that is chosen for alignments moves with its weights."""
    old = config.model
    model = old.model_copy(update=dict(sizes))
    if old.alignment_layer is not None or old.alignment_head is not None:
        layer = (old.alignment_layer or old.decoder_layers) - 1
        first = math.ceil(layer * model.decoder_layers / old.decoder_layers)  # see `_with_layers`
        model = model.model_copy(update={"alignment_layer": first + 1})
    return config.model_copy(update={"model": model})


def _with_layers(weights: Mapping[str, Tensor], stack: str, old: int, new: int) -> dict[str, Tensor]:
    """Spread `old` layers evenly over `new`; the others are copies of the layer below that add zero."""
    prefix = f"{stack}.layers."
    spread = {name: weight for name, weight in weights.items() if not name.startswith(prefix)}
    previous = -1
    for layer in range(new):
        source = layer * old // new
        for name, weight in weights.items():
            if name.startswith(f"{prefix}{source}."):
                is_added = source == previous and ".output_projection." in name
                value = torch.zeros_like(weight) if is_added else weight.clone()
                spread[f"{prefix}{layer}." + name.removeprefix(f"{prefix}{source}.")] = value
        previous = source
    return spread


def _with_units(weights: Mapping[str, Tensor], d_ff: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Add feed-forward units whose output weights are zero, up to a width of `d_ff`."""
    wider = dict(weights)
    for name, weight in weights.items():
        if name.endswith("feed_forward.inner_projection.weight"):
            fresh = torch.randn(d_ff - len(weight), weight.shape[1], generator=generator) * weight.std()
            wider[name] = torch.cat([weight, fresh])
        elif name.endswith("feed_forward.inner_projection.bias"):
            wider[name] = torch.cat([weight, weight.new_zeros(d_ff - len(weight))])
        elif name.endswith("feed_forward.output_projection.weight"):
            wider[name] = torch.cat([weight, weight.new_zeros(len(weight), d_ff - weight.shape[1])], dim=1)
    return wider


if __name__ == "__main__":
    main()
