from __future__ import annotations

import pytest
from syllables import TEXT, config

from translator.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXT, config(), seed=1)


@pytest.fixture(scope="session")
def bpe() -> Tokenizer:
    return Tokenizer.train(TEXT, config(model_type="bpe"), seed=1)
