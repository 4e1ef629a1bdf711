from __future__ import annotations

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
        "--document is mutually exclusive with --json, --n-best, --target-prefix and --alignment. Omit one of them."
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
