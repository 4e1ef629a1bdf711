"""Attention backends that a device does not support are reported, and replaced where that is requested."""

from __future__ import annotations

import pytest
from model_cases import random_batch, small_model
from torch import nn

from translator.model.attention import MultiHeadAttention
from translator.model.backends import attention_obstacle, use_supported_attention


def backends(model: nn.Module) -> set[str]:
    return {module.backend for module in model.modules() if isinstance(module, MultiHeadAttention)}


def test_triton_is_replaced_on_the_cpu_and_the_loss_is_that_of_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    model, batch = small_model(attention="triton"), random_batch([3, 5], [4, 2])
    assert attention_obstacle(model) is not None
    with pytest.raises(ValueError, match="backend triton cannot serve this"):
        model.loss(batch)
    use_supported_attention(model)
    assert backends(model) == {"auto"} and attention_obstacle(model) is None
    expected, _ = small_model(attention="auto").loss(batch)
    assert model.loss(batch)[0].equal(expected)


@pytest.mark.parametrize("backend", ["auto", "sdpa", "reference"])
def test_a_backend_that_serves_every_device_stays(backend: str) -> None:
    model = small_model(attention=backend)
    assert attention_obstacle(model) is None
    use_supported_attention(model)
    assert backends(model) == {backend}


def test_triton_stays_where_the_device_supports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr("translator.kernels.backends.find_spec", lambda name: name)
    model = small_model(attention="triton")
    use_supported_attention(model)
    assert backends(model) == {"triton"}
