"""Training of SentencePiece models."""

from __future__ import annotations

import io
import itertools
import math
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import sentencepiece as spm

from translator.config import TokenizerConfig
from translator.errors import shorten
from translator.tokenizer.normalization import encodable, make_normalizer
from translator.tokenizer.vocabulary import BOS_ID, EOS_ID, SENTINEL, UNK_ID, TokenizerError

Item = TypeVar("Item")

# Unigram training sums counts per thread, so that the result depends on the number of threads.
_NUM_THREADS = 4
_MAX_SENTENCE_BYTES = 10_000  # SentencePiece leaves out longer ones
_MAX_PART_LENGTH = _MAX_SENTENCE_BYTES // 4  # characters, of at most 4 bytes each
_PART = re.compile(rf".{{1,{_MAX_PART_LENGTH - 1}}}(?:\s|\Z)|.{{1,{_MAX_PART_LENGTH}}}", re.DOTALL)


def sample_sentences(items: Iterable[Item], count: int, seed: int) -> list[Item]:
    """Return up to `count` items, sampled uniformly from a stream of unknown length.

    Reservoir sampling, algorithm L of Li (1994). Only the sample is held in memory. The same stream and seed give the
    same items in the same order.
    """
    rng = random.Random(seed)
    iterator: Iterator[Item] = iter(items)
    reservoir = list(itertools.islice(iterator, count))
    if len(reservoir) < count:
        return reservoir
    weight = 1.0
    while True:
        weight *= math.exp(math.log(1.0 - rng.random()) / count)
        skip = int(math.log(1.0 - rng.random()) / math.log1p(-weight)) if weight < 1.0 else 0
        item = next(itertools.islice(iterator, skip, None), None)
        if item is None:
            return reservoir
        reservoir[rng.randrange(count)] = item


def train_model(sentences: Iterable[str], config: TokenizerConfig) -> bytes:
    """Train a SentencePiece model.

    Args:
        sentences: the text, in an order that is part of the result. Sentences that are too long for SentencePiece are
            split at spaces, which does not change the words that it learns from.
        config: size and kind of the vocabulary.

    Returns:
        The serialized model.

    Raises:
        TokenizerError: if there is no text, or if `vocab_size` does not suit it.
    """
    texts = [part for sentence in sentences if sentence.strip() for part in _split_long(encodable(sentence))]
    if not texts:
        raise TokenizerError("A tokenizer must be trained on text, and all sentences are empty.")
    spm.set_min_log_level(3)
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type=config.model_type,
            vocab_size=config.vocab_size,
            character_coverage=config.character_coverage,
            byte_fallback=True,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            pad_id=-1,
            control_symbols=[SENTINEL.format(number) for number in range(config.sentinels)],
            num_threads=_NUM_THREADS,
            max_sentence_length=_MAX_SENTENCE_BYTES,
            minloglevel=3,
            normalizer=make_normalizer(config.normalization),
        )
    except RuntimeError as error:
        raise _explained(error, config) from error
    return model.getvalue()


def _split_long(text: str) -> Sequence[str]:
    """Split a text that SentencePiece would leave out, at spaces if possible."""
    if len(text) <= _MAX_PART_LENGTH or len(text.encode()) <= _MAX_SENTENCE_BYTES:
        return (text,)
    parts: list[str] = _PART.findall(text)
    return parts


def _explained(error: RuntimeError, config: TokenizerConfig) -> TokenizerError:
    """Return SentencePiece's error in terms of the configuration."""
    if limit := re.search(r"too high .*<= (\d+)", str(error)):
        return TokenizerError(
            f"tokenizer.vocab_size must be at most {limit[1]}: the text has no more pieces. "
            f"Received: {config.vocab_size}. Lower tokenizer.vocab_size or train on more text."
        )
    if limit := re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error)):
        return TokenizerError(
            f"tokenizer.vocab_size must be at least {limit[1]}: 256 bytes, {3 + config.sentinels} special tokens "
            f"and one piece per character. "
            f"Received: {config.vocab_size}. Raise tokenizer.vocab_size or lower tokenizer.character_coverage."
        )
    return TokenizerError(f"SentencePiece could not be trained on this text: {shorten(str(error))}")
