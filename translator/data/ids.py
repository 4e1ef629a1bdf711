"""Token ids of cleaned text, as files of the cache."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from translator.config import DataConfig
from translator.data.cleaning import TOO_MANY_TOKENS, Progress
from translator.data.labels import Labels
from translator.data.links import WordLinks
from translator.data.objectives import Objective
from translator.data.store import IntArray, Ragged, RaggedWriter
from translator.data.text import SIDES, CleanText
from translator.tokenizer import Tokenizer, Tokenizers

FORMAT = 1  # of the cached ids; incremented when their content or layout changes
ROWS_AT_ONCE = 2048


Encoder = Tokenizer | Labels | WordLinks


def encoders_of(tokenizers: Tokenizers, objective: Objective, data: DataConfig) -> tuple[Encoder, ...]:
    """Return the encoder of each text of a row."""
    match objective.form:
        case "pairs":
            return tokenizers.source, tokenizers.target
        case "aligned":
            return tokenizers.source, tokenizers.target, WordLinks()
        case "texts":
            return (tokenizers.source,)
        case "labelled":
            return tokenizers.source, Labels(data.labels)


def max_tokens(objective: Objective, lengths: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """Return upper bounds on source and target tokens, special tokens included, given the tokens of each text."""
    source, target = objective.bounds(lengths)
    return source + objective.specials[0], target + objective.specials[1]


def ids_dtype(encoder: Encoder) -> Any:
    """Return the smallest dtype that holds every id of an encoder."""
    return np.min_scalar_type(encoder.vocab_size - 1)


def tokenize(
    folder: Path,
    text: CleanText,
    encoders: Sequence[Encoder],
    objective: Objective,
    max_positions: int,
    log: Callable[[str], None],
) -> None:
    """Write the ids of cleaned text into a folder of the cache, with the counts and tokens of each source."""
    num_sources = len(text.report)
    kept, dropped = np.zeros((2, num_sources), np.int64)
    tokens = np.zeros((2, num_sources))
    longest = np.zeros(2, np.int64)
    progress = Progress("Tokenizing", len(text), log)
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(RaggedWriter(folder, side)) for side in SIDES[objective.form]]
        index_file = stack.enter_context((folder / "text_index").open("wb"))
        for start in range(0, len(text), ROWS_AT_ONCE):
            numbers = text.kept(slice(start, start + ROWS_AT_ONCE))
            sides = [encoder.encode_arrays(texts) for encoder, texts in zip(encoders, text.take(numbers), strict=True)]
            counted = [np.array([len(row) for row in side]) for side in sides]
            lengths = np.stack(max_tokens(objective, counted))  # (2, rows)
            fits = np.flatnonzero(objective.positions(*lengths) <= max_positions)
            for writer, side, encoder in zip(writers, sides, encoders, strict=True):
                ids = Ragged.of_rows([side[row] for row in fits], ids_dtype(encoder))
                writer.write(ids.values.tobytes(), ids.lengths)
            index_file.write(numbers[fits].tobytes())

            origin = text.source_of(numbers)
            counts = np.bincount(origin[fits], minlength=num_sources)
            kept += counts
            dropped += np.bincount(origin, minlength=num_sources) - counts
            for side_number, length in enumerate(lengths):
                tokens[side_number] += np.bincount(origin[fits], length[fits], minlength=num_sources)
            longest = np.maximum(longest, lengths[:, fits].max(axis=1, initial=0))
            progress.reached(start + len(numbers))
    meta = {
        "kept": kept.tolist(),
        "dropped": [{TOO_MANY_TOKENS: count} for count in dropped.tolist()],
        "tokens": tokens.T.tolist(),
        "longest": longest.tolist(),
    }
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
