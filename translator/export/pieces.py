"""The pieces of a SentencePiece model in another order, by editing its protocol buffer message.

A serialized model is a message whose field 1, repeated, holds the pieces. The id of a piece is its place. The other
fields, among them the normalization rules, are kept byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from translator.tokenizer import TokenizerError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5  # types of a piece
_PIECES = 1  # field of the model
_SPECIAL = {"<unk>": UNKNOWN, "<s>": CONTROL, "</s>": CONTROL}
_UNUSED_SCORE = -100.0


@dataclass(frozen=True)
class Piece:
    """A piece of a vocabulary.

    Attributes:
        text: spelling of the piece.
        score: log-probability in a unigram model.
        kind: one of the types above.
    """

    text: str
    score: float
    kind: int

    def to_field(self) -> bytes:
        """Return the piece as a field of the model."""
        text = self.text.encode()
        body = (
            b"\x0a" + _varint(len(text)) + text + b"\x15" + struct.pack("<f", self.score) + b"\x18" + _varint(self.kind)
        )
        return b"\x0a" + _varint(len(body)) + body


def read_pieces(model: bytes) -> list[Piece]:
    """Return the pieces of a serialized SentencePiece model, by id.

    Raises:
        TokenizerError: if the bytes are not such a model.
    """
    try:
        return [_piece(value) for number, value, _ in _fields(model) if number == _PIECES]
    except (AssertionError, IndexError, KeyError, ValueError, struct.error) as error:
        raise TokenizerError("A tokenizer must be a SentencePiece model. Received: data of another kind.") from error


def reordered(model: bytes, order: Sequence[str]) -> bytes:
    """Return a SentencePiece model that splits text alike and has the ids of `order`.

    Args:
        model: serialized model.
        order: every piece of the model, each once, and possibly others, which become unused pieces: they can be decoded
            and are not split into. `<unk>`, `<s>` and `</s>` are special tokens.
    """
    pieces = {piece.text: piece for piece in read_pieces(model)}
    found = [pieces.get(text, Piece(text, _UNUSED_SCORE, UNUSED)) for text in order]
    found = [Piece(piece.text, 0.0, _SPECIAL[piece.text]) if piece.text in _SPECIAL else piece for piece in found]
    if found == list(pieces.values()):
        return model
    rest = b"".join(field for number, _, field in _fields(model) if number != _PIECES)
    return b"".join(piece.to_field() for piece in found) + rest


def _piece(message: bytes | int) -> Piece:
    assert isinstance(message, bytes)
    fields = {number: value for number, value, _ in _fields(message)}
    text, score = fields[1], fields.get(2, bytes(4))
    assert isinstance(text, bytes) and isinstance(score, bytes)
    return Piece(text.decode(), struct.unpack("<f", score)[0], int(fields.get(3, NORMAL)))


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int, bytes]]:
    """Yield number, value and bytes of each field of a protocol buffer message."""
    place = 0
    while place < len(message):
        start = place
        key, place = _read_varint(message, place)
        value: bytes | int
        match key & 7:  # wire type: variable length, 8 bytes, length and bytes, 4 bytes
            case 0:
                value, place = _read_varint(message, place)
            case 1:
                value, place = message[place : place + 8], place + 8
            case 2:
                size, place = _read_varint(message, place)
                value, place = message[place : place + size], place + size
            case 5:
                value, place = message[place : place + 4], place + 4
            case wire_type:
                raise ValueError(f"wire type {wire_type}")
        if place > len(message):
            raise ValueError("the message ends within a field")
        yield key >> 3, value, message[start:place]


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """Return a number of variable length and the place after it."""
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
