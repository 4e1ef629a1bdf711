"""Special tokens of every vocabulary, and the error of this package."""

from __future__ import annotations

from translator.errors import UserError

UNK_ID = 0
BOS_ID = 1
EOS_ID = 2
SENTINEL = "<hidden_{}>"  # sentinel tokens by number; the first is the mask


class TokenizerError(UserError):
    """A tokenizer that cannot be trained, read or used as requested."""
