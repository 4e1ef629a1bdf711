from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from translator import Translator
from translator.cli import main

DOCUMENT = """\
# Titre

Le chat dort. Il fait froid, et les chiens qui sont dans la cour de la maison
ne dorment pas.\r
\r
- Où est la gare ?
- Ici.
***
"""


def translate(model: Path, data: bytes, tmp_path: Path, *arguments: str) -> int:
    (tmp_path / "in.txt").write_bytes(data)
    options = ["--max-length-factor", "0.2", "--beam-size", "1", "-i", str(tmp_path / "in.txt")]
    return main(["translate", str(model), "--document", *options, "-o", str(tmp_path / "out.txt"), *arguments])


def test_a_document_keeps_its_structure(model_directory: Path, tmp_path: Path) -> None:
    assert translate(model_directory, DOCUMENT.encode(), tmp_path) == 0
    written = (tmp_path / "out.txt").read_bytes().decode()
    options = {"max_length_factor": 0.2, "beam_size": 1, "split_sentences": True}
    paragraph = "Le chat dort. Il fait froid, et les chiens qui sont dans la cour de la maison ne dorment pas."
    found = Translator.load(model_directory).translate(["Titre", paragraph, "Où est la gare ?", "Ici."], **options)
    title, text, where, here = (translation.text for translation in found)
    head, body, items = written.split("\n\n", 1)[0], *written.split("\n\n", 1)[1].split("\n\r\n")
    assert head == f"# {title}"
    assert body.split() == text.split() and max(map(len, body.splitlines())) <= 77
    assert items == f"- {where}\n- {here}\n***\n"


def test_a_document_is_read_in_any_encoding_and_bad_bytes_are_replaced(model_directory: Path, tmp_path: Path) -> None:
    assert translate(model_directory, DOCUMENT.encode(), tmp_path) == 0
    written = (tmp_path / "out.txt").read_bytes()
    assert translate(model_directory, DOCUMENT.encode("utf-16"), tmp_path) == 0
    assert (tmp_path / "out.txt").read_bytes() == written
    assert translate(model_directory, b"\xff\n", tmp_path) == 0
    assert (tmp_path / "out.txt").read_bytes() == "\ufffd\n".encode()
    assert translate(model_directory, b"", tmp_path) == 0
    assert (tmp_path / "out.txt").read_bytes() == b""


def test_each_argument_is_a_document(model_directory: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    text = "Le chat\n\n* Le chien"
    assert main(["translate", str(model_directory), "--document", "--beam-size", "1", text, "Oui."]) == 0
    lines = capsysbinary.readouterr().out.decode().split("\n")
    assert lines[1] == "" and lines[2].startswith("* ") and len(lines) == 5


@pytest.mark.parametrize("option", [["--json"], ["--n-best", "2"], ["--target-prefix"], ["--alignment"]])
def test_a_document_excludes_output_by_line(
    option: list[str], model_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", str(model_directory), "--document", *option, "Oui."]) == 2
    assert (
        "A document is mutually exclusive with --json, --n-best, --target-prefix and --alignment. Omit one of them."
        in capsys.readouterr().err
    )


def test_sentences_of_a_document_are_split_unless_asked_otherwise(
    model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, object]] = []
    translate_texts = Translator.translate

    def record(self: Translator, texts: list[str], **changes: object) -> object:
        given.append(changes)
        return translate_texts(self, texts, **changes)  # type: ignore[arg-type]

    monkeypatch.setattr(Translator, "translate", record)
    for option in ([], ["--no-split-sentences"]):
        assert main(["translate", str(model_directory), "--document", "--beam-size", "1", *option, "Oui."]) == 0
    assert [changes["split_sentences"] for changes in given] == [True, False]


def test_a_file_given_as_an_argument_is_translated_in_its_format(model_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "a page.html").write_text("<p>Oui.</p><p>12 %</p>")
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nOui.\n\n")
    fast = ["--max-length-factor", "0.2", "--beam-size", "1"]
    for name, start, end in (("a page.html", "<p>", "</p><p>12 %</p>"), ("a.srt", "1\n00:00:01,000 -->", "\n\n")):
        for options in ([], ["--document"]):
            output = tmp_path / f"b{Path(name).suffix}"
            arguments = ["translate", str(model_directory), str(tmp_path / name), *fast, *options, "-o", str(output)]
            assert main(arguments) == 0
            assert output.read_text().startswith(start) and output.read_text().endswith(end)
            output.unlink()


def test_an_input_file_of_a_format_needs_the_flag(model_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>12 %</p>\n")
    (tmp_path / "none").write_bytes(b"")
    fast = ["--max-length-factor", "0.2", "--beam-size", "1", "-i", str(tmp_path / "a.html"), "-o", str(tmp_path / "b")]
    assert main(["translate", str(model_directory), *fast, "--document"]) == 0
    assert (tmp_path / "b").read_text() == "<p>12 %</p>\n"
    assert main(["translate", str(model_directory), *fast]) == 0
    assert (tmp_path / "b").read_text() != "<p>12 %</p>\n"


@pytest.mark.parametrize("text", ["Ouvrez le fichier rapport.docx", "rapport", "Bonjour.", "a.docx b.docx" * 900])
def test_a_sentence_is_not_a_file_name(text: str, model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fast = ["--max-length-factor", "0.2", "--beam-size", "1", "--quiet"]
    assert main(["translate", str(model_directory), text, *fast]) == 0
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["none.docx"], [], "An input must be a readable file. Received: none.docx (No such file or directory)."),
        (["folder.odt"], [], "An input must be a readable file. Received: folder.odt (Is a directory)."),
        (["a.pdf"], [], "The name of a document must end with .docx, "),
        (["a.html", "b.html"], [], "Documents are translated one by one. Received: a.html, b.html."),
        (["a.html"], ["-i", "b.html"], "Sentences as arguments and --input are mutually exclusive. Pass only one."),
        (["a.html"], ["--json"], "A document is mutually exclusive with --json"),
        (["a.html"], ["-o", "c.docx"], "The output of a .html document must end with .html, .htm or .xhtml."),
        (["a.html"], ["-o", "a.html"], "--output must not be the file that is read. Received: a.html."),
        (["a.html"], ["-o", "folder"], "--output must be a writable file. Received: folder"),
        (["a.docx"], ["-o", "c.docx"], "The .docx file must be a complete ZIP archive. Received: damaged"),
        (["a.srt"], ["-o", "c.srt"], "The .srt file must hold numbered subtitles"),
    ],
)  # fmt: skip
def test_documents_that_cannot_be_translated_give_one_message_and_no_file(
    names: list[str],
    options: list[str],
    message: str,
    model_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("folder", "folder.odt"):
        Path(name).mkdir()
    for name in ("a.html", "b.html", "a.docx", "a.pdf", "a.srt"):
        Path(name).write_text("<p>Oui.</p>")
    before = sorted(tmp_path.iterdir())
    assert main(["translate", str(model_directory), *names, *options]) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and said.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_an_input_that_cannot_be_read_is_reported(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", str(model_directory), "--document", "-i", "/proc/self/mem"]) == 2
    assert "The input must be readable. Received: Input/output error." in capsys.readouterr().err


def test_several_ranks_cannot_share_a_document(
    model_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for arguments in (["a.html"], ["--document", "-i", "a.html"]):
        assert main(["translate", str(model_directory), *arguments]) == 2
        assert "Several ranks process the lines of a file." in capsys.readouterr().err


def test_binary_documents_are_not_written_to_a_terminal(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.docx").write_bytes(b"")
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert main(["translate", str(model_directory), str(tmp_path / "a.docx")]) == 2
    os.close(controller)
    assert "The .docx document is not written to a terminal. Give --output." in capsys.readouterr().err
