"""Pages that a browser shows without a network: one file each, data and program inside."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from translator.inspection.attention_maps import KINDS, AttentionMap, AttentionMaps, Kind
from translator.inspection.embeddings import Projection
from translator.inspection.reading import spell, word_groups

_PLACE = "{/*DATA*/}"


def attention_page(
    maps: AttentionMaps, *, kind: Kind = "encoder", layer: int = 1, head: int = 1, is_words: bool = False
) -> str:
    """A page that draws every layer and head, chooses among them, and answers to the pointer.

    Weights are rounded to 1/255 and compressed: a sentence of 40 words in 6 layers of 8 heads takes a few hundred
    kilobytes at most.

    Args:
        maps: what to show.
        kind: what is shown first.
        layer: likewise, from 1.
        head: likewise, from 1.
        is_words: whether pieces are together as words at first.

    Raises:
        InspectionError: there is no such layer or head.
    """
    maps.of(kind).check(layer, head)
    data = {
        "source": maps.source,
        "target": maps.target,
        "first": {"kind": kind, "layer": layer - 1, "head": head - 1, "words": is_words},
        "maps": {name: _attention_data(maps.of(name)) for name in KINDS},
    }
    return _filled("attention.html", data)


def projection_page(projection: Projection) -> str:
    """A page that draws words in 2 or 3 dimensions; those in 3 turn under the pointer."""
    data = {
        "words": projection.words,
        "points": [[round(float(value), 4) for value in point] for point in projection.points],
        "explained": [round(share, 4) for share in projection.explained],
    }
    return _filled("projection.html", data)


def _attention_data(attention: AttentionMap) -> dict[str, Any]:
    """One kind of attention as the page reads it."""
    flat = np.concatenate([np.rint(weights * 255).astype(np.uint8).ravel() for weights in attention.layers])
    return {
        "heads": [len(weights) for weights in attention.layers],
        "queries": _labels(attention.queries),
        "keys": _labels(attention.keys),
        "weights": _compressed(flat),
    }


def _labels(pieces: tuple[str, ...]) -> dict[str, Any]:
    """Pieces, and the words that they make."""
    groups = word_groups(pieces)
    return {"pieces": pieces, "groups": groups, "words": [spell([pieces[i] for i in group]) for group in groups]}


def _compressed(values: NDArray[np.uint8]) -> str:
    """Bytes as the page's DecompressionStream("deflate") reads them."""
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode("ascii")


def _filled(template: str, data: dict[str, Any]) -> str:
    """A page with its data; no text in it can end the script."""
    page = Path(__file__).with_name(template).read_text(encoding="utf-8")
    assert page.count(_PLACE) == 1
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return page.replace(_PLACE, text)
