from __future__ import annotations

import pytest
from changes import outline
from markdown_it import MarkdownIt

from translator.documents.inline import Content, Span
from translator.documents.markdown_inline import InlineReader, shape, write_inline


def read(text: str) -> tuple[Content, InlineReader]:
    parser = MarkdownIt("commonmark", {"store_labels": True}).enable(["table", "strikethrough"])
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    [token] = parser.parseInline(text, {"references": {"REF": {"title": "", "href": "x"}}})
    reader = InlineReader({"REF": "Réf"})
    return reader.contents[reader.read(token)], reader


@pytest.mark.parametrize(
    ("text", "expected", "again"),
    [
        ("un *deux* __trois__ ~~quatre~~", "un [deux] [trois] [quatre]", None),
        ("`a  b` ``c`d`` `` `e` ``", "* * *", None),
        ("<b>un</b> <br> <kbd>Ctrl</kbd> <!-- x -->", "[un] | * *", None),
        ("<b>un <kbd>x", "|un *", None),
        ("un <kbd>a\nb</kbd>", "un *", None),
        ("<https://a.fr/> https://a.fr/b_c_d moi@a.fr", "* * *", None),
        ("[un](a(b)c) [deux](<a(b>) [trois](<a b>) [quatre]()", "[un] [deux] [trois] [quatre]", None),
        ("[un][ref] [deux][] [Ref]", "[un] [deux][] [Ref]", "[un][Réf] \\[deux\\]\\[\\] [Ref][Réf]"),
        ('[un](a "b") ![c](d "e")', "[un] *", None),
        ("un\\\ndeux", "un|deux", None),
        ("un  \ndeux", "un|deux", None),
        ("un\ndeux", "un deux", "un deux"),
        (
            "[^1]: un $x_1$ :smile: [x] 5 $ et 6 $",
            "* un * * [x] 5 $ et 6 $",
            "[^1]: un $x_1$ :smile: \\[x\\] 5 $ et 6 $",
        ),
        ("&eacute;\\* a * b", "é* a * b", "é\\* a * b"),
    ],
)
def test_inline_markup_is_read_and_written(text: str, expected: str, again: str | None) -> None:
    content, reader = read(text)
    assert outline(content) == expected
    assert write_inline(content, reader.contents) == (text if again is None else again)


def test_alternative_texts_and_titles_are_contents() -> None:
    content, reader = read('[un](a "Un titre") ![Une photo](d) ![12](e "3")')
    contents = [(f'{outline(each).upper()} ["]',) for each in reader.contents[:-1]]
    assert write_inline(content, contents) == '[un](a "UN TITRE [\\"]") ![UNE PHOTO \\["\\]](d) ![12](e "3")'


def test_empty_emphasis_is_left_out_but_empty_links_are_kept() -> None:
    content, reader = read("*a* [b](c)")
    emptied = tuple(Span(node.mark, ()) if isinstance(node, Span) else node for node in content)
    assert write_inline(emptied, reader.contents) == " [](c)"


def test_a_link_after_an_exclamation_mark_is_not_a_picture() -> None:
    content, reader = read("[b](c)")
    assert write_inline(("Oh!", *content), reader.contents) == "Oh\\![b](c)"


def test_only_punctuation_that_may_be_markup_is_escaped() -> None:
    text = "5 * 3 a*b* _c_ d_e ~f~~ R&D &amp; 1<2 <b> [g] `h` C:\\new \\* (i) #1."
    escaped = r"5 * 3 a\*b\* \_c\_ d_e ~f\~\~ R&D \&amp; 1<2 \<b> \[g\] \`h\` C:\new \\\* (i) #1."
    assert write_inline((text,), []) == escaped


def test_all_punctuation_can_be_escaped() -> None:
    content, reader = read("_a_ b")
    assert write_inline((*content, "(*)!"), reader.contents, is_escaped=True) == "*a* b\\(\\*\\)\\!"


def test_shapes_are_equal_for_equal_text_and_marks() -> None:
    assert shape(read("a  *b*")[0]) == shape(read("a _b_")[0]) != shape(read("a **b**")[0])
    assert shape(read("[a](b)")[0]) != shape(read("[a](c)")[0])
