from __future__ import annotations

import polib
import pytest
from changes import outline, rewritten

from translator import Translator
from translator.documents.catalog import Catalog
from translator.documents.errors import DocumentError
from translator.documents.translation import translate_contents

HEADER = """\
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""
FILE = f"""\
# Traducteurs
{HEADER}#. une note
#: a.c:1
#, c-format
msgid "Bonjour %s, la maison est rouge."
msgstr ""

#, python-brace-format, fuzzy
msgctxt "liste"
msgid "{{count}} chat dort.\\n"
msgid_plural "{{count}} chats dorment.\\n"
msgstr[0] ""
msgstr[1] ""

msgid "Le chat"
msgstr "The tomcat"

msgid "Cliquez <a href=\\"%(url)s\\">ici</a>."
msgstr ""

msgid ""
"Le jardin\\n"
"\\n"
"- Du pain\\n"
"- Du lait"
msgstr ""

#~ msgid "Vieux"
#~ msgstr ""
"""


def read(data: bytes) -> polib.POFile:
    return polib.pofile(data.decode())


def test_messages_without_a_translation_receive_one(french_to_english: Translator) -> None:
    found = read(translate_contents(french_to_english, Catalog(FILE.encode())))
    hello, cat, tomcat, link, garden, old = found
    assert "%s" in hello.msgstr and hello.msgstr.endswith("the house is red.")
    assert hello.flags == ["c-format"] and hello.occurrences == [("a.c", "1")] and hello.comment == "une note"
    assert set(cat.msgstr_plural) == {0, 1} and cat.msgctxt == "liste" and cat.flags == ["python-brace-format", "fuzzy"]
    assert all(text.count("{count}") == 1 and text.endswith("\n") for text in cat.msgstr_plural.values())
    assert tomcat.msgstr == "The tomcat"
    assert link.msgstr.count('<a href="%(url)s">') == link.msgstr.count("</a>") == 1
    title, blank, *items = garden.msgstr.split("\n")
    assert (title, blank) == ("The garden", "") and [item[:2] for item in items] == ["- ", "- "]
    assert old.obsolete and old.msgstr == ""
    assert [entry.msgid for entry in found] == [entry.msgid for entry in polib.pofile(FILE)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%s a %d fois %(nom)s et %(prix).2f", "* a * fois * et *"),
        ("%1$s et %-5d et %.2f et %%", "* et * et * et *"),
        ("100 % de %i, 50 %", "100 % de *, 50 %"),
        ("{} {0} {nom!r} ${nom} {{ nom }} %{nom}", "* * * * * *"),
        ("un&nbsp;deux & trois", "un*deux & trois"),
        ("<b>un</b><br>deux <img src=x/>", "[un]|deux *"),
        ("<b>un", "|un"),
        ("un <img src=x> deux", "un * deux"),
        ("100 %de plus", "100 %de plus"),
    ],
)
def test_placeholders_and_tags_are_kept(text: str, expected: str) -> None:
    catalog = Catalog(f'msgid "{text}"\nmsgstr ""\n'.encode())
    assert [outline(content) for content in catalog.contents] == [expected]
    [entry] = read(rewritten(catalog, lambda content: content))
    assert entry.msgstr == text


@pytest.mark.parametrize(
    ("plurals", "expected"),
    [
        ("nplurals=1; plural=0;", {0: "CHATS"}),
        ("nplurals=3; plural=n;", {0: "CHAT", 1: "CHATS", 2: "CHATS"}),
        ("", {0: "CHAT", 1: "CHATS"}),
    ],
)
def test_plurals_have_as_many_forms_as_the_header_declares(plurals: str, expected: dict[int, str]) -> None:
    header = f'msgid ""\nmsgstr "Plural-Forms: {plurals}\\n"\n\n'
    catalog = Catalog(f'{header}msgid "chat"\nmsgid_plural "chats"\nmsgstr[0] ""\nmsgstr[1] ""\n'.encode())
    assert read(rewritten(catalog))[0].msgstr_plural == expected


def test_a_message_with_some_plural_forms_is_kept() -> None:
    data = f'{HEADER}msgid "chat"\nmsgid_plural "chats"\nmsgstr[0] "tomcat"\nmsgstr[1] ""\n'.encode()
    assert Catalog(data).contents == []
    assert read(rewritten(Catalog(data)))[0].msgstr_plural == {0: "tomcat", 1: ""}


@pytest.mark.parametrize(
    ("charset", "written"), [("ISO-8859-1", "ISO-8859-1"), ("CHARSET", "utf-8"), ("UTF-8", "utf-8")]
)
def test_the_encoding_is_kept(charset: str, written: str) -> None:
    text = HEADER.replace("UTF-8", charset) + 'msgid "été"\nmsgstr ""\n'
    found = rewritten(Catalog(text.encode(written)))
    assert read(found.decode(written).encode())[0].msgstr == "ÉTÉ"


def test_text_that_the_encoding_lacks_makes_it_utf8() -> None:
    catalog = Catalog((HEADER.replace("UTF-8", "ISO-8859-1") + 'msgid "x"\nmsgstr ""\n').encode())
    found = catalog.write([("€",)]).decode()
    assert "charset=UTF-8" in found and 'msgstr "€"' in found


def test_bytes_that_are_not_in_the_encoding_are_replaced() -> None:
    found = rewritten(Catalog(HEADER.encode() + b'# \xff\nmsgid "x"\nmsgstr ""\n'))
    assert "\ufffd" in found.decode()


def test_line_ends_are_kept() -> None:
    data = FILE.replace("\n", "\r\n").encode()
    assert rewritten(Catalog(data)).count(b"\r\n") == rewritten(Catalog(FILE.encode())).count(b"\n")


def test_an_empty_file_has_no_messages() -> None:
    assert Catalog(b"").contents == []


def test_other_text_is_refused() -> None:
    with pytest.raises(
        DocumentError, match=r"The \.po file must be a message catalog of gettext. Received: Syntax error"
    ):
        Catalog(b"Bonjour.\n")
