from __future__ import annotations

import argparse
import shlex

import pytest

from translator.cli.parsing import parse


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    """Subcommands with several texts, one text and none, and options of every kind."""
    parser = argparse.ArgumentParser(prog="translator")
    subparsers = parser.add_subparsers(required=True)
    for name in ("several", "one", "none"):
        subcommand = subparsers.add_parser(name)
        subcommand.add_argument("model")
        if name == "several":
            subcommand.add_argument("sentences", nargs="*", default=[])
        if name == "one":
            subcommand.add_argument("sentence", nargs="?")
        subcommand.add_argument("-o", "--output")
        subcommand.add_argument("-b", "--beam-size", type=int)
        subcommand.add_argument("--json", action="store_true")
    return parser


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["m", "oui", "non"], ["oui", "non"]),
        (["m", "--json", "oui", "non"], ["oui", "non"]),
        (["m", "oui", "--json", "non"], ["oui", "non"]),
        (["m", "--", "-oui", "--json", "non"], ["-oui", "--json", "non"]),
        (["m", "--json", "--", "-oui"], ["-oui"]),
        (["m", "--beam-size", "2", "oui", "--json", "--", "-non", "--", "si"], ["oui", "-non", "--", "si"]),
        (["--json", "--", "m", "-oui"], ["-oui"]),
        (["m", "-5", "-5 degrés", "- oui", "-", "–oui"], ["-5", "-5 degrés", "- oui", "-", "–oui"]),
        (["m", "--quiet oui"], ["--quiet oui"]),
        (["m", "--"], []),
    ],
)
def test_texts_may_follow_options_and_begin_with_a_dash_after_two(
    parser: argparse.ArgumentParser, arguments: list[str], expected: list[str]
) -> None:
    found = parse(parser, ["several", *arguments])
    assert (found.model, found.sentences) == ("m", expected)
    if len(expected) == 1:
        found = parse(parser, ["one", *arguments])
        assert (found.model, found.sentence) == ("m", expected[0])


@pytest.mark.parametrize("text", ["-oui", "-oui ou non", "-o=x", "-Bonjour", "-Bonjour Marie", "-été", "-b\n5"])
@pytest.mark.parametrize("subcommand", ["several", "one", "none"])
def test_text_like_an_option_is_refused_with_the_way_to_pass_it(
    parser: argparse.ArgumentParser, subcommand: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(parser, [subcommand, "m", text])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert f"{text!r} is not an option." in message
    assert f"Text that begins with '-' must come after '--': -- {shlex.quote(text)}\n" in message


def test_numbers_may_be_attached_to_their_option(parser: argparse.ArgumentParser) -> None:
    assert parse(parser, ["several", "m", "-b5"]).beam_size == parse(parser, ["several", "m", "-b=5"]).beam_size == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["several", "m", "--bonjour"], "unrecognized arguments: --bonjour. Text that begins with '-' must come after"),
        (["one", "m", "--bonjour"], "unrecognized arguments: --bonjour. Text that begins with '-' must come after"),
        (["none", "m", "--bonjour"], "unrecognized arguments: --bonjour\n"),
        (["none", "m", "--", "-oui"], "unrecognized arguments: -oui\n"),
        (["one", "m", "oui", "--json", "non"], "unrecognized arguments: non"),
    ],
)
def test_arguments_without_a_place_are_refused(
    parser: argparse.ArgumentParser, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(parser, arguments)
    assert message in capsys.readouterr().err
