"""HTML pages of attention maps and projections: one self-contained file each, which works without a network."""

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

_DATA_MARK = "{/*DATA*/}"


def attention_page(
    maps: AttentionMaps, *, kind: Kind = "encoder", layer: int = 1, head: int = 1, is_words: bool = False
) -> str:
    """Return an interactive page with the maps of all layers and heads.

    Weights are rounded to 1/255 and compressed: a sentence of 40 words in 6 layers of 8 heads takes a few hundred
    kilobytes.

    Args:
        maps: attention maps of a sentence pair.
        kind: kind of attention selected at first.
        layer: layer selected at first, from 1.
        head: head selected at first, from 1.
        is_words: merge tokens into words at first.

    Raises:
        InspectionError: if the layer or head does not exist.
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
    """Return a page that plots words in 2 or 3 dimensions; 3 dimensions can be rotated with the pointer."""
    data = {
        "words": projection.words,
        "points": [[round(float(value), 4) for value in point] for point in projection.points],
        "explained": [round(fraction, 4) for fraction in projection.explained],
    }
    return _filled("projection.html", data)


def _attention_data(attention: AttentionMap) -> dict[str, Any]:
    """Return the data of one kind of attention for the page."""
    flat = np.concatenate([np.rint(weights * 255).astype(np.uint8).ravel() for weights in attention.layers])
    return {
        "heads": [len(weights) for weights in attention.layers],
        "queries": _labels(attention.queries),
        "keys": _labels(attention.keys),
        "weights": _compressed(flat),
    }


def _labels(pieces: tuple[str, ...]) -> dict[str, Any]:
    """Return the tokens, and their groups that form words."""
    groups = word_groups(pieces)
    return {"pieces": pieces, "groups": groups, "words": [spell([pieces[i] for i in group]) for group in groups]}


def _compressed(values: NDArray[np.uint8]) -> str:
    """Compress for DecompressionStream("deflate"), in base64."""
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode("ascii")


def _filled(template: str, data: dict[str, Any]) -> str:
    """Fill a template with JSON, escaped so that no text can end the script element."""
    page = Path(__file__).with_name(template).read_text(encoding="utf-8")
    assert page.count(_DATA_MARK) == 1
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return page.replace(_DATA_MARK, text)
