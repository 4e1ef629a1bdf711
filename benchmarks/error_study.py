"""What is wrong with the translations of a model, judged line by line by a person, counted by class and by domain.

    python benchmarks/error_study.py translate fr-en --data data --name before --output lines.tsv
    # read lines.tsv; fill in the columns verdict, classes and reason
    python benchmarks/error_study.py keep lines.tsv benchmarks/error_study.tsv
    python benchmarks/error_study.py table benchmarks/error_study.tsv

`translate` draws 200 pairs of six domains from the validation sets `general/valid.parquet` and `multi30k/valid.parquet`
and translates them. A pair is drawn if the SHA-256 of the seed and its French is among the smallest of its domain, so
the draw does not depend on the order of the rows. Translations that were judged before keep their judgement: rows are
found again by the digests of French and translation. `keep` writes the rows without their texts, which are not ours to
publish, over those of the same model in a file of judgements. `table` counts.

Verdicts, given by comparing a translation with the French first and with the reference second:

- `right`: a translator would leave it as it is, or change a word by taste.
- `acceptable`: the meaning arrives; something small would be changed (a clumsy or unusual phrase, a nuance).
- `wrong`: a reader is misled, or does not understand, or something of the text is lost.

Classes of what is not right; a line may have several:

- `dropped`: a word or clause with content is not in the translation.
- `added`: the translation says something that the French does not, or says it twice.
- `sense`: a word or phrase has another meaning of the French word, the words of an idiom, or no relation to it; also
  French left as it is and invented words.
- `grammar`: the English is ill-formed, or who does what to whom, tense, mood or number of a noun is changed.
- `number`: a number, date, time or amount is changed.
- `name`: a proper name is changed or translated without need.
- `negation`: a negation is lost or added, or its scope is changed; `ne ... que` and `ne ... plus` too.
- `pronoun`: a pronoun refers to another person or thing, where the French decides it.
- `register`: the tone is off: stiff, coarse, too familiar, or a set phrase that nobody says so.

`reason` is one word of the judge's own that says more, such as `idiom`, `tense` or `clitic`. A line of which the French
and the reference do not say the same is judged by the French; its reason is `reference`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as parquet

from translator import Translator
from translator.evaluation.translation import translate_texts

SEED = 15
GENERAL, CAPTIONS = "general/valid.parquet", "multi30k/valid.parquet"
DOMAINS: Mapping[str, tuple[str, tuple[str, ...], int]] = {
    "everyday": (GENERAL, ("tatoeba",), 34),
    "subtitles": (GENERAL, ("opensubtitles", "scat"), 34),
    "debates": (GENERAL, ("hansard",), 33),
    "news": (GENERAL, ("wmt-news-dev",), 33),
    "literature": (GENERAL, ("novels", "tales", "gutenberg"), 33),
    "captions": (CAPTIONS, (), 33),
}  # domain: file, sources (none: the whole file), lines
CLASSES = ("dropped", "added", "sense", "grammar", "number", "name", "negation", "pronoun", "register")
VERDICTS = ("right", "acceptable", "wrong")
TEXTS = ("fr", "en", "translation")
KEPT = ("model", "domain", "source", "row", "french", "output", "verdict", "classes", "reason")

Row = dict[str, str]


def digest(text: str) -> str:
    """Return a digest that identifies a text without giving it away."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def draw(data: Path, seed: int) -> list[Row]:
    """Return the pairs of all domains, with where they were found."""
    drawn: list[Row] = []
    for domain, (file, sources, count) in DOMAINS.items():
        rows = [
            {
                "domain": domain,
                "source": row.get("source", Path(file).parent.name),
                "row": str(index),
                "french": digest(row["fr"]),
                "fr": row["fr"],
                "en": row["en"],
            }
            for index, row in enumerate(parquet.read_table(data / file).to_pylist())
            if not sources or row["source"] in sources
        ]
        drawn += sorted(rows, key=lambda row: digest(f"{seed}\t{row['fr']}"))[:count]
    return drawn


def translated(model: str, rows: Sequence[Row], name: str, judged: Iterable[Row]) -> list[Row]:
    """Return rows with translations, and with the judgement of those that were judged before."""
    translations = translated_texts(model, [row["fr"] for row in rows])
    known = {(row["french"], row["output"]): row for row in judged}
    result = []
    for row, translation in zip(rows, translations, strict=True):
        output = digest(translation)
        judgement = known.get((row["french"], output), {})
        result.append(
            row
            | {"model": name, "output": output, "translation": translation}
            | {column: judgement.get(column, "") for column in ("verdict", "classes", "reason")}
        )
    return result


def translated_texts(model: str, texts: Sequence[str]) -> list[str]:
    """Return the translations of texts with the options that the model ships with."""
    return translate_texts(Translator.load(model), texts, {})


def check(rows: Iterable[Row]) -> None:
    """Raise SystemExit for a judgement that is missing or that has an unknown verdict or class."""
    for row in rows:
        classes = row["classes"].split()
        if row["verdict"] not in VERDICTS or not set(classes) <= set(CLASSES):
            raise SystemExit(
                f"a verdict is one of {', '.join(VERDICTS)}, its classes are some of {', '.join(CLASSES)}. "
                f"Received: {row['verdict']!r}, {row['classes']!r} ({row['source']}, row {row['row']})."
            )
        if (row["verdict"] == "right") != (not classes):
            raise SystemExit(f"a line has classes unless it is right. Received: {row['source']}, row {row['row']}.")


def table(rows: Sequence[Row]) -> str:
    """Return counts of verdicts and of classes by domain, in Markdown; a cell of a class is `wrong + acceptable`."""
    domains = [domain for domain in DOMAINS if any(row["domain"] == domain for row in rows)]
    lines = [_line(["", *domains, "all"]), _line(["---", *["---:"] * (len(domains) + 1)])]
    verdicts = Counter((row["verdict"], domain) for row in rows for domain in (row["domain"], "all"))
    for verdict in VERDICTS:
        lines.append(_line([verdict, *(str(verdicts[verdict, domain]) for domain in (*domains, "all"))]))
    found = Counter(
        (name, row["verdict"], domain)
        for row in rows
        for name in row["classes"].split()
        for domain in (row["domain"], "all")
    )
    for name in sorted(CLASSES, key=lambda name: (-found[name, "wrong", "all"], name)):
        cells = (f"{found[name, 'wrong', d]} + {found[name, 'acceptable', d]}" for d in (*domains, "all"))
        lines.append(_line([f"`{name}`", *cells]))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def read(path: Path) -> list[Row]:
    """Read a file of tab-separated columns with a header; none, if the file does not exist."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def write(path: Path, rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Write rows as tab-separated columns with a header."""
    lines = ["\t".join(columns), *("\t".join(" ".join(row[column].split()) for column in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def keep(lines: Path, judgements: Path) -> None:
    """Write judged lines without their texts into a file of judgements, over those of the same model."""
    rows = read(lines)
    check(rows)
    models = {row["model"] for row in rows}
    others = [row for row in read(judgements) if row["model"] not in models]
    write(judgements, [*others, *rows], KEPT)


def main() -> None:
    """Run the command that the arguments request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("translate", help="draw the lines, translate them, find earlier judgements")
    command.add_argument("model")
    command.add_argument("--data", type=Path, required=True, help="folder with general/ and multi30k/")
    command.add_argument("--name", required=True, help="name of the model in the judgements")
    command.add_argument("--output", type=Path, required=True, help="file to write, with texts")
    command.add_argument("--judged", type=Path, default=Path(__file__).with_suffix(".tsv"))
    command.add_argument("--seed", type=int, default=SEED)
    command = commands.add_parser("keep", help="write judgements without texts")
    command.add_argument("lines", type=Path)
    command.add_argument("judgements", type=Path)
    command = commands.add_parser("table", help="print counts by class and domain, for each model")
    command.add_argument("judgements", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "translate":
        rows = translated(arguments.model, draw(arguments.data, arguments.seed), arguments.name, read(arguments.judged))
        write(arguments.output, rows, (*KEPT, *TEXTS))
        print(f"{sum(not row['verdict'] for row in rows)} of {len(rows)} lines have no judgement yet")
    elif arguments.command == "keep":
        keep(arguments.lines, arguments.judgements)
    else:
        rows = read(arguments.judgements)
        check(rows)
        for model in dict.fromkeys(row["model"] for row in rows):
            print(f"{model}\n\n{table([row for row in rows if row['model'] == model])}\n")


if __name__ == "__main__":
    main()
