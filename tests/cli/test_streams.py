from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sentences import PAIRS

from translator.cli.lines import read_windows
from translator.cli.streams import StreamError, open_input, open_output

# Writes "result" through the command line's output and "message" to standard error, as every subcommand does.
WRITE = """
import sys
from translator.cli.lines import write_line
from translator.cli.streams import open_output, standard_streams
with standard_streams(), open_output(sys.argv[1] if len(sys.argv) > 1 else None, []) as output:
    print("message", file=sys.stderr)
    write_line(output, "result")
"""
TRANSLATOR = "import sys; from translator.cli import main; sys.exit(main())"
FAST = ["--threads", "1", "--device", "cpu"]
TRANSLATE = [*FAST, "--beam-size", "1", "--max-length-factor", "0.1"]


def shell(command: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a line of the shell in a folder; `$write` is the program above."""
    environment = os.environ | {"python": sys.executable, "write": WRITE, "main": TRANSLATOR}
    return subprocess.run(
        ["bash", "-c", command, "bash", *arguments], cwd=folder, env=environment, capture_output=True, timeout=120
    )


def test_output_appears_under_its_name_when_it_is_complete(tmp_path: Path) -> None:
    final = tmp_path / "out.txt"
    final.write_text("old")
    with open_output(str(final), []) as file:
        file.write(b"new")
        assert final.read_text() == "old"
    assert final.read_text() == "new"
    with pytest.raises(KeyboardInterrupt), open_output(str(final), []) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert final.read_text() == "new" and (tmp_path / "out.txt.partial").read_text() == "half"


def test_an_output_that_nothing_was_written_to_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), open_output(str(tmp_path / "out.txt"), []):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_output_over_the_input_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("kept")
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "tex.partial").symlink_to(path)  # where `tex` is written until it is complete
    with open_input(str(path)) as source:
        for name in ("text", "link", "tex"):
            with (
                pytest.raises(StreamError, match=r"--output must not be the file that is read. Received: .*" + name),
                open_output(str(tmp_path / name), [source]),
            ):
                pass
    assert path.read_text() == "kept"


def test_output_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "text")
    with open_output(str(tmp_path / "link"), []) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "text").read_text() == "new"


def test_special_files_are_written_in_place() -> None:
    with open_output("/dev/null", []) as file:
        file.write(b"gone")
    assert not Path("/dev/null.partial").exists()


@pytest.fixture
def impossible(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "file").touch()
    yield tmp_path


@pytest.mark.parametrize("name", ["none", "file/below", "."])
def test_unreadable_input_is_reported_by_name(impossible: Path, name: str) -> None:
    with (
        pytest.raises(StreamError, match=r"An input must be a readable file. Received: "),
        open_input(str(impossible / name)),
    ):
        pass


@pytest.mark.parametrize("name", ["none/out", "file/below"])
def test_unwritable_output_is_reported_by_name(impossible: Path, name: str) -> None:
    with (
        pytest.raises(
            StreamError, match=r"--output must be a writable file\. Received: .* Give a file in a folder that exists"
        ),
        open_output(str(impossible / name), []),
    ):
        pass


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ('{ echo header; "$python" -c "$write" /dev/stdout; echo footer; } > f', "header\nresult\nfooter\n"),
        ('echo header > f; "$python" -c "$write" /dev/stdout >> f', "header\nresult\n"),
        ('echo header > f; "$python" -c "$write" /dev/fd/3 3>> f', "header\nresult\n"),
        (
            'exec 3> f; echo header >&3; "$python" -c "$write" /proc/self/fd/3; echo footer >&3',
            "header\nresult\nfooter\n",
        ),
        ('ln -s /dev/stdout link; echo header > f; "$python" -c "$write" link >> f', "header\nresult\n"),
        ('"$python" -c "$write" >(cat > f; touch done); until [ -e done ]; do sleep 0.02; done', "result\n"),
        ('mkfifo pipe; cat pipe > f & "$python" -c "$write" pipe; wait', "result\n"),
    ],
)
def test_output_to_an_open_descriptor_or_a_pipe_is_written_in_place(
    command: str, expected: str, tmp_path: Path
) -> None:
    done = shell(command, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"message\n")
    assert (tmp_path / "f").read_text() == expected
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("name", ["/dev/fd/3", "/dev/stderr"])
def test_output_to_a_closed_descriptor_is_refused(name: str, tmp_path: Path) -> None:
    done = shell(f'"$python" -c "$write" {name} 2>&- 3>&- > f', folder=tmp_path)
    assert done.returncode == 1 and (tmp_path / "f").read_bytes() == b""
    with pytest.raises(StreamError, match=r"must be a writable file. Received: /dev/fd/987 \(Bad file descriptor\)"):
        open_output("/dev/fd/987", []).__enter__()


def test_input_from_an_open_descriptor_continues_at_its_offset(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"1\n2\n3\n")
    with (tmp_path / "text").open("rb", buffering=0) as file:
        file.seek(2)
        with open_input(f"/dev/fd/{file.fileno()}") as descriptor:
            assert list(read_windows(descriptor)) == [["2", "3"]]
    with (tmp_path / "text").open("ab") as file, pytest.raises(StreamError, match="Bad file descriptor"):
        open_input(f"/dev/fd/{file.fileno()}").__enter__()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_replaced_output_keeps_its_mode_and_is_never_readable_by_more(mode: int, tmp_path: Path) -> None:
    final = tmp_path / "out"
    final.touch()
    final.chmod(mode)
    with open_output(str(final), []) as file:
        assert stat.S_IMODE((tmp_path / "out.partial").stat().st_mode) == mode
        file.write(b"new")
    assert stat.S_IMODE(final.stat().st_mode) == mode and final.read_bytes() == b"new"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write files of any mode")
def test_a_read_only_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch(mode=0o400)
    with pytest.raises(StreamError, match=r"writable file. Received: .*out \(Permission denied\)"):
        open_output(str(tmp_path / "out"), []).__enter__()


def test_appending_to_the_input_is_refused(tmp_path: Path, model_directory: Path) -> None:
    (tmp_path / "in").write_text("oui\n")
    command = '"$python" -c "$main" translate "$1" "${@:2}" < in >> in'
    done = shell(command, str(model_directory), *TRANSLATE, folder=tmp_path)
    message = b"translator: --output must not be the file that is read. Received: standard output.\n"
    assert (done.returncode, done.stderr) == (2, message)
    assert (tmp_path / "in").read_text() == "oui\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("subcommand", ["translate", "score", "evaluate"])
def test_a_result_that_does_not_fit_ends_with_an_error(
    subcommand: str, unbuffered: str, tmp_path: Path, model_directory: Path
) -> None:
    (tmp_path / "in.tsv").write_text("fr\ten\n" + "Le chat dort.\tThe cat sleeps.\n" * 150)
    (tmp_path / "in.fr").write_text("Le chat dort.\n" * 150)
    arguments = {
        "translate": ["--json", *TRANSLATE, "--input", "in.fr"],
        "score": ["--json", *FAST, "--input", "in.tsv"],
        "evaluate": [*TRANSLATE, "--test", "{file: in.tsv, max_examples: 3}", "--json"],
    }[subcommand]
    limit = '(ulimit -f 1; "$python" -c "$main" "$1" "$2" "${@:3}")'
    command = f"head -c 1000 /dev/zero > out; export PYTHONUNBUFFERED={unbuffered}; {limit} >> out"
    done = shell(command, subcommand, str(model_directory), *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == b"translator: File too large"


def read_slowly(descriptor: int) -> bytes:
    """Read to the end, so slowly that a pipe is full most of the time."""
    found = bytearray()
    while chunk := os.read(descriptor, 5000):
        found += chunk
        threading.Event().wait(0.002)
    return bytes(found)


@pytest.mark.parametrize("options", [["--json", "--n-best", "2", "--beam-size", "2"], ["--output", "/dev/stdout"]])
def test_a_non_blocking_pipe_receives_every_line(options: Sequence[str], model_directory: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "".join(f"oui {number}\n" * (number % 3) for number in range(600))
    command = [sys.executable, "-c", TRANSLATOR, "translate", str(model_directory), *TRANSLATE, "--quiet", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE) as running:
        os.close(writer)
        assert running.stdin and running.stderr
        feeder = threading.Thread(target=lambda: (running.stdin.write(text.encode()), running.stdin.close()))
        feeder.start()
        found = read_slowly(reader).decode()
        os.close(reader)
        feeder.join()
        assert (running.wait(), running.stderr.read()) == (0, b"")
    lines = found.split("\n")
    assert lines.pop() == "" and len(lines) == 600
    if "--json" in options:
        assert all(len(json.loads(line)["hypotheses"]) == 2 for line in lines)


def test_non_blocking_standard_input_is_waited_for(model_directory: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    command = [sys.executable, "-c", TRANSLATOR, "translate", str(model_directory), *TRANSLATE, "--quiet"]
    with subprocess.Popen(command, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout and running.stderr
        for _ in range(2):  # each line is sent when the answer to the one before it has come
            os.write(writer, b"oui\n")
            assert running.stdout.readline().endswith(b"\n")
        os.close(writer)
        assert (running.wait(), running.stdout.read(), running.stderr.read()) == (0, b"", b"")
    os.close(reader)


@pytest.mark.parametrize("closing", ["2>&-", "2>&- 0<&-", "2>/dev/full"])
def test_messages_never_reach_standard_output(closing: str, tmp_path: Path, model_directory: Path) -> None:
    (tmp_path / "in").write_bytes(b"caf\xe9\noui\n")  # a line that gives a notice
    (tmp_path / "test.tsv").write_text("fr\ten\n" + "".join(f"{a}\t{b}\n" for a, b in PAIRS), encoding="utf-8")
    command = f'"$python" -c "$main" translate "$1" "${{@:2}}" --input in > out {closing}'
    done = shell(command, str(model_directory), *TRANSLATE, folder=tmp_path)
    assert done.returncode == 0 and (tmp_path / "out").read_bytes().count(b"\n") == 2
    command = f'"$python" -c "$main" evaluate "$1" "${{@:2}}" --test test.tsv --json > out {closing}'
    done = shell(command, str(model_directory), *TRANSLATE, folder=tmp_path)
    assert done.returncode == 0 and json.loads((tmp_path / "out").read_text())["num_examples"] == len(PAIRS)
    done = shell(
        f'"$python" -c "$main" translate "$1" --input nothing > out {closing}', str(model_directory), folder=tmp_path
    )
    assert done.returncode == 2 and (tmp_path / "out").read_bytes() == b""


def test_closed_descriptors_are_not_reused_by_files(tmp_path: Path) -> None:
    program = """
import os
from translator.cli.streams import standard_streams
with standard_streams():
    with open("file", "w") as file:
        assert file.fileno() > 2
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"lost")
        except OSError:
            os.close(descriptor)
"""
    done = shell('"$python" -c "$1" <&- >&- 2>&-', program, folder=tmp_path)
    assert done.returncode == 0 and (tmp_path / "file").read_bytes() == b""


def test_help_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    done = shell('"$python" -c "$main" --help > /dev/full', folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, b"translator: No space left on device\n")


def test_a_report_is_utf8_for_any_encoding_of_standard_output(tmp_path: Path, model_directory: Path) -> None:
    (tmp_path / "données.tsv").write_text("fr\ten\noui\tyes\n")
    (tmp_path / "autres.tsv").write_text("fr\ten\nnon\tno\n")
    command = 'PYTHONIOENCODING=ascii "$python" -c "$main" evaluate "$1" "${@:2}" --test "[données.tsv, autres.tsv]"'
    done = shell(command, str(model_directory), *TRANSLATE, folder=tmp_path)
    assert done.returncode == 0 and "\ndonnées.tsv " in done.stdout.decode("utf-8")
