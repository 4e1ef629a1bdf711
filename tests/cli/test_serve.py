from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from translator import Translator
from translator.cli import main


@pytest.fixture
def process(model_directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `translator serve` on a free port."""
    command = [sys.executable, "-m", "translator", "serve", str(model_directory), "--port", "0", "--beam-size", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as found:
        yield found
        found.kill()


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("Serving fr to en at http://127.0.0.1:")
    return line.split()[-1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_requests_are_answered_before_the_server_stops(
    process: subprocess.Popen[str], model_directory: Path, number: signal.Signals, code: int
) -> None:
    url = address_of(process)
    texts = [f"Le chat {number} dort." for number in range(400)]
    body = {"q": texts, "source": "fr", "target": "en"}
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        answer = pool.submit(client.post, "/translate", json=body)
        while "translator_batch_texts_count 0.0" in httpx.get(f"{url}/metrics", trust_env=False).text:
            pass
        os.kill(process.pid, number)
        translator = Translator.load(model_directory, "cpu")
        expected = [found.text for found in translator.translate(texts, beam_size=2)]
        assert answer.result().json() == {"translatedText": expected}
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--timeout", "0"], "must be above 0 and finite. Received: 500000, 1000000 and 0."),
        (["--timeout", "inf"], "Received: 500000, 1000000 and inf."),
        (["--max-request-bytes", "0"], "Received: 0, 1000000 and 60."),
        (["--max-waiting", "-1"], "Received: 500000, -1 and 60."),
        (["--port", "70000"], "--port must be from 0 to 65535. Received: 70000."),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
    ],
)
def test_invalid_options_are_refused(
    model_directory: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(model_directory), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_model_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "/no/such/model", "--port", "0"]) == 2
    assert "/no/such/model" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "py3langid", "prometheus_client"])
def test_a_missing_extra_is_named(
    model_directory: Path, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package or ".serving" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["serve", str(model_directory), "--port", "0"]) == 2
    assert (
        f"requires {package}, which is not installed. Run `pip install 'translator[serve]'`" in capsys.readouterr().err
    )
