"""Conversion of weights from older formats.

Format 1 stored the self-attention projections as `query_projection` and `key_value_projection`. Format 2 stores
`query_key_value_projection`, their rows in this order. Cross-attention is the same in both.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_QUERY, _KEY_VALUE, _JOINT = (f".self_attention.{x}_projection." for x in ("query", "key_value", "query_key_value"))


def from_format_1(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of format 2 that compute what weights of format 1 compute.

    Args:
        weights: tensors by name. A projection whose counterpart is missing or of another shape keeps its name, which
            no model has.
    """
    converted: dict[str, Tensor] = {}
    for name, weight in weights.items():
        query, key_value = name.replace(_KEY_VALUE, _QUERY), name.replace(_QUERY, _KEY_VALUE)
        if query == key_value or not _can_be_joined(weights.get(query), weights.get(key_value)):
            converted[name] = weight
        elif name == query:
            converted[name.replace(_QUERY, _JOINT)] = torch.cat((weight, weights[key_value]))
    return converted


def _can_be_joined(query: Tensor | None, key_value: Tensor | None) -> bool:
    if query is None or key_value is None or 0 in (query.ndim, key_value.ndim):
        return False
    return query.shape[1:] == key_value.shape[1:]
