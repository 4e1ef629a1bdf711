from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from changes import outline, reversed_words, rewritten
from markdown_it import MarkdownIt

from translator import Translator
from translator.documents.inline import Content
from translator.documents.markdown import MarkdownDocument
from translator.documents.translation import translate_contents

PAGE = """\
---
title: Ma page
---
La maison de ma mère
====================

> - Le **chat noir** dort sur le lit. Il utilise `pip install` et il regarde par
>   la fenêtre. Voici [la page](<http://exemple.fr/a b> "Le titre") et
>   [la clé][Clé].\\
>   ![Un chat noir](chat.png) Il pleut.

## Le jardin ##

| Nom | Prix \\| total |
|-----|:------:|
| Le chien | 12,50 |
| `code` | [la porte](b.html) |

1. Le pain
2. [ ] Le lait[^1]

       du code

```python
texte = "Le chat"
```

> [!NOTE]
> Il fait froid.

[^1]: Elle est petite.

<p align="center">Le <b>soleil</b> brille. <img alt="Une photo" src="x.png"></p>

<!-- un commentaire -->

* * *

[Clé]: http://exemple.fr/cle "Titre"
"""


def counts(text: str) -> Counter[str]:
    def walk(tokens: Any) -> Any:
        for token in tokens:
            yield token.type
            yield from walk(token.children or [])

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    found = Counter(walk(parser.parse(text.partition("---\n")[2].partition("---\n")[2])))
    return Counter({kind: count for kind, count in found.items() if kind not in ("text", "softbreak")})


def test_a_page_has_as_many_elements_after_translation(french_to_english: Translator) -> None:
    after = translate_contents(french_to_english, MarkdownDocument(PAGE.encode())).decode()
    assert counts(after) == counts(PAGE)
    assert after.startswith(
        "---\ntitle: Ma page\n---\nMy mother's house\n====================\n\n> - The **black cat** "
    )
    assert "\n## The garden ##\n" in after
    assert "| The dog | 12,50 |\n" in after


def test_code_links_front_matter_and_definitions_are_kept() -> None:
    after = rewritten(MarkdownDocument(PAGE.encode())).decode()
    assert counts(after) == counts(PAGE)
    for kept in (
        "---\ntitle: Ma page\n---\n",
        "`pip install`",
        '[LA PAGE](<http://exemple.fr/a b> "LE TITRE")',
        "\n>   CLÉ][Clé].\\\n>   ![",
        "![UN CHAT NOIR](chat.png)",
        "| NOM | PRIX \\| TOTAL |\n|-----|:------:|\n",
        "| `code` | [LA PORTE](b.html) |",
        '2. [ ] LE LAIT[^1]\n\n       du code\n\n```python\ntexte = "Le chat"\n```\n',
        "> [!NOTE]\n> IL FAIT FROID.\n",
        "[^1]: ELLE EST PETITE.",
        '<p align="center">LE <b>SOLEIL</b> BRILLE. <img alt="UNE PHOTO" src="x.png"></p>\n',
        "\n<!-- un commentaire -->\n\n* * *\n",
        '[Clé]: http://exemple.fr/cle "Titre"\n',
    ):
        assert kept in after, after


def test_a_wrapped_paragraph_is_wrapped_to_its_width() -> None:
    text = "- Le chat dort sur le lit de ma sœur et le chien\n  mange dans la cuisine de la\n  maison.\n"
    document = MarkdownDocument(text.encode())
    [content] = document.contents
    assert outline(content) == " ".join(text[2:].split())
    lines = document.write([("word " * 30,)]).decode().splitlines()
    assert lines[0].startswith("- word") and all(line.startswith("  word") for line in lines[1:])
    assert max(map(len, lines)) <= 49 and len(lines) == 4


def test_an_unchanged_page_is_the_same_text() -> None:
    document = MarkdownDocument(PAGE.encode())
    assert document.write(document.contents) == PAGE.encode()
    windows = PAGE.replace("\n", "\r\n").encode()
    document = MarkdownDocument(windows)
    assert document.write(document.contents) == windows


@pytest.mark.parametrize(
    "text",
    ["# Heading", "1. item", "- item", "> quotation", "+ item", "---", "===", "a * b * c", "*emphasis*", "_a_",
     "`code`", "[link](target)", "<b>", "&amp;", "a\\*b", "```", "~~~", "~~x~~", "12) item", "![x](y)",
     "| a | b |", "a_b_c 1*2*3"],
)  # fmt: skip
@pytest.mark.parametrize(
    "source", ["Texte.", "# Texte", "- Texte", "| Texte |\n|---|\n| x |", "Texte sur\ndeux lignes"]
)
def test_text_that_looks_like_markup_stays_text(text: str, source: str) -> None:
    document = MarkdownDocument(f"{source}\n".encode())
    contents = [(text,) if outline(content).startswith("Texte") else content for content in document.contents]
    again = MarkdownDocument(document.write(contents))
    assert [outline(content) for content in again.contents] == [outline(content) for content in contents]


@pytest.mark.parametrize("change", [reversed_words])
def test_elements_are_kept_in_any_order_of_words(change: Any) -> None:
    after = rewritten(MarkdownDocument(PAGE.encode()), change).decode()
    assert counts(after) == counts(PAGE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-\tun\n\n\tdeux\n", "-\tUN\n\n\tDEUX\n"),
        ("\u2028\nun\n", "\u2028\nUN\n"),
        ("un\n\x0c\n", "UN\n\x0c\n"),
        ("\u2028\nun\n===\n", "\u2028\nUN\n===\n"),
        ("un\n\n\u2028\n\ndeux\n", "UN\n\n\u2028\n\nDEUX\n"),
        ("a\0b\n", "A\ufffdB\n"),
    ],
)
def test_tabs_and_other_white_space_are_kept(text: str, expected: str) -> None:
    assert rewritten(MarkdownDocument(text.encode())).decode() == expected


@pytest.mark.parametrize("text", ["<pre>\nun\n\n\n", "<p>un</p>\n\n\ndeux\n", "<!-- x -->\n"])
def test_blank_lines_after_html_are_kept(text: str) -> None:
    expected = text.upper().replace("<P>", "<p>").replace("</P>", "</p>") if "<p>" in text else text
    assert rewritten(MarkdownDocument(text.encode())).decode() == expected


def test_html_inside_a_quotation_is_kept() -> None:
    text = "> <div>\n> texte\n> </div>\n"
    assert rewritten(MarkdownDocument(text.encode())) == text.encode()


def test_an_empty_page_stays_empty() -> None:
    def change(content: Content) -> Content:
        raise AssertionError

    assert rewritten(MarkdownDocument(b""), change) == b""
