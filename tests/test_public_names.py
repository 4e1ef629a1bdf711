from __future__ import annotations

import pytest

import translator


@pytest.mark.parametrize("name", translator.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(translator, name).__name__ == name


def test_other_names_are_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'translator' has no attribute 'Sampling'"):
        _ = translator.Sampling
