from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from translator import Translation, Translator
from translator.config import ConfigError

TEXTS = [f"Le chat {number} dort sur le canapé." for number in range(40)]


@pytest.fixture
def two_torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def texts_of(translations: list[Translation]) -> list[str]:
    return [translation.text for translation in translations]


@pytest.mark.usefixtures("two_torch_threads")
def test_overlapping_calls_translate_as_one_call_and_keep_the_number_of_threads(random_translator: Translator) -> None:
    expected = texts_of(random_translator.translate(TEXTS, batch_tokens=512))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: random_translator.translate(TEXTS, batch_tokens=512), range(8)))
    assert all(texts_of(translations) == expected for translations in found)
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2  # what threads use that start later


def test_overlapping_asynchronous_calls_receive_their_own_results(random_translator: Translator) -> None:
    async def gather() -> list[Translation]:
        return list(await asyncio.gather(*(random_translator.atranslate(text, beam_size=2) for text in TEXTS)))

    assert texts_of(asyncio.run(gather())) == texts_of(random_translator.translate(TEXTS, beam_size=2))


def test_the_event_loop_goes_on_during_an_asynchronous_call(random_translator: Translator) -> None:
    async def count() -> int:
        task, turns = asyncio.create_task(random_translator.atranslate(TEXTS * 4)), 0
        while not task.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert len(task.result()) == len(TEXTS) * 4
        return turns

    assert asyncio.run(count()) > 3


def test_an_asynchronous_call_has_the_options_and_errors_of_translate(random_translator: Translator) -> None:
    found = asyncio.run(random_translator.atranslate(TEXTS[0], target_prefix="The", num_hypotheses=2))
    assert found == random_translator.translate(TEXTS[0], target_prefix="The", num_hypotheses=2)
    terms = {"chat": "dog"}
    found = asyncio.run(random_translator.atranslate("Le chat.", terms=terms))
    assert found == random_translator.translate("Le chat.", terms=terms) != random_translator.translate("Le chat.")
    with pytest.raises(ConfigError, match="beam_size"):
        asyncio.run(random_translator.atranslate(TEXTS, beam_size=0))
