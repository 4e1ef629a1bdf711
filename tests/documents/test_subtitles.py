from __future__ import annotations

import pytest
import srt
from changes import outline, rewritten

from translator import Translator
from translator.documents.errors import DocumentError
from translator.documents.inline import Atom, Content, Span, plain_text, write_marks
from translator.documents.subtitles import Subtitles, divide
from translator.documents.translation import translate_contents

FILE = """\
1
00:00:01,000 --> 00:00:03,000
<i>Je suis allé au marché</i>

2
00:00:03,200 --> 00:00:05,000
<i>avec ma sœur hier matin.</i>

7
00:00:06,000 --> 00:00:08,000 X1:10 X2:20
{\\an8}- Où est la gare ?
- Ici, <b>à gauche</b>.

8
00:00:08,100 --> 00:00:09,000
Il fait froid. Je crois que ma mère
a perdu les clés

9
00:00:09,200 --> 00:00:11,000
de la maison. C'est dommage.

"""


def cues(*texts: str, gap: float = 0.5) -> bytes:
    """Return subtitles of two seconds, with a pause between them."""
    return "".join(
        f"{number}\n{time(number * (2 + gap))} --> {time(number * (2 + gap) + 2)}\n{text}\n\n"
        for number, text in enumerate(texts, start=1)
    ).encode()


def time(seconds: float) -> str:
    return f"00:00:{int(seconds):02},{round(seconds % 1 * 1000):03}"


def read(data: bytes) -> list[str]:
    return [cue.content for cue in srt.parse(data.decode())]


def outlines(data: bytes) -> list[str]:
    return [outline(content) for content in Subtitles(data).contents]


def test_subtitles_keep_numbers_times_and_codes(french_to_english: Translator) -> None:
    after = translate_contents(french_to_english, Subtitles(FILE.encode())).decode()
    before, found = list(srt.parse(FILE)), list(srt.parse(after))
    assert [(cue.index, cue.start, cue.end, cue.proprietary) for cue in found] == [
        (cue.index, cue.start, cue.end, cue.proprietary) for cue in before
    ]
    texts = [cue.content for cue in found]
    assert all(text.startswith("<i>") and text.endswith("</i>") for text in texts[:2])
    assert (
        " ".join(texts[:2]).replace("</i> <i>", " ") == "<i>I went to the market with my sister yesterday morning.</i>"
    )
    assert texts[2].startswith("{\\an8}- Where is the station?\n- ") and texts[2].count("<b>") == 1
    assert texts[3].startswith("It's cold. I think my") and texts[4].endswith("house. It's a shame.")
    assert all(texts)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["Il dort", "bien."], ["Il dort *bien."]),
        (["Il dort.", "bien."], ["Il dort.", "bien."]),
        (["Il dort...", "bien."], ["Il dort... *bien."]),
        (["Il dort...", "Bien."], ["Il dort...", "Bien."]),
        (["Il dort,", "Pierre."], ["Il dort, *Pierre."]),
        (["Un film de Paul", "Avec Marie"], ["Un film de Paul", "Avec Marie"]),
        (["Il dort", "- bien."], ["Il dort", "bien."]),
        (["Oui. Il dort", "bien. Elle", "aussi. Oui."], ["Oui.", "Il dort *bien.", "Elle *aussi.", "Oui."]),
        (["un", "deux", "trois."], ["un *deux *trois."]),
        (["Il\ndort", "bien."], ["Il\ndort *bien."]),
        (["- Oui.\n- Il dort", "bien."], ["Oui.", "Il dort *bien."]),
        (["-Oui. -Non."], ["Oui. -Non."]),
        (["<i>Il dort</i>", "<i>bien.</i>"], ["Il dort *bien."]),
        (["<i>Il</i> dort", "bien."], ["[Il] dort *bien."]),
        (["{\\an8}<i>Oui.", "non</i>"], ["Oui.", "non|"]),
        (["♪ La la ♪", "la"], ["♪ La la ♪", "la"]),
        (["", "Oui."], ["", "Oui."]),
        (["是。", "12 个。"], ["是。", "12 个。"]),
    ],
)
def test_sentences_are_whole(texts: list[str], expected: list[str]) -> None:
    assert [text.strip() for text in outlines(cues(*texts))] == expected


def test_a_sentence_has_at_most_six_subtitles() -> None:
    assert [text.strip() for text in outlines(cues(*["un"] * 8))] == ["un *un *un *un *un *un", "un *un"]


def test_a_long_pause_ends_a_sentence() -> None:
    assert len(outlines(cues("Il dort", "bien.", gap=1))) == 1
    assert len(outlines(cues("Il dort", "bien.", gap=4))) == 2


def test_a_sentence_is_divided_among_its_subtitles() -> None:
    document = Subtitles(cues("<i>Il dort bien</i>", "<i>dans le jardin.</i>", "Oui."))
    written = read(document.write([("He sleeps well in the garden.",), ("Yes.",)]))
    assert written == ["<i>He sleeps well</i>", "<i>in the garden.</i>", "Yes."]


def test_word_alignment_moves_the_cut_a_little() -> None:
    mark = Atom(None)
    text = "one two three four five six"
    assert [plain_text(part) for part in divide((text,), [10, 10])] == ["one two three", "four five six"]
    first, _ = divide(("one two ", mark, "three four five six"), [10, 10])
    assert plain_text(first) == "one two"
    first, _ = divide((mark, f"{text} {text} {text}"), [10, 10])
    assert plain_text(first).count(" ") == 8


@pytest.mark.parametrize(
    ("text", "lengths", "parts"),
    [
        ("one, two three four", [10, 10], ["one, two", "three four"]),
        ("one two, three four five", [10, 10], ["one two,", "three four five"]),
        ("one", [10, 10], ["one", ""]),
        ("one two", [10, 10, 10], ["one", "two", ""]),
        ("one two three", [1, 1, 100], ["one", "two", "three"]),
        ("one two three", [100, 1, 1], ["one", "two", "three"]),
        ("one two three four", [30, 10], ["one two three", "four"]),
        ("", [1, 1], ["", ""]),
        ("one two", [5], ["one two"]),
    ],
)
def test_parts_are_proportional_and_as_few_as_possible_are_empty(
    text: str, lengths: list[int], parts: list[str]
) -> None:
    assert [plain_text(part) for part in divide((text,), lengths)] == parts


def test_a_span_over_a_cut_is_in_both_parts() -> None:
    content: Content = ("one ", Span(("<b>", "</b>"), ("two three",)), " four")
    assert [write_marks(part) for part in divide(content, [1, 1])] == ["one <b>two</b>", "<b>three</b> four"]


def test_long_lines_are_divided_into_as_many_as_before() -> None:
    two_lines, one_line = "Elle est partie\nhier.", "Elle est partie hier."
    document = Subtitles(cues(two_lines, one_line, two_lines, two_lines))
    long = " ".join(["word"] * 12)
    first, second, longer, short = read(document.write([(long,), (long,), (f"{long} {long}",), ("one two",)]))
    assert [len(line.split()) for line in first.split("\n")] == [6, 6]
    assert second == long
    assert [len(line.split()) for line in longer.split("\n")] == [8, 8, 8]  # two would be too wide
    assert short == "one two"


def test_line_ends_and_windows_text_are_read() -> None:
    data = cues("Été.").decode().replace("\n", "\r\n").encode("cp1252")
    assert rewritten(Subtitles(data)).decode() == cues("ÉTÉ.").decode().replace("\n", "\r\n")


def test_a_missing_number_is_given() -> None:
    data = b"00:00:01,000 --> 00:00:02,000\nOui.\n\n"
    assert rewritten(Subtitles(data)).startswith(b"1\n00:00:01,000")


def test_an_empty_file_stays_empty() -> None:
    assert rewritten(Subtitles(b"")) == b""


def test_other_text_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"The \.srt file must hold numbered subtitles"):
        Subtitles("Bonjour.\nÇa va ?\n".encode())
