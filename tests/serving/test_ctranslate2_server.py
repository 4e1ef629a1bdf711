"""The server with the engine `ctranslate2`: the same answers, but for the maps of all attention heads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from running_server import Serve

from translator import Translator
from translator.config import change_decoding
from translator.serving.explain import explain

pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")

SENTENCES = ["Le chat dort.", "Où est la gare ?", "Nous avons mangé du pain."]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        found = Translator.load("fr-en-tiny", "cpu", 1, engine="ctranslate2")
    found.decoding = change_decoding(found.decoding, {"beam_size": 1})
    return found


def test_translations_and_explanations_are_those_of_the_torch_engine(
    quick: Translator, shipped: Translator, serve: Serve
) -> None:
    url = serve(quick)
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        body = {"q": SENTENCES, "source": "fr", "target": "en"}
        expected = [found.text for found in shipped.translate(SENTENCES)]
        assert client.post("/translate", json=body).json() == {"translatedText": expected}
        for sentence in SENTENCES:
            answer = client.post("/explain", json={"q": sentence, "alternatives": 2, "prefix": "The"}).json()
            ours = explain(shipped, sentence, 2, "The")
            assert len(answer["translations"]) == 3
            assert answer["translations"][0]["text"] == ours.translations[0].text
            assert answer["target_words"] == [word.model_dump() for word in ours.target_words]
            for row, other in zip(answer["attention"], ours.attention, strict=True):
                assert row == pytest.approx(other, abs=2e-4)


def test_a_page_without_maps_of_all_heads_has_no_link_to_them(
    quick: Translator, shipped: Translator, serve: Serve
) -> None:
    assert "const HAS_MAPS = true;" in httpx.get(serve(shipped), trust_env=False).text
    url = serve(quick)
    assert "const HAS_MAPS = false;" in httpx.get(url, trust_env=False).text
    answer = httpx.get(f"{url}/attention", params={"q": SENTENCES[0]}, trust_env=False)
    assert answer.status_code == 400
    assert "requires a PyTorch model. Received: CTranslate2Engine." in answer.json()["error"]


def test_no_answer_is_lost_or_crossed_under_load(quick: Translator, serve: Serve) -> None:
    texts = [f"Le numéro est {number}." for number in range(480)]
    expected = [found.text for found in quick.translate(texts)]
    assert len(set(expected)) > 400  # a crossed answer would be seen
    url, found, local = serve(quick), {}, threading.local()

    def ask(number: int) -> None:
        client = local.__dict__.setdefault("client", httpx.Client(base_url=url, timeout=60, trust_env=False))
        answer = client.post("/translate", json={"q": texts[number], "source": "fr", "target": "en"})
        found[number] = answer.json()["translatedText"]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(len(texts))))
    assert [found[number] for number in range(len(texts))] == expected
