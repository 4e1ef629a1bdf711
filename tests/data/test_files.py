"""Reading text, CSV, JSON and Parquet files."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up import data_config, write_text

from translator.config import Source
from translator.data.corpus import DataError, read_rows
from translator.data.sources import open_source

PAIRS = [("l'été, « bon »", "the summer"), ("un\u2028deux", 'say "two"'), ("a\tb", "c d"), ("", "x"), ("😀", "smile")]
PLAIN = [("un", "one"), ("deux", "two"), ("trois", "three")]


def read(cache: Path, source: dict[str, Any], **options: Any) -> list[tuple[str, str]]:
    data = data_config(cache, source)
    return list(read_rows(data.train, data))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_aligned_files_are_read_line_by_line(tmp_path: Path, ending: str) -> None:
    write = gzip.open if ending else open
    for name, side in (("a.fr", 0), ("a.en", 1)):
        with write(tmp_path / (name + ending), "wb") as file:
            file.write("\n".join(pair[side] for pair in PAIRS).encode())
    text = {"source": str(tmp_path / f"a.fr{ending}"), "target": str(tmp_path / f"a.en{ending}")}
    assert read(tmp_path, {"text": text}) == PAIRS


def test_lines_end_at_newline_only(tmp_path: Path) -> None:
    odd = ["a\u2028b", "c\u0085d", "e\rf", "g\x0bh\x0ci\x1cj", "k\0l", "m"]
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf" + "\n".join(odd).encode())
    (tmp_path / "b").write_bytes(b"1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n")
    pairs = read(tmp_path, {"text": {"source": str(tmp_path / "a"), "target": str(tmp_path / "b")}})
    assert pairs == list(zip(odd, "123456", strict=True))


def test_unequal_line_counts_are_both_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x\n" * 7)
    (tmp_path / "b").write_text("x\n" * 4)
    with pytest.raises(DataError, match=r"the same number of lines\. Received: .*a with 7 lines, .*b with 4\."):
        read(tmp_path, {"text": {"source": str(tmp_path / "a"), "target": str(tmp_path / "b")}})
    with pytest.raises(DataError, match=r"b with 4 lines, .*a with 7\."):
        read(tmp_path, {"text": {"source": str(tmp_path / "b"), "target": str(tmp_path / "a")}})


def test_csv_is_quoted_and_tsv_is_not(tmp_path: Path) -> None:
    rows = [('a "b", c', "d\ne"), ("f", "g")]
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("fr", "en"), *rows])
    (tmp_path / "a.tsv").write_text('id\ten\tfr\n1\td "e\t"a\n2\tg\tf\n', encoding="utf-8")
    assert read(tmp_path, {"file": str(tmp_path / "a.csv")}) == rows
    assert read(tmp_path, {"file": str(tmp_path / "a.tsv")}) == [('"a', 'd "e'), ("f", "g")]


def test_text_and_label_are_read_from_named_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("review,label,stars\nbon,x,5\nmal,y,1\n")
    source = {"file": str(tmp_path / "a.csv"), "text_column": "review", "label_column": "stars"}
    data = data_config(tmp_path, source)
    assert list(read_rows(data.train, data, "labelled")) == [("bon", "5"), ("mal", "1")]


ROWS = [("oui, merci", "yes; thanks"), ("un, deux", "one"), ('dit "non"', "line\nbreak")]


@pytest.mark.parametrize("has_header", [True, False])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv_is_separated_by_commas_or_semicolons(
    tmp_path: Path, delimiter: str, quoting: Any, has_header: bool
) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
        writer.writerows([("en", "id", "fr")] * has_header + [(en, "7", fr) for fr, en in ROWS])
    source = {"file": str(tmp_path / "a.csv"), "header": has_header}
    if not has_header:
        source |= {"source_column": "2", "target_column": "0"}
    assert read(tmp_path, source) == ROWS


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.json", "a.tsv.xz", "a.csv.bz2", "a.jsonl.zst"])
def test_compressed_and_utf16_files_are_recognized_by_content(
    tmp_path: Path, name: str, compress: Callable[[bytes], bytes]
) -> None:
    table = {
        "tsv": "fr\ten\nété\tsummer\n",
        "csv": "fr,en\nété,summer\n",
        "jsonl": '{"fr": "été", "en": "summer"}\n',
        "json": '[{"fr": "été",\n "en": "summer"}]',
    }[name.split(".")[1]]
    for content in (table.encode(), table.encode("utf-16"), table.encode("utf-8-sig")):
        for written in (content, compress(content)):
            (tmp_path / name).write_bytes(written)
            assert read(tmp_path, {"file": str(tmp_path / name)}) == [("été", "summer")]


def test_aligned_files_may_differ_in_encoding(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("été\r\nhiver\r\n".encode("utf-16"))
    (tmp_path / "b").write_bytes(lzma.compress(b"summer\nwinter\n"))
    text = {"source": str(tmp_path / "a"), "target": str(tmp_path / "b")}
    assert read(tmp_path, {"text": text}) == [("été", "summer"), ("hiver", "winter")]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_lines_that_end_with_a_carriage_return_alone_are_a_short_error(tmp_path: Path, name: str) -> None:
    separator = "\t" if name == "a.tsv" else ","
    (tmp_path / name).write_text(f"fr{separator}en\r" + f"un{separator}one\r" * 10_000)
    with pytest.raises(DataError, match=r"Lines must end with|new-line character") as caught:
        read(tmp_path, {"file": str(tmp_path / name)})
    assert len(str(caught.value)) < 1000
    (tmp_path / "b.tsv").write_text("fr\ten\nun\tone\rdeux\ttwo\n")
    with pytest.raises(DataError, match=r"Received: 3 in row 1 of .*Lines must end with"):
        read(tmp_path, {"file": str(tmp_path / "b.tsv")})


@pytest.mark.parametrize("header", [True, False])
def test_a_tsv_file_of_carriage_returns_is_not_read_as_one_row(tmp_path: Path, header: bool) -> None:
    (tmp_path / "a.tsv").write_bytes(b"0\t1\rdeux\ttwo\rtrois\tthree\r")
    source = Source(
        file=str(tmp_path / "a.tsv"), header=header, source_column="0", target_column="three" if header else "2"
    )
    with pytest.raises(DataError, match=r"one row per line. Received: one line in .*contains"):
        list(open_source(source, data_config(tmp_path)))


VARIABLE = [
    {"language": ["en", "fr", "fr"], "translation": ["cat", "chat", "minou"]},
    {"language": ["en"], "translation": ["dog"]},
    {"language": ["fr", "de", "en"], "translation": ["été", "Sommer", "summer"]},
    None,
]
READ_VARIABLE = [("chat", "cat"), ("", "dog"), ("été", "summer"), ("", "")]


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "map.parquet", "map.jsonl"])
def test_languages_may_differ_from_row_to_row(tmp_path: Path, name: str) -> None:
    rows: list[Any] = VARIABLE
    kind = pa.struct({"language": pa.list_(pa.string()), "translation": pa.list_(pa.string())})
    if name.startswith("map"):
        rows = [row and list(zip(row["language"], row["translation"], strict=True)) for row in VARIABLE]
        kind = pa.map_(pa.string(), pa.string())
    if name.endswith("jsonl"):
        (tmp_path / name).write_text("".join(json.dumps({"translation": row}) + "\n" for row in rows))
    else:
        pq.write_table(pa.table({"translation": pa.array(rows, kind)}), tmp_path / name)
    source = {"file": str(tmp_path / name)}
    assert read(tmp_path, source) == READ_VARIABLE
    with pytest.raises(DataError, match=r"in both languages\. Received: .* in which es is empty in all rows \(4\)"):
        read(tmp_path, source | {"target_column": "es"})


@pytest.mark.parametrize("nested", [["ab"], [["fr", "a", "b"]], [1], {"language": "fr", "translation": "a"}, "fr"])
def test_a_translation_of_another_form_lacks_the_column(tmp_path: Path, nested: Any) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"translation": nested}) + "\n")
    with pytest.raises(DataError, match="Received: 'fr', which is not among translation"):
        read(tmp_path, {"file": str(tmp_path / "a.jsonl")})


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("un\tone\tx\ndeux\ttwo\ty\n")
    source = {"file": str(tmp_path / "a.tsv"), "header": False}
    assert read(tmp_path, source) == PLAIN[:2]
    assert read(tmp_path, source | {"source_column": "2", "target_column": "0"}) == [("x", "un"), ("y", "deux")]


@pytest.mark.parametrize("form", ["flat", "nested"])
@pytest.mark.parametrize("kind", ["parquet", "jsonl", "json", "json-lines-called-json", "json-data", "jsonl.gz"])
def test_columns_are_found_alone_or_inside_translation(tmp_path: Path, form: str, kind: str) -> None:
    rows: list[Any] = [{"en": b, "fr": a} for a, b in PAIRS]
    if form == "nested":
        rows = [{"id": 1, "translation": row} for row in rows]
    path = tmp_path / f"a.{kind.split('-')[0]}"
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "json":
        path.write_text(json.dumps(rows, indent=1))
    elif kind == "json-data":
        path.write_text(json.dumps({"data": rows}))
    else:
        path.write_bytes(gzip.compress(lines) if kind.endswith("gz") else lines)
    assert read(tmp_path, {"file": str(path)}) == PAIRS


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_arrow_type_of_text_is_text(tmp_path: Path, kind: Any) -> None:
    columns = {"fr": ["été", None], "en": ["summer", ""]}
    pq.write_table(
        pa.table({name: pa.array(texts).cast(kind) for name, texts in columns.items()}), tmp_path / "a.parquet"
    )
    assert read(tmp_path, {"file": str(tmp_path / "a.parquet")}) == [("été", "summer"), ("", "")]


def test_null_is_the_empty_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"fr": ["a", None], "en": [None, "b"]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"fr": "a", "en": null}\n\n{"fr": null, "en": "b"}\n')
    for name in ("a.parquet", "a.jsonl"):
        assert read(tmp_path, {"file": str(tmp_path / name)}) == [("a", ""), ("", "b")]
    rows = [{"translation": {"fr": "a", "en": "b"}}, {"translation": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "nested.parquet")
    (tmp_path / "nested.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("nested.parquet", "nested.jsonl"):
        assert read(tmp_path, {"file": str(tmp_path / name)}) == [("a", "b"), ("", "")]


def test_local_files_need_neither_a_home_nor_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translator.data.sources.cache_folder", None)
    assert read(tmp_path, write_text(tmp_path, PLAIN)) == PLAIN


def test_a_missing_column_names_those_that_exist(tmp_path: Path) -> None:
    pq.write_table(pa.table({"french": ["a"], "english": ["b"]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("french,english\na,b\n")
    (tmp_path / "a.jsonl").write_text('{"french": "a", "translation": {"english": "b"}}\n')
    for name, names in (
        ("a.parquet", "french, english"),
        ("a.csv", "french, english"),
        ("a.jsonl", "french, translation, translation.english"),
    ):
        with pytest.raises(DataError, match=rf"Received: 'fr', which is not among {names} in .*{name}"):
            read(tmp_path, {"file": str(tmp_path / name)})


def test_a_column_must_hold_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"fr": [1], "en": ["b"]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"fr": 1, "en": "b"}\n')
    for name in ("a.parquet", "a.jsonl"):
        with pytest.raises(DataError, match=r"Column fr must hold text. Received: int"):
            read(tmp_path, {"file": str(tmp_path / name)})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"fr": "a"\n', "valid JSON. Received: line 1 of"),
        ("a.jsonl", b"[1, 2]\n", "must be a JSON object. Received: list"),
        ("a.json", b"[1, 2", "valid JSON"),
        ("a.json", b'{"rows":\n []}', "a list of records"),
        ("a.tsv", b"fr\ten\na\n", "must have 2 fields. Received: 1 in row 1 .*Separate the fields with tabs"),
        ("a.tsv", b"fr\ten\nun\tdeux\tone, two\n", "must have 2 fields. Received: 3 in row 1 .*cannot contain a tab"),
        ("a.csv", b"fr,en\na,b\nun, deux,one\n", "must have 2 fields. Received: 3 in row 2 .*Quote fields"),
        ("a.tsv", b"un\tone\n", "'fr', which is not among un, one in .*set header: false"),
        ("a.csv", b"fr,en\na\n", "Received: 1 in row 1 of .*a.csv. Quote fields"),
        ("a.csv", b'fr,en\n"a,b\nc,d\n', "must quote fields as in RFC 4180"),
        ("a.parquet", b"PAR1 but no more", "must be a readable file"),
        ("a.jsonl.gz", b"not gzip at all", "valid JSON. Received: line 1 of"),
        ("a.json", b"[" * 100_000, "valid JSON"),
        ("a.tsv", b"PK\x03\x04 and so on", "a ZIP archive or an Office document, which is not supported"),
        ("a.jsonl.gz", gzip.compress(b"x" * 1000, mtime=0)[:-12], "must be a readable file"),
        ("a.docx", b"x", "must be .parquet, .jsonl, .json, .csv or .tsv"),
        ("a.tsv", b"", "must contain text. Received: .*a.tsv, which is empty"),
        ("a.tsv", b"fr\ten\n", "must hold at least one row"),
        ("a.tsv", None, "a file that exists. Received: .* \\(No such file or directory\\)"),
        ("a" * 300 + ".tsv", None, "a file that exists. Received: .* \\(File name too long\\)"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path, {"file": str(tmp_path / name)})


def test_a_folder_or_a_device_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder"):
        read(tmp_path, {"file": str(tmp_path)})
    with pytest.raises(DataError, match="not a regular file"):
        read(tmp_path, {"file": "/dev/zero"})


def test_a_name_that_begins_with_a_tilde_is_a_file_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~mixed.tsv").write_text("fr\ten\nun\tone\n")
    assert read(tmp_path, {"file": "~mixed.tsv"}) == PLAIN[:1]


def test_missing_files_are_reported_before_the_first_pair_is_read(tmp_path: Path) -> None:
    data = data_config(tmp_path, write_text(tmp_path, PLAIN), {"file": str(tmp_path / "missing.tsv")})
    with pytest.raises(DataError, match=r"missing.tsv"):
        read_rows(data.train, data)


def test_invalid_bytes_are_replaced_and_visible_to_cleaning(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"caf\xe9 noir\n")
    (tmp_path / "b").write_bytes(b"black\xff\xfe\n")
    source = {"text": {"source": str(tmp_path / "a"), "target": str(tmp_path / "b")}}
    assert read(tmp_path, source) == [("caf\ufffd noir", "black\ufffd\ufffd")]
    raw = next(open_source(Source.model_validate(source), data_config(tmp_path, source)))
    assert raw[0].encode("utf-8", "surrogateescape") == b"caf\xe9 noir"
    (tmp_path / "a.tsv").write_bytes(b"fr\ten\ncaf\xe9\tb\n")
    (tmp_path / "a.csv").write_bytes(b"fr,en\ncaf\xe9,b\n")
    (tmp_path / "a.jsonl").write_bytes(b'{"fr": "caf\xe9", "en": "b"}\n')
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"caf\xe9")])
    pq.write_table(pa.table({"fr": bad, "en": ["b"]}), tmp_path / "a.parquet")
    for name in ("a.tsv", "a.csv", "a.jsonl", "a.parquet"):
        assert read(tmp_path, {"file": str(tmp_path / name)}) == [("caf\ufffd", "b")]


def test_max_examples_stops_early(tmp_path: Path) -> None:
    assert read(tmp_path, write_text(tmp_path, PLAIN) | {"max_examples": 2}) == PLAIN[:2]
