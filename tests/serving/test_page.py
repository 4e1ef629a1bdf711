"""The page in a browser, on a wide and on a narrow screen. TRANSLATOR_SCREENSHOTS names a folder for screenshots."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_server import Serve

from translator import Translator

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
TEXT = "Le chat dort. Où est la gare ?"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Any, shipped: Translator, serve: Serve) -> Iterator[Any]:
    """Return the page after the text was typed and translated; requests to other servers fail."""
    url = serve(shipped)
    size = request.param
    context = browser.new_context(viewport=SIZES[size], has_touch=size == "phone", locale="en-GB")
    found = context.new_page()
    found.set_default_timeout(60_000)
    problems: list[str] = []
    found.on("pageerror", lambda error: problems.append(str(error)))
    found.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    found.on("request", lambda sent: problems.append(sent.url) if not sent.url.startswith((url, "data:")) else None)
    found.goto(url)
    found.locator("#input").press_sequentially(TEXT, delay=5)
    found.locator("#target-words .word").first.wait_for()
    yield found
    if folder := os.environ.get("TRANSLATOR_SCREENSHOTS"):
        found.screenshot(path=str(Path(folder) / f"{request.node.name}.png"), full_page=True)
    context.close()
    assert problems == []


def texts(page: Any, selector: str) -> list[str]:
    found: list[str] = page.locator(selector).all_inner_texts()
    return found


def test_typed_text_is_translated_sentence_by_sentence(page: Any, shipped: Translator) -> None:
    page.locator("#output .sentence").nth(1).wait_for()
    expected = [shipped.translate(text).text for text in ("Le chat dort.", "Où est la gare ?")]
    assert texts(page, "#output .sentence") == expected
    assert texts(page, "h2")[:2] == ["French", "English"]
    assert "2 sentences" in page.locator("#status").inner_text()
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]  # nothing to scroll sideways


def test_pointing_at_a_word_marks_the_words_that_it_comes_from(page: Any) -> None:
    page.locator("#output .sentence").first.click()
    page.locator("#source-words", has_text="chat").wait_for()
    page.locator("#target-words .word", has_text="cat").hover()
    marked = page.locator("#source-words .word[style*='background']")
    assert "chat" in marked.all_inner_texts()
    assert "attention 0." in marked.first.get_attribute("title")
    page.locator("#source-words .word", has_text="chat").hover()
    assert "cat" in texts(page, "#target-words .word[style*='background']")
    assert texts(page, "#source-words .word.pointed") == ["chat"]


def test_selecting_a_word_shows_translations_that_begin_alike(page: Any) -> None:
    page.locator("#output .sentence").nth(1).click()
    page.locator("#source-words", has_text="gare").wait_for()
    assert page.locator("#target-words .word.choice").count() > 0
    page.locator("#target-words .word", has_text="the").click()
    page.locator("#continuations li").first.wait_for()
    continued = texts(page, "#continuations li")
    assert len(continued) > 1 and all(text.startswith("Where is") for text in continued)
    page.locator("#continuations li button").nth(1).click()
    assert texts(page, "#output .sentence")[1] == continued[1]
    assert texts(page, "#continuations [aria-pressed=true]") == [continued[1]]
    chosen = [text for text in texts(page, "#translations li") if text == continued[1]]
    assert texts(page, "#translations [aria-pressed=true]") == chosen  # no other one


def test_choosing_another_translation_puts_it_into_the_text(page: Any) -> None:
    page.locator("#output .sentence").first.click()
    page.locator("#source-words", has_text="chat").wait_for()
    other = page.locator("#translations li button").nth(1)
    other.click()
    assert texts(page, "#output .sentence")[0] == other.inner_text()
    assert texts(page, "#translations [aria-pressed=true]") == [other.inner_text()]


def test_the_link_opens_the_attention_maps_of_the_sentence(page: Any) -> None:
    page.locator("#output .sentence").nth(1).click()
    page.locator("#source-words", has_text="gare").wait_for()
    with page.context.expect_page() as opened:
        page.locator("#maps").click()
    maps = opened.value
    maps.locator("text=gare").first.wait_for()
    if folder := os.environ.get("TRANSLATOR_SCREENSHOTS"):
        maps.screenshot(path=str(Path(folder) / f"maps-{page.viewport_size['width']}.png"), full_page=True)
    width = maps.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]


def test_keys_alone_select_a_sentence(page: Any) -> None:
    page.locator("#output .sentence").nth(1).wait_for()
    page.locator("#output .sentence").nth(1).focus()
    page.keyboard.press("Enter")
    page.locator("#source-words", has_text="gare").wait_for()
    assert page.locator("#output .sentence").nth(1).get_attribute("aria-pressed") == "true"
