"""What every look inside begins with: a model that can be looked into, and a sentence as its pieces."""

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
    """Something that cannot be looked at as asked."""


def encoder_decoder(translator: Translator) -> tuple[EncoderDecoder, torch.device]:
    """Return the model of a translator, and its device.

    Raises:
        InspectionError: if the model has another architecture, or does not run in PyTorch.
    """
    engine = translator.engine
    if not isinstance(engine, TorchEngine):
        raise InspectionError(f"Inspection requires a PyTorch model. Received: {type(engine).__name__}.")
    if not isinstance(engine.model, EncoderDecoder):
        raise InspectionError(
            f"Only an encoder-decoder model can be looked into. Received: {type(engine.model).__name__}. "
            "Translate with it (`translator translate`), or look into a model with architecture: encoder_decoder."
        )
    return engine.model, engine.device


def read_sentence(translator: Translator, sentence: str) -> tuple[str, list[int]]:
    """A sentence as valid text, and the ids of its source pieces without EOS.

    Raises:
        InspectionError: it is empty, or longer than what is translated whole.
    """
    sentence = as_text(sentence)
    ids = translator.tokenizers.source.encode(sentence)
    if not ids:
        raise InspectionError(f"A sentence must hold something to translate. Received: {sentence!r}.")
    if len(ids) > translator.longest_source:
        raise InspectionError(
            f"A sentence must have at most {translator.longest_source} pieces to be looked into. "
            f"Received: {len(ids)} pieces. Give a part of it."
        )
    return sentence, ids


def as_text(text: str) -> str:
    """The text with U+FFFD for what is no valid text, as an argument of the command line may hold."""
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
