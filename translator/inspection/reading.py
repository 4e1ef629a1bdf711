"""Input of the inspection: the model, a sentence as tokens, and the grouping of tokens into words."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from translator.config import UserError
from translator.engines.torch_engine import TorchEngine
from translator.inference.translator import Translator
from translator.model import EncoderDecoder

_SPACE_MARK = "\u2581"
_MARKS = '.,;:!?…()[]«»“”"'


class InspectionError(UserError):
    """An inspection request that cannot be served."""


def encoder_decoder(translator: Translator) -> tuple[EncoderDecoder, torch.device]:
    """Return the model of a translator, and its device.

    Raises:
        InspectionError: if the model has another architecture, or does not run in PyTorch.
    """
    engine = translator.engine
    if not isinstance(engine, TorchEngine):
        raise InspectionError(
            f"Inspection requires a PyTorch model. Received: {type(engine).__name__}. Use engine: torch."
        )
    if not isinstance(engine.model, EncoderDecoder):
        raise InspectionError(
            f"Inspection requires an encoder-decoder model. Received: {type(engine.model).__name__}. "
            "Use a model with architecture: encoder_decoder."
        )
    return engine.model, engine.device


def read_sentence(translator: Translator, sentence: str) -> tuple[str, list[int]]:
    """Return a sentence as valid text, and the ids of its source tokens without EOS.

    Raises:
        InspectionError: if the sentence is empty, or too long to be translated without splitting.
    """
    sentence = as_text(sentence)
    ids = translator.tokenizers.source.encode(sentence)
    if not ids:
        raise InspectionError(f"A sentence must contain text. Received: {sentence!r}.")
    if len(ids) > translator.longest_source:
        raise InspectionError(
            f"A sentence must have at most {translator.longest_source} tokens. Received: {len(ids)} tokens. "
            "Pass a part of it."
        )
    return sentence, ids


def as_text(text: str) -> str:
    """Replace invalid characters, which a command-line argument may contain, by U+FFFD."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def word_groups(pieces: Sequence[str]) -> list[list[int]]:
    """Group tokens into words, as lists of indices.

    Punctuation, an elided article or pronoun (`l'`, `qu'`) and a special token are words of their own.
    """
    return [word for group in spaced_groups(pieces) for word in _parted(pieces, group)]


def spaced_groups(pieces: Sequence[str]) -> list[list[int]]:
    """Group tokens between spaces, as lists of indices; a special token is a group of its own."""
    groups: list[list[int]] = []
    for index, piece in enumerate(pieces):
        is_new = piece.startswith(_SPACE_MARK) or is_special(piece) or not groups or is_special(pieces[index - 1])
        if is_new:
            groups.append([])
        groups[-1].append(index)
    return groups


def _parted(pieces: Sequence[str], group: Sequence[int]) -> list[list[int]]:
    """Split the tokens between two spaces into words and punctuation marks."""
    texts = [pieces[index].removeprefix(_SPACE_MARK) for index in group]
    words = [[group[0]]]
    for place in range(1, len(group)):
        before, text = texts[place - 1], texts[place]
        # A word starts after "l'"; "'s", "'t", "'re" and similar endings belong to the word before.
        is_elision = before.endswith("'") and len("".join(texts[place:]).rstrip(_MARKS)) > 2
        if is_elision or _is_mark(text) or _is_mark(before):
            words.append([])
        words[-1].append(group[place])
    return words


def _is_mark(text: str) -> bool:
    return bool(text) and all(character in _MARKS for character in text)


def is_special(piece: str) -> bool:
    """Return True if a token is special, not text."""
    return piece in ("<unk>", "<s>", "</s>")


def spell(pieces: Sequence[str]) -> str:
    """Join tokens into text without spaces at the ends. Byte tokens are decoded; special tokens keep their names."""
    data = bytearray()
    for piece in pieces:
        is_byte = len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
        data += bytes([int(piece[3:5], 16)]) if is_byte else piece.encode()
    return data.decode("utf-8", "replace").replace(_SPACE_MARK, " ").strip()
