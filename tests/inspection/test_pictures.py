from __future__ import annotations

import sys
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
import pytest

from translator.inspection.attention_maps import AttentionMap
from translator.inspection.embeddings import Projection
from translator.inspection.pictures import attention_picture, projection_picture
from translator.inspection.reading import InspectionError


@pytest.fixture
def attention() -> AttentionMap:
    """Layers of 1 and 2 heads over labels that mean something to a typesetter."""
    layers = tuple(np.full((heads, 2, 3), 1 / 3, dtype=np.float32) for heads in (1, 2))
    return AttentionMap("cross", ("▁$x_", "</s>"), ("▁50 $", "▁^{", "</s>"), layers)


def assert_is_picture(data: bytes, form: str) -> None:
    if form == "png":
        assert data.startswith(b"\x89PNG")
    else:
        assert ElementTree.fromstring(data).tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize(("layer", "head"), [(None, None), (2, None), (None, 1), (2, 2), (None, 2)])
def test_attention_is_drawn_whole_or_in_part(
    attention: AttentionMap, form: Literal["png", "svg"], layer: int | None, head: int | None
) -> None:
    assert_is_picture(attention_picture(attention, form, layer=layer, head=head), form)


def test_the_same_attention_gives_the_same_file(attention: AttentionMap) -> None:
    for form in ("png", "svg"):
        assert attention_picture(attention, form) == attention_picture(attention, form)  # type: ignore[arg-type]


def test_a_head_that_is_not_there_is_refused(attention: AttentionMap) -> None:
    with pytest.raises(
        InspectionError, match=r"A head of cross attention in layer 1 must be from 1 to 1. Received: 2."
    ):
        attention_picture(attention, "png", layer=1, head=2)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_words_are_drawn_in_two_or_three_dimensions(dimensions: int) -> None:
    points = np.eye(4, dimensions, dtype=np.float32)
    projection = Projection(("roi", "reine", "$_", "pain"), points, (0.5,) * dimensions)
    assert_is_picture(projection_picture(projection, "png"), "png")


def test_without_matplotlib_the_extra_is_named(attention: AttentionMap, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden: Any = None
    monkeypatch.setitem(sys.modules, "matplotlib.figure", hidden)
    with pytest.raises(
        InspectionError, match=r"PNG and SVG pictures require matplotlib.*pip install 'translator\[inspect\]'"
    ):
        attention_picture(attention, "png")
