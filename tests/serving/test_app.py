"""The HTTP interface: LibreTranslate's fields and paths, over a real socket."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from libretranslatepy import LibreTranslateAPI
from running_server import Serve, busy_server

import translator
from translator import Translator

FRENCH = ["Le chat dort.", "Où est la gare ?", "Je n'ai pas vu l'homme qui parlait."]


def post(client: httpx.Client, path: str = "/translate", **body: Any) -> httpx.Response:
    return client.post(path, json={"source": "fr", "target": "en", **body})


def text_of(random_translator: Translator, text: str) -> str:
    return random_translator.translate(text).text


def test_a_text_is_translated_as_the_library_does(client: httpx.Client, random_translator: Translator) -> None:
    for text in FRENCH:
        response = post(client, q=text)
        assert response.status_code == 200
        assert response.json() == {"translatedText": text_of(random_translator, text)}


def test_a_list_gives_a_list(client: httpx.Client, random_translator: Translator) -> None:
    assert post(client, q=FRENCH).json() == {
        "translatedText": [found.text for found in random_translator.translate(FRENCH)]
    }
    assert post(client, q=[]).json() == {"translatedText": []}
    assert post(client, q=["", " "]).json() == {"translatedText": ["", ""]}


def test_lines_of_a_text_are_kept(client: httpx.Client, random_translator: Translator) -> None:
    first, second = (text_of(random_translator, text) for text in FRENCH[:2])
    assert post(client, q=f"- {FRENCH[0]}\n\n{FRENCH[1]}\n").json() == {"translatedText": f"- {first}\n\n{second}\n"}


def test_alternatives_are_the_rest_of_the_n_best_list(client: httpx.Client, random_translator: Translator) -> None:
    for text in FRENCH[:2]:
        texts = [found.text for found in random_translator.translate(text, beam_size=4, num_hypotheses=4).hypotheses]
        found = post(client, q=text, alternatives=3).json()
        assert [found["translatedText"], *found["alternatives"]] == texts
    assert len(post(client, q=FRENCH, alternatives=1).json()["alternatives"]) == 3


def test_a_request_can_turn_the_guard_off(serve: Serve, shipped: Translator) -> None:
    text = "Appelez le 45 67 89 12."
    plain = shipped.translate(text, guard=False).text
    assert "12" not in plain
    with httpx.Client(base_url=serve(shipped), timeout=60, trust_env=False) as client:
        assert post(client, q=text).json()["translatedText"] == shipped.translate(text).text != plain
        assert post(client, q=text, guard=False).json() == {"translatedText": plain}
        [best] = post(client, q=[text], guard=False, alternatives=1).json()["translatedText"]
        assert "12" not in best
        for guard in (True, False):
            stream = post(client, "/translate/stream", q=text, guard=guard)
            assert stream.json()["translatedText"] == (shipped.translate(text).text if guard else plain)
        assert "guard: " in post(client, q=text, guard="maybe").json()["error"]


def test_html_keeps_its_tags(client: httpx.Client, random_translator: Translator) -> None:
    html = f'<p class="a">{FRENCH[0]}</p><script>x < "y"</script>'
    expected = text_of(random_translator, FRENCH[0]).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    found = post(client, q=html, format="html").json()["translatedText"]
    assert found == f'<p class="a">{expected}</p><script>x < "y"</script>'


def test_the_language_is_detected_and_text_in_the_target_language_returned(client: httpx.Client) -> None:
    found = post(client, q="Where is the station?", source="auto").json()
    assert found == {
        "translatedText": "Where is the station?",
        "detectedLanguage": {"confidence": 100.0, "language": "en"},
    }
    assert post(client, q=[FRENCH[1]], source="auto").json()["detectedLanguage"][0]["language"] == "fr"
    assert client.post("/detect", json={"q": FRENCH[1]}).json()[0]["language"] == "fr"


def test_the_public_client_works(url: str, random_translator: Translator) -> None:
    api = LibreTranslateAPI(url, api_key="any")
    assert api.translate(FRENCH[1], "fr", "en") == text_of(random_translator, FRENCH[1])
    assert api.detect("Where is the station?") == [{"confidence": 100.0, "language": "en"}]
    assert api.languages() == [
        {"code": "fr", "name": "French", "targets": ["en"]},
        {"code": "en", "name": "English", "targets": []},
    ]


def test_a_stream_has_one_object_per_sentence(client: httpx.Client, random_translator: Translator) -> None:
    with client.stream(
        "POST",
        "/translate/stream",
        json={"q": f"{FRENCH[0]} {FRENCH[1]}\n\n{FRENCH[2]}", "source": "fr", "target": "en"},
    ) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        found = [json.loads(line) for line in response.iter_lines()]
    assert found == [
        {"line": line, "source": text, "translatedText": text_of(random_translator, text)}
        for line, text in zip((0, 0, 1), FRENCH, strict=True)
    ]


def test_a_stream_that_takes_too_long_ends_with_an_error(serve: Serve, random_translator: Translator) -> None:
    address = serve(random_translator, timeout=0.2)
    with busy_server(address), httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        response = post(client, "/translate/stream", q=FRENCH[0])
    assert response.status_code == 200
    assert "took longer than 0.2 seconds" in json.loads(response.text)["error"]


def test_health_metrics_and_pages_answer(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    post(client, q=FRENCH[0])
    assert 'translator_requests_total{path="/translate",status="200"}' in client.get("/metrics").text
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
    for path in ("/", "/docs"):
        page = client.get(path)
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        assert "https://" not in page.text  # nothing is loaded from another host


def test_the_page_knows_its_languages_and_its_policy(client: httpx.Client) -> None:
    page = client.get("/")
    assert 'LANGUAGES = {source: "fr", target: "en"}' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_attention_page_shows_the_sentence(client: httpx.Client) -> None:
    page = client.get("/attention", params={"q": FRENCH[0]})
    assert page.status_code == 200 and FRENCH[0] in page.text


def test_explanation_has_the_best_translation(client: httpx.Client, random_translator: Translator) -> None:
    found = post(client, "/explain", q=FRENCH[0], alternatives=2).json()
    assert found["translations"][0]["text"] == text_of(random_translator, FRENCH[0])
    assert len(found["translations"]) == 3


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            "/translate",
            {"q": "a", "source": "de"},
            "translates from fr (or auto) to en. Received: source=de, target=en",
        ),
        ("/translate", {"q": "a", "target": "fr"}, "Received: source=fr, target=fr"),
        ("/translate", {"q": "a", "source": "x" * 500}, "more characters"),
        ("/translate", {}, "q: Field required"),
        ("/translate", {"q": 1}, "q: "),
        ("/translate", {"q": ["a", None]}, "q: "),
        ("/translate", {"q": ["a"] * 1001}, "at most 1000 items"),
        ("/translate", {"q": "a", "format": "pdf"}, "format: Input should be 'text' or 'html'"),
        ("/translate", {"q": "a", "alternatives": 10}, "alternatives: Input should be less than or equal to 9"),
        ("/translate", {"q": "a", "alternatives": -1}, "alternatives: "),
        ("/translate", {"q": "a", "alternatives": "1"}, "alternatives: Input should be a valid integer"),
        ("/translate/stream", {"q": ["a"]}, "q: "),
        ("/translate/stream", {"q": "a", "source": "en"}, "Received: source=en"),
        ("/explain", {"q": ""}, "must contain text"),
        ("/explain", {"q": "mot " * 200}, "at most"),
        ("/detect", {}, "q: Field required"),
    ],
)
def test_invalid_requests_receive_400_with_one_message(
    client: httpx.Client, path: str, body: dict[str, Any], message: str
) -> None:
    response = post(client, path, **body)
    assert response.status_code == 400
    assert list(response.json()) == ["error"]
    assert message in response.json()["error"]
    assert "\n" not in response.json()["error"] and len(response.json()["error"]) < 500


def test_unknown_paths_and_methods_have_the_form_of_errors(client: httpx.Client) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.get("/nothing").json() == {"error": "Not Found."}
    assert client.get("/translate").status_code == 405
    assert client.get("/translate").json() == {"error": "Method Not Allowed."}
    assert client.get("/attention").json()["error"].startswith("A sentence must contain text")


def test_a_full_queue_gives_429_and_the_time_to_wait(serve: Serve, random_translator: Translator) -> None:
    address = serve(random_translator, max_waiting=100)
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client, ThreadPoolExecutor(1) as pool:
        with busy_server(address):
            waiting = pool.submit(post, client, q="a" * 90)
            while "waiting_characters 91.0" not in client.get("/metrics").text:
                pass
            refused = post(client, q="b" * 90)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "at most 100 characters" in refused.json()["error"]
        assert waiting.result().status_code == 200
        assert post(client, q="b" * 90).status_code == 200


def test_a_translation_that_takes_too_long_gives_504(serve: Serve, random_translator: Translator) -> None:
    address = serve(random_translator, timeout=0.2)
    with busy_server(address), httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        response = post(client, q=FRENCH[0])
        assert response.status_code == 504
        assert "took longer than 0.2 seconds" in response.json()["error"]
        assert "waiting_characters 14.0" in client.get("/metrics").text  # removed when its turn comes


class BrokenTranslator(Translator):
    """Fails with an internal error."""

    def translate(self, texts: Any, **changes: Any) -> Any:
        raise RuntimeError(f"broken in {__file__}")


def test_an_internal_error_does_not_leak(
    serve: Serve, random_translator: Translator, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = BrokenTranslator(random_translator.engine, random_translator.tokenizers, random_translator.decoding)
    response = httpx.post(
        f"{serve(broken)}/translate", json={"q": "a", "source": "fr", "target": "en"}, trust_env=False
    )
    assert response.status_code == 500
    assert response.json() == {"error": "Internal error. The server's log has the details."}
    log = ""
    while "RuntimeError: broken in" not in log:  # written after the response
        log += capfd.readouterr().err


def test_texts_of_a_client_that_is_gone_are_not_translated(serve: Serve, random_translator: Translator) -> None:
    address = serve(random_translator)
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        with busy_server(address):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    f"{address}/translate",
                    json={"q": FRENCH[0], "source": "fr", "target": "en"},
                    timeout=0.3,
                    trust_env=False,
                )
            while 'path="/translate",status="499"' not in client.get("/metrics").text:
                pass
        post(client, q=FRENCH[1])
        assert "translator_batch_texts_sum 1.0" in client.get("/metrics").text


def test_64_clients_receive_their_own_translations(serve: Serve, shipped: Translator) -> None:
    texts = [f"Le train {number} part à {number % 24} heures." for number in range(100, 356)]
    url, clients = serve(shipped), 64
    expected = [found.text for found in shipped.translate(texts)]
    assert len(set(expected)) > 200

    def of_one_client(start: int) -> list[str]:
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as own:
            return [post(own, q=text).json()["translatedText"] for text in texts[start::clients]]

    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(of_one_client, range(clients)))
    assert found == [expected[start::clients] for start in range(clients)]


def test_the_page_is_installed_with_the_package() -> None:
    assert (Path(translator.__file__).parent / "serving" / "page.html").is_file()


def test_html_is_translated_as_a_whole_with_its_inline_tags(shipped: Translator, serve: Serve) -> None:
    html = (
        "<ul>\n<li>Le <b>chat noir</b> dort sur le <i>canapé rouge</i>.</li><li>Oui &amp; <code>a<b></code></li></ul>"
    )
    with httpx.Client(base_url=serve(shipped), timeout=60, trust_env=False) as client:
        found = post(client, q=html, format="html").json()["translatedText"]
    assert found.startswith("<ul>\n<li>The <b>black cat</b> sleeps on the <i>red couch</i>.</li><li>")
    assert found.endswith("</li></ul>") and "<code>a<b></code>" in found
