"""The bundled model, whose translations show where markup lands."""

from __future__ import annotations

import pytest

from translator import Translator


@pytest.fixture(scope="session")
def french_to_english() -> Translator:
    return Translator.load("fr-en-tiny", "cpu")
