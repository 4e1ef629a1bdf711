"""Sharded training with FSDP2: weights, gradients and optimizer states are divided among the ranks.

A sharded tensor is a `DTensor`, of which each rank holds a part of the first dimension. The functions that take tensors
accept whole ones too, so that nothing else depends on whether a model is sharded. Those that communicate say so, and
must be called by all ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from translator.checkpoint import check_shapes, weights_of
from translator.config import TrainingConfig
from translator.model import Model
from translator.model.dropout import DropoutKeys
from translator.model.layers import FeedForward, TransformerLayer
from translator.ranks import RankError
from translator.training.parallel import Ranks, communication, is_sharded, whole

if TYPE_CHECKING:  # slow imports, which only sharded runs need
    from torch.distributed.device_mesh import DeviceMesh


def shard(model: Model, ranks: Ranks, options: TrainingConfig, dtype: torch.dtype, *, static_shapes: bool) -> None:
    """Divide a model among the ranks, in place. Its gradients are then summed over the ranks in each backward pass.

    The linear layers of each Transformer layer are one group: they are gathered before the layer is computed, and freed
    after it. Embeddings and norms are the last group, which stays gathered during a step, because the first and the
    last operation of the model need it.

    Args:
        model: model with the same weights on all ranks.
        ranks: ranks of the run; with one rank, nothing is done.
        options: the options `parallel` and `compile` are read; `parallel: replicate` does nothing. With `compile`, the
            sublayers are compiled, each by itself: what gathers and frees their weights runs between them, and would
            break the graph of a compiled loss at every layer (torch 2.13).
        dtype: data type of matrix products. In bfloat16, linear layers are gathered in bfloat16; their gradients are
            summed in float32, and so are the weights.
        static_shapes: whether all batches have the same shapes.

    Raises:
        RankError: if `hybrid` cannot divide the ranks into machines.
    """
    if options.parallel == "replicate" or ranks.world_size == 1:
        return
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    mesh = _mesh(ranks, options.parallel)
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    groups: list[Any] = []
    for layer in [module for module in model.modules() if isinstance(module, TransformerLayer)]:
        layer.product_dtype = dtype  # the stored weights are float32
        sublayers: list[nn.Module | None] = [layer.self_attention, layer.cross_attention, layer.feed_forward]
        parts = [part for part in sublayers if part is not None]
        if options.compile:
            for part in parts:
                compile_sublayer(part, static_shapes=static_shapes)
        groups.append(fully_shard(parts, mesh=mesh, mp_policy=policy)[0])
    groups.append(fully_shard(model, mesh=mesh))
    for method in ("loss", "guided_loss"):
        if hasattr(model, method):
            register_fsdp_forward_method(model, method)
    for group in groups:
        # A sum, because the gradients are divided by the number of tokens of all ranks
        group.set_gradient_divide_factor(1.0)
        group.set_force_sum_reduction_for_comms(True)  # gloo has no product with a factor


def compile_sublayer(part: nn.Module, *, static_shapes: bool) -> None:
    """Compile a sublayer, in place. Layers of equal options share the compiled code.

    Args:
        part: attention or feed-forward network.
        static_shapes: whether all batches have the same shapes.
    """
    compiled = torch.compile(part.forward, dynamic=not static_shapes)

    def forward(x: Tensor, keys: DropoutKeys | None = None) -> Any:
        return compiled(x, None if keys is None else _SiteKeys(keys.tokens_at(FeedForward.site)))

    part.forward = forward if isinstance(part, FeedForward) else compiled


@dataclass(frozen=True)
class _SiteKeys:
    """Keys of dropout at one site, in place of `DropoutKeys` in a compiled sublayer.

    The number of the first site differs between layers. Compiled code would hold it as a constant, one version per
    layer, or multiply it as a variable, which overflows in the compiler.

    Attributes:
        tokens: `(num_tokens,)` int64, key of each token.
    """

    tokens: Tensor

    def tokens_at(self, site: int) -> Tensor:
        """Return the keys; `site` must be theirs."""
        return self.tokens


def _mesh(ranks: Ranks, kind: str) -> DeviceMesh:
    """Return all ranks in one dimension, or machines and their ranks in two."""
    from torch.distributed.device_mesh import init_device_mesh

    shape: tuple[int, ...] = (ranks.world_size,)
    names: tuple[str, ...] = ("shard",)
    if kind == "hybrid":
        local = ranks.local_world_size
        if ranks.world_size % local:
            raise RankError(
                "training.parallel: hybrid requires the same number of ranks on every machine. "
                f"Received: {ranks.world_size} ranks, {local} of them on this machine. Use training.parallel=shard."
            )
        shape, names = (ranks.world_size // local, local), ("replicate", "shard")
    with communication():
        return init_device_mesh(ranks.device.type, shape, mesh_dim_names=names)


def gather(tensors: Mapping[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """Return whole tensors on rank 0. Communicates if tensors are sharded; other ranks then get no tensors.

    Args:
        tensors: tensors by name, the same names in the same order on all ranks.
        ranks: ranks of the run.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        complete = whole(tensor)
        if ranks.is_main or not is_sharded(tensor):
            found[name] = complete
    return found


def part_of(tensor: Tensor, like: Tensor) -> Tensor:
    """Return the part of a whole tensor that this rank holds of `like`, as a sharded tensor if `like` is one.

    Args:
        tensor: the same on all ranks.
        like: tensor of the same shape.
    """
    if not is_sharded(like):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    placed = tensor.to(like.device)
    return distribute_tensor(placed, like.device_mesh, like.placements, src_data_rank=None)  # without communication


@torch.no_grad()
def load_weights(model: nn.Module, weights: Mapping[str, Tensor], origin: Path | str) -> None:
    """Copy whole weights into a model on every rank. Where it is sharded, each rank takes its part.

    Raises:
        CheckpointError: if names or shapes differ.
    """
    check_shapes(model, weights, origin)
    for name, parameter in weights_of(model).items():
        parameter.copy_(part_of(weights[name], parameter))
