from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from translator import Translator
from translator.cli import lines, main

FAST = ["--max-length-factor", "0.2", "--beam-size", "1"]
Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(
    model_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Run:
    """Run `translator translate` on bytes: the exit code, the lines of the output, what was said."""

    def translate(data: bytes, *arguments: str) -> tuple[int, list[str], str]:
        (tmp_path / "stdin").write_bytes(data)
        with (tmp_path / "stdin").open() as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            code = main(["translate", str(model_directory), *FAST, *arguments])
        out, err = capsysbinary.readouterr()
        assert out == b"" or out.endswith(b"\n")
        return code, out.decode("utf-8").split("\n")[:-1], err.decode("utf-8")

    return translate


BAD_LINES = [
    b"",
    b"x" * 50_000,
    b"   ",
    "😀😀 👍".encode(),
    "مرحبا بالعالم".encode(),
    "你好，世界".encode(),
    b"nul \0 nul",
    b"carriage return\r",
    b"carriage \r return",
    "line\u2028separator\u2029and\x85next".encode(),
    b"invalid \xff\xfe\xc3",
    b"a\tb",
    b"vertical\x0bform\x0cfeed",
    b"the last has no line feed",
]


def test_output_has_as_many_lines_as_the_input(run: Run) -> None:
    code, found, notices = run(b"\n".join(BAD_LINES))
    assert code == 0
    assert len(found) == len(BAD_LINES)
    assert found[0] == found[2] == "" and all(found[3:])
    assert not any(re.search("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029\0]", line) for line in found)
    assert "1 line contained bytes that are not UTF-8; they were replaced by U+FFFD." in notices
    assert "1 line exceeded the maximum length of the model" in notices


def test_lines_are_translated_independently(run: Run, model_directory: Path) -> None:
    texts = ["Le chat dort.", "", "Où est la gare ?", "oui"]
    _, found, _ = run("\r\n".join(texts).encode())
    translator = Translator.load(model_directory, "cpu")
    expected = [translator.translate(text, beam_size=1, max_length_factor=0.2).text for text in texts]
    assert found == expected


def test_windows_keep_the_order(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    data = "".join(f"{'oui ' * (number * 7 % 5)}{number}\n" for number in range(30)).encode()
    whole = run(data)
    monkeypatch.setattr(lines, "WINDOW_LINES", 7)
    assert run(data) == whole


def test_no_input_gives_no_output(run: Run) -> None:
    assert run(b"") == (0, [], "")


def test_sentences_as_arguments_are_translated_instead_of_the_input(run: Run) -> None:
    _, from_input, _ = run(b"Le chat dort.\noui\n")
    assert run(b"not read\n", "Le chat dort.", "oui", "--quiet") == (0, from_input, "")


def test_a_closed_standard_input_or_output_is_reported(
    model_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream, message in (
        ("stdin", "Standard input is closed. Give --input."),
        ("stdout", "Standard output is closed."),
    ):
        with monkeypatch.context() as patch, Path(os.devnull).open() as nothing:
            patch.setattr(sys, "stdin", nothing)
            patch.setattr(sys, stream, None)
            assert main(["translate", str(model_directory)]) == 2
        assert message in capsys.readouterr().err


def test_files_are_read_and_written(run: Run, tmp_path: Path) -> None:
    _, expected, _ = run(b"Le chat dort.\noui")
    (tmp_path / "in.fr").write_text("Le chat dort.\noui", encoding="utf-8")
    code, found, _ = run(b"", "--input", str(tmp_path / "in.fr"), "--output", str(tmp_path / "out.en"))
    assert (code, found) == (0, [])
    assert (tmp_path / "out.en").read_text(encoding="utf-8").splitlines() == expected


def test_n_best_lists_have_the_format_of_moses(run: Run) -> None:
    _, found, _ = run(b"Le chat dort.\n\noui\n", "--beam-size", "3", "--n-best", "2")
    parts = [line.split(" ||| ") for line in found]
    assert [part[0] for part in parts] == ["0", "0", "1", "2", "2"]
    assert all(re.fullmatch(r"-?\d+\.\d{6}", part[2]) for part in parts)
    assert float(parts[0][2]) >= float(parts[1][2])


def test_json_has_one_object_per_line(run: Run) -> None:
    _, texts, _ = run(b"oui\n\ncaf\xe9\n")
    _, found, _ = run(b"oui\n\ncaf\xe9\n", "--json")
    values = [json.loads(line) for line in found]
    assert [value["text"] for value in values] == texts
    assert all(list(value) == ["text", "score", "tokens", "token_log_probabilities", "flags"] for value in values)
    assert values[1] == {"text": "", "score": 0.0, "tokens": [], "token_log_probabilities": [], "flags": ["empty"]}
    assert values[2]["flags"][0] == "invalid_bytes"
    _, found, _ = run(b"oui\n", "--json", "--n-best", "3", "--beam-size", "3")
    hypotheses = json.loads(found[0])["hypotheses"]
    names = ["text", "score", "tokens", "token_log_probabilities"]
    assert len(hypotheses) == 3 and all(list(value) == names for value in hypotheses)
    assert all(len(value["tokens"]) <= len(value["token_log_probabilities"]) for value in hypotheses)


def test_json_and_a_summary_say_what_the_guard_did(run: Run) -> None:
    lines = "oui\n\nVoir https://exemple.fr/a et écrire à a@b.fr.\n".encode()
    _, found, said = run(lines, "--json", "--guard", "--no-protect")
    guards = [json.loads(line)["guard"] for line in found]
    assert all(list(guard) == ["failures", "repairs", "remaining"] for guard in guards)
    assert guards[1] == {"failures": [], "repairs": [], "remaining": []}
    assert {"urls", "emails"} <= set(guards[2]["failures"])
    failed = [guard for guard in guards if guard["failures"]]
    repaired = sum(not guard["remaining"] for guard in failed)
    summary = [line for line in said.splitlines() if "guard" in line]
    assert len(summary) == 1
    start = (
        rf"translator: The guard found failures in {len(failed)} of 3 lines \(.*urls 1.*\) and repaired {repaired} of"
    )
    assert re.match(start, summary[0]) and summary[0].endswith("--no-guard turns it off.")
    _, found, said = run(lines, "--json", "--no-guard")
    assert "guard" not in said and not any("guard" in json.loads(line) for line in found)
    assert "guard" not in run(lines, "--quiet", "--guard", "--no-protect")[2]
    assert "guard" in run(lines, "--document", "--guard", "--no-protect")[2]


def test_no_repeat_ngram_prevents_repetition(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    free, guarded = [], []
    for found, arguments in ((free, []), (guarded, ["--no-repeat-ngram", "1"])):
        assert main(["translate", str(model_directory), "Oui.", "--json", "--beam-size", "1", *arguments]) == 0
        found += json.loads(capsys.readouterr().out)["tokens"]
    assert len(set(free)) < len(free) and len(set(guarded)) == len(guarded)


def test_sampling_depends_only_on_the_seed(model_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def draw(*arguments: str) -> str:
        sampling = ["--sample", "--temperature", "2", "--top-k", "50", "--top-p", "0.9"]
        assert main(["translate", str(model_directory), "Le chat dort.", *sampling, *arguments]) == 0
        return capsys.readouterr().out

    assert draw("--seed", "3") == draw("--seed", "3") != draw("--seed", "4")


def test_the_output_is_utf8_in_every_locale(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    _, found, _ = run("é ü 你好\n".encode())
    assert len(found) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "/no/file"], "An input must be a readable file. Received: /no/file (No such file or directory)."),
        (["--output", "/no/folder/x"], "--output must be a writable file. Received: /no/folder/x"),
        (["--device", "abacus"], "device must be auto, cpu, or a device that torch can use here"),
        (["--threads", "0"], "threads must be at least 1 and at most 1024. Received: 0."),
        (["--beam-size", "0"], "beam_size: must be greater than 0. Received: 0."),
        (["--n-best", "4"], "num_hypotheses must be at most beam_size, unless"),
        (["--n-best", "0"], "num_hypotheses: must be greater than 0. Received: 0."),
        (["--length-penalty", "-1"], "length_penalty: must be greater than or equal to 0. Received: -1.0."),
        (["--no-repeat-ngram", "-1"], "no_repeat_ngram: must be greater than or equal to 0. Received: -1."),
        (["--max-length-factor", "0"], "max_length_factor: must be greater than 0. Received: 0.0."),
        (["--batch-tokens", "0"], "batch_tokens: must be greater than 0. Received: 0."),
        (["--top-k", "5", "--seed", "2"], "beam_size and top_k, seed are mutually exclusive. Pass only one."),
        (["--sample"], "beam_size and sample are mutually exclusive. Pass only one."),
        (["oui", "--input", "x"], "Sentences as arguments and --input are mutually exclusive. Pass only one."),
    ],
)
def test_invalid_options_give_one_message(run: Run, arguments: list[str], message: str) -> None:
    code, found, said = run(b"oui\n", *arguments)
    assert (code, found) == (2, [])
    assert message in said and "Traceback" not in said and said.startswith("translator: ")


def test_a_missing_model_is_reported_with_the_bundled_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "no-such-model", "oui"]) == 2
    assert "Received: no-such-model, which does not exist. Bundled models: " in capsys.readouterr().err


def test_the_input_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "both"
    path.write_text("oui\n")
    code, _, said = run(b"", "--input", str(path), "--output", str(path))
    assert code == 2 and "--output must not be the file that is read." in said
    assert path.read_text() == "oui\n"


def test_a_full_disk_gives_no_traceback(run: Run) -> None:
    code, _, said = run(b"oui\n", "--output", "/dev/full")
    assert code == 2 and said.startswith(
        "translator: --output must have room on its disk. Received: /dev/full (No space left on device). Free"
    )


def test_a_terminal_is_prompted(
    model_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    person, terminal = pty.openpty()
    os.write(person, b"oui\n\x04")  # Ctrl-D ends the input
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["translate", str(model_directory), *FAST]) == 0
    os.close(person)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert err.startswith("> > \n")


@pytest.mark.timeout(120)
def test_a_program_can_wait_for_each_translation_and_close_the_pipe(model_directory: Path) -> None:
    program = "import sys; from translator.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "translate", str(model_directory), *FAST, "--threads", "1"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, **pipes) as running:
        assert running.stdin and running.stdout and running.stderr
        for text in ("oui\n", "\n", "Le chat dort.\n"):
            running.stdin.write(text.encode())
            running.stdin.flush()
            assert running.stdout.readline().endswith(b"\n")
        running.stdout.close()
        running.stdin.write(b"non\n")
        running.stdin.close()
        assert running.wait() == 141
        assert running.stderr.read() == b""


def test_a_prefix_after_a_tab_begins_the_translation(run: Run) -> None:
    code, found, _ = run(b"Le chat dort.\tThe red\nLe chat dort.\noui\t\n", "--target-prefix")
    _, free, _ = run(b"Le chat dort.\noui\n")
    assert code == 0 and found[0].startswith("The red") and found[1:] == free


def test_a_line_with_a_second_tab_has_no_prefix_that_could_be_told(run: Run) -> None:
    code, found, message = run(b"a\tb\tc\n", "--target-prefix")
    assert (code, found) == (2, []) and "must be source<TAB>prefix. Received: 2 tabs in a\\tb\\tc." in message


@pytest.mark.parametrize("sentences", [["It's"], ["It's", "C'est un chat."]])
def test_a_prefix_that_is_given_as_a_value_is_refused(sentences: list[str], run: Run) -> None:
    code, found, message = run(b"", "--target-prefix", *sentences)
    assert (code, found) == (2, []) and "--target-prefix takes no value" in message
    assert 'Received: "It\'s", without a tab.' in message
    code, found, _ = run(b"", "--target-prefix", "Le chat dort.\tThe red", "oui")
    assert code == 0 and found[0].startswith("The red") and len(found) == 2


def test_documents_have_no_prefixes(run: Run) -> None:
    assert "A document is mutually exclusive with --json" in run(b"oui", "--document", "--target-prefix")[2]


def test_models_of_an_ensemble_translate_together(run: Run, model_directory: Path) -> None:
    alone = run(b"Le chat dort.\noui\n")
    assert run(b"Le chat dort.\noui\n", "--ensemble", str(model_directory)) == alone
    code, _, message = run(b"oui\n", "--ensemble", "fr-en")
    assert code == 2 and "must have the same source vocabulary" in message


def test_alignments_are_written_in_pharaoh_form_or_as_json(run: Run) -> None:
    _, plain, _ = run(b"Le chat dort.\n\n")
    code, found, _ = run(b"Le chat dort.\n\n", "--alignment")
    text, links = found[0].split(" ||| ")
    assert code == 0 and text == plain[0] and re.fullmatch(r"\d+-\d+( \d+-\d+)*", links) and found[1] == " ||| "
    _, best, _ = run(b"Le chat dort.\n", "--alignment", "--n-best", "1")
    assert best[0].startswith(f"0 ||| {text} ||| ") and best[0].endswith(f" ||| {links}")
    value = json.loads(run(b"Le chat dort.\n", "--alignment", "--json")[1][0])["alignment"]
    assert value["source"] == ["Le", "chat", "dort", "."]
    assert " ".join(f"{source}-{target}" for source, target in value["links"]) == links


def test_lines_with_tags_keep_them(run: Run) -> None:
    code, found, _ = run(b"<b>Un chat</b> dort.<br/>\n\n<i>Oui</i> &amp; non\n", "--format", "xml")
    assert code == 0
    assert [sorted(re.findall("<[^>]*>", line)) for line in found] == [["</b>", "<b>", "<br/>"], [], ["</i>", "<i>"]]
    code, found, _ = run(b"Un <b>chat<br>noir\n", "--format", "html", "--json")
    assert sorted(re.findall("<[^>]*>", json.loads(found[0])["text"])) == ["<b>", "<br>"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "xml"), "Tags must be balanced and nested. Received: <b> without </b>, at character 0."),
        (("--format", "html", "--target-prefix"), "--format is mutually exclusive with --target-prefix"),
        (("--format", "xml", "--document"), "--format is mutually exclusive with --target-prefix and documents"),
    ],
)
def test_invalid_tags_and_contradictory_options_are_one_message(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    code, found, said = run(b"un\n<b>un\n", *arguments)
    assert (code, found) == (2, [])
    assert said.startswith(f"translator: {message}") and said.count("\n") == 1
    if arguments == ("--format", "xml"):
        assert "This is line 2." in said


def test_terms_of_a_file_are_in_the_translations(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "terms.tsv"
    path.write_text("chat\tcat\nchien\tdog\tsoft\n", encoding="utf-8")
    code, found, _ = run(b"Un chat dort.\nIl pleut.\n", "--terms", str(path))
    assert code == 0
    assert re.search("(?i)cat", found[0]) and not re.search("(?i)cat", found[1])
    for text, message in (
        ("chat\n", "A line of --terms must be source<TAB>target"),
        ("chat\tc\u2019at\n", "The vocabulary of the model must spell the target of a term"),
    ):
        path.write_text(text, encoding="utf-8")
        code, found, said = run(b"Un chat dort.\n", "--terms", str(path))
        assert (code, found) == (2, [])
        assert message in said and said.count("\n") == 1
    path.write_text("chat\tcat\n", encoding="utf-8")
    code, found, said = run(b"Un chat dort.\n", "--terms", str(path), "--beam-size", "4", "--num-beam-groups", "2")
    assert code == 2 and "Hard terms require a beam or greedy search" in said
