"""Tokenization with SentencePiece: training, encoding, subword sampling, decoding and special ids.

Text needs no preparation: SentencePiece normalizes typography, splits text into pieces and marks spaces in them, so
that pieces are joined to text again without further rules.
"""

from translator.tokenizer.normalization import standard_rules
from translator.tokenizer.pair import Tokenizers
from translator.tokenizer.tokenizer import Tokenizer
from translator.tokenizer.training import sample_sentences
from translator.tokenizer.vocabulary import BOS_ID, EOS_ID, UNK_ID, TokenizerError

__all__ = [
    "BOS_ID",
    "EOS_ID",
    "UNK_ID",
    "Tokenizer",
    "TokenizerError",
    "Tokenizers",
    "sample_sentences",
    "standard_rules",
]
