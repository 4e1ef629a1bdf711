"""Rules that make a word alignment of cross-attention, compared. Chosen on the valid, reported on the test part.

    python benchmarks/alignment.py [--model fr-en] [--pairs 994]

The embedded corpus has the true alignment of its pairs. Each pair is read with its reference translation. Compared are
the attention of each head and of each layer's mean, and four ways to link words. Precision, recall and alignment error
rate are those of Och and Ney (2003).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import torch
from torch import Tensor

import translator
from translator import Translator
from translator.engines.torch_engine import TorchEngine
from translator.inference.alignment import word_weights
from translator.inspection.attention_maps import attention_maps
from translator.model import EncoderDecoder

Links = set[tuple[int, int]]
_CORPUS = Path(translator.__file__).parent / "data" / "embedded"


def by_target(table: Tensor) -> Links:
    """Link each target word to its best source word."""
    return {(place, column) for column, place in enumerate(table.argmax(dim=0).tolist()) if table[place, column]}


def by_source(table: Tensor) -> Links:
    """Link each source word to its best target word."""
    return {(place, column) for place, column in enumerate(table.argmax(dim=1).tolist()) if table[place, column]}


def by_target_then_source(table: Tensor) -> Links:
    """Link as `translator.inference.alignment.align` does."""
    links = by_target(table)
    linked = {place for place, _ in links}
    return links | {(place, column) for place, column in by_source(table) if place not in linked}


_RULE_OF_ALIGN = "target words, then source words without a link"
RULES: Mapping[str, Callable[[Tensor], Links]] = {
    "target words": by_target,
    _RULE_OF_ALIGN: by_target_then_source,
    "both (union)": lambda table: by_target(table) | by_source(table),
    "both (intersection)": lambda table: by_target(table) & by_source(table),
}


def used_by_align(model: Translator) -> str:
    """Return the attention and the rule that `translator translate --alignment` uses."""
    assert isinstance(model.engine, TorchEngine) and isinstance(model.engine.model, EncoderDecoder)
    layer, head = model.engine.model.alignment_layer, model.engine.model.alignment_head
    return f"layer {layer + 1}, {'mean' if head is None else f'head {head + 1}'}; {_RULE_OF_ALIGN}"


def links_of(pharaoh: str | None) -> Links:
    pairs = [link.split("-") for link in (pharaoh or "").split()]
    return {(int(source), int(target)) for source, target in pairs}


def attentions(model: Translator, row: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Yield each head and each mean of cross-attention, `(target words, source words)` by name."""
    cross = attention_maps(model, row["fr"], row["en"]).cross
    rows, columns = (len(model.tokenizers.target.encode(row["en"])), len(model.tokenizers.source.encode(row["fr"])))
    layers = [torch.from_numpy(layer)[:, :rows, :columns] for layer in cross.layers]
    for number, layer in enumerate(layers, 1):
        yield f"layer {number}, mean", layer.mean(dim=0)
        for head, weights in enumerate(layer, 1):
            yield f"layer {number}, head {head}", weights
    yield "mean of all layers", torch.stack([layer.mean(dim=0) for layer in layers]).mean(dim=0)


def count(model: Translator, rows: list[dict[str, Any]], chosen: set[str] | None = None) -> dict[str, Counter[str]]:
    """Return the numbers of links by choice: found, sure, right (sure or possible) and recalled (sure)."""
    counts: dict[str, Counter[str]] = {}
    source, target = model.tokenizers.source, model.tokenizers.target
    for row in rows:
        pieces = source.pieces(source.encode(row["fr"])), target.pieces(target.encode(row["en"]))
        sure, possible = links_of(row["alignment"]), links_of(row["possible_alignment"])
        for (name, weights), (rule, links_by) in product(attentions(model, row), RULES.items()):
            if chosen is not None and f"{name}; {rule}" not in chosen:
                continue
            found = links_by(word_weights(*pieces, weights)[2])
            numbers = {"found": len(found), "sure": len(sure), "recalled": len(found & sure)}
            counts.setdefault(f"{name}; {rule}", Counter()).update(numbers | {"right": len(found & (sure | possible))})
    return counts


def error_rate(counts: Counter[str]) -> float:
    return 1 - (counts["right"] + counts["recalled"]) / (counts["found"] + counts["sure"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fr-en")
    parser.add_argument("--pairs", type=int, default=10**9, help="maximum number of pairs of each part")
    options = parser.parse_args()
    model = Translator.load(options.model, "cpu", 1)
    chosen: set[str] | None = None
    for part in ("valid", "test"):
        table = parquet.read_table(_CORPUS / f"phrasebook-{part}.parquet").to_pylist()
        counts = count(model, [row for row in table if row["alignment"]][: options.pairs], chosen)
        best = sorted(counts, key=lambda name: error_rate(counts[name]))
        for name in best[:10]:
            each = counts[name]
            print(
                f"{part}: alignment error rate {error_rate(each):7.2%}, precision {each['right'] / each['found']:.2%}, "
                f"recall {each['recalled'] / each['sure']:.2%}: {name}",
                flush=True,
            )
        chosen = {best[0], used_by_align(model)}


if __name__ == "__main__":
    main()
