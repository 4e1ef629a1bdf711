from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

import numpy as np
import pytest

from translator import Embeddings, Translator
from translator.inspection.attention_maps import KINDS, AttentionMap, AttentionMaps, attention_maps
from translator.inspection.pages import attention_page, projection_page
from translator.inspection.reading import InspectionError


def data_of(page: str) -> Any:
    found = re.search(r"^const data = (.*);$", page, flags=re.M)
    assert found
    return json.loads(found[1])


def assert_stands_alone(page: str) -> None:
    """One file: one script, which it holds, and no address but the name of the SVG namespace."""
    assert re.findall(r"https?://[^\"' ]*", page) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<link|<img|\bsrc=|@import|url\(|fetch\(|import\(", page)
    assert page.count("<script>") == page.count("</script>") == 1
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n")


def random_maps(num_source: int, num_target: int, num_layers: int, num_heads: int) -> AttentionMaps:
    """Weights that no compression makes small."""
    generator = np.random.default_rng(0)

    def one(kind: Any, num_queries: int, num_keys: int) -> AttentionMap:
        weights = generator.random((num_layers, num_heads, num_queries, num_keys), dtype=np.float32)
        weights /= weights.max(axis=-1, keepdims=True)
        queries, keys = (tuple(f"▁mot{i}" for i in range(n)) for n in (num_queries, num_keys))
        return AttentionMap(kind, queries, keys, tuple(weights))

    maps = (one("encoder", num_source, num_source), one("decoder", num_target, num_target))
    return AttentionMaps("une phrase", "a sentence", *maps, one("cross", num_target, num_source))


def test_the_page_holds_every_weight_and_stands_alone(random_translator: Translator) -> None:
    maps = attention_maps(random_translator, "Le chat dort sur le canapé.")
    page = attention_page(maps)
    assert_stands_alone(page)
    data = data_of(page)
    assert data["source"] == maps.source and data["target"] == maps.target
    for kind in KINDS:
        found, expected = data["maps"][kind], maps.of(kind)
        values = np.frombuffer(zlib.decompress(base64.b64decode(found["weights"])), dtype=np.uint8)
        weights = np.concatenate([layer.ravel() for layer in expected.layers])
        np.testing.assert_allclose(values / 255, weights, atol=0.5 / 255 + 1e-6)
        assert tuple(found["queries"]["pieces"]) == expected.queries
        assert tuple(found["keys"]["words"]) == expected.as_words().keys
        assert found["heads"] == [4, 4]


def test_a_page_of_six_layers_of_eight_heads_is_under_a_megabyte() -> None:
    assert len(attention_page(random_maps(60, 60, 6, 8)).encode()) < 1_000_000


def test_the_page_begins_where_it_is_told() -> None:
    page = attention_page(random_maps(2, 3, 2, 4), kind="cross", layer=2, head=3, is_words=True)
    assert data_of(page)["first"] == {"kind": "cross", "layer": 1, "head": 2, "words": True}
    with pytest.raises(InspectionError, match=r"A layer of cross attention must be from 1 to 2. Received: 3."):
        attention_page(random_maps(2, 3, 2, 4), kind="cross", layer=3)


def test_no_sentence_can_break_the_page(random_translator: Translator) -> None:
    sentence = "</script><script>alert(1)</script> <!-- & \u2028 {/*DATA*/}"
    maps = attention_maps(random_translator, "oui", "yes")
    page = attention_page(AttentionMaps(sentence, sentence, maps.encoder, maps.decoder, maps.cross))
    assert_stands_alone(page)
    assert data_of(page)["source"] == sentence
    assert "innerHTML" not in page


def test_a_projection_has_a_page_too(random_translator: Translator) -> None:
    projection = Embeddings(random_translator, is_mean=True).projection(["chat", "gare", "pain", "<b>"], 3)
    page = projection_page(projection)
    assert_stands_alone(page)
    assert data_of(page)["words"] == ["chat", "gare", "pain", "<b>"]
    np.testing.assert_allclose(data_of(page)["points"], projection.points, atol=1e-4)
