from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from running_server import Serve, served

from translator import Translator
from translator.config import change_decoding
from translator.serving.service import Limits


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server around a translator, with limits, and returns its address."""
    with ExitStack() as stack:

        def start(translator: Translator, **limits: float) -> str:
            return stack.enter_context(served(translator, Limits(**limits)))  # type: ignore[arg-type]

        yield start


@pytest.fixture(scope="package")
def url(random_translator: Translator) -> Iterator[str]:
    """Return the address of a server with the default limits."""
    with served(random_translator, Limits()) as found:
        yield found


@pytest.fixture(scope="package")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as found:
        yield found


@pytest.fixture(scope="package")
def shipped() -> Translator:
    """Return the bundled model with greedy search: its translations of different texts differ."""
    translator = Translator.load("fr-en-tiny", "cpu")
    translator.decoding = change_decoding(translator.decoding, {"beam_size": 1})
    return translator
