"""Terms: reading, spelling, matching, and translations that contain them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from translator import Translator
from translator.config import DecodingChanges
from translator.decoding.errors import DecodingError
from translator.errors import UserError
from translator.inference.terms import TermEntry, TermError, TermMatcher, Terms, mask_term
from translator.tokenizer import Tokenizers

SENTENCES = [
    "Le chat noir dort sur le canapé rouge.",
    "Où est la gare ?",
    "Trois enfants jouent près de la gare.",
    "Il pleut.",
]


@pytest.fixture(scope="module")
def shipped() -> Translator:
    return Translator.load("fr-en-tiny", "cpu", threads=1)


def written(folder: Path, text: str) -> Path:
    path = folder / "terms.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_has_a_term_per_line_hard_by_default(tmp_path: Path) -> None:
    terms = Terms.read(written(tmp_path, "\ufeffchat\tcat\r\n\n canapé rouge \tred sofa\tsoft\ngare\tstation\thard\n"))
    assert terms.entries == (
        TermEntry("chat", "cat"),
        TermEntry("canapé rouge", "red sofa", is_soft=True),
        TermEntry("gare", "station"),
    )


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("chat\tcat\ngare\n", "'gare', line 2"),
        ("\tcat\n", "line 1"),
        ("chat\t \n", "line 1"),
        ("chat\tcat\tfirm\n", "firm', line 1"),
        ("a\tb\thard\td\n", "line 1"),
    ],
)
def test_a_line_of_another_form_is_refused_with_its_number(tmp_path: Path, text: str, received: str) -> None:
    with pytest.raises(TermError, match="must be source<TAB>target") as error:
        Terms.read(written(tmp_path, text))
    assert received in str(error.value)


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TermError, match="readable TSV file"):
        Terms.read(tmp_path / "absent.tsv")
    (tmp_path / "latin.tsv").write_bytes(b"caf\xe9\tcoffee\n")
    with pytest.raises(TermError, match="not UTF-8"):
        Terms.read(tmp_path / "latin.tsv")


def test_terms_are_given_in_python_as_a_mapping_or_entries() -> None:
    assert Terms.of({"chat": "cat"}).entries == (TermEntry("chat", "cat"),)
    assert Terms.of([TermEntry("chat", "cat", is_soft=True)]).entries[0].is_soft
    for invalid in ({"chat": " "}, {"": "cat"}, [("chat", "cat")], {"chat": 3}):
        with pytest.raises(TermError, match="must be a TermEntry"):
            Terms.of(invalid)  # type: ignore[arg-type]


def test_a_term_that_the_vocabulary_cannot_spell_is_refused_by_name(
    tokenizers: Tokenizers, shipped: Translator
) -> None:
    with pytest.raises(TermError, match="'a\u2019b' in terms, which it spells \"a'b\""):
        TermMatcher(Terms.of({"chat": "a\u2019b"}), tokenizers)
    with pytest.raises(TermError, match="'a\\\\u200bb'"):
        shipped.translate("chat", terms={"chat": "a\u200bb"})


@pytest.mark.parametrize("target", ["你好", "Москва", "Łódź", "hello 世界"])
def test_a_term_whose_letters_have_no_tokens_is_refused_by_name(shipped: Translator, target: str) -> None:
    for is_soft in (False, True):
        with pytest.raises(TermError, match=f"Received: '{target}' in terms, which it spells by single bytes"):
            shipped.translate("chat", terms=[TermEntry("chat", target, is_soft)])


@pytest.mark.parametrize("target", ["Škoda", "Ångström", "5 €", "kΩ", "😀"])
def test_a_term_may_have_some_letters_and_signs_without_tokens(shipped: Translator, target: str) -> None:
    assert target in shipped.translate("Un chat dort.", terms={"chat": target}).text


def test_terms_match_whole_words_in_any_case_the_longest_first(shipped: Translator) -> None:
    terms = {"chat": "cat", "chat noir": "black cat", "noir": "dark", "l'eau": "water", "SNCF": "rail"}
    matcher = TermMatcher(Terms.of(terms), shipped.tokenizers)

    def targets(text: str, prefix: str = "") -> list[str]:
        found = matcher.match(text, prefix)
        return [shipped.tokenizers.target.decode(term.forms[0]) for term in found.hard]

    assert targets("Un chat, un CHAT.") == ["cat"]
    assert targets("Le Chat noir boit de l\u2019eau.") == ["black cat", "water"]
    assert targets("Le chat et le chat noir") == ["black cat"]  # which contains "cat"
    assert targets("Les chats de la sncf") == ["rail"]
    assert targets("Un chat", prefix="A cat") == []
    assert targets("Un chat", prefix="A category") == ["cat"]
    assert matcher.match("Le chat noir dort, chat !").switched == "Le black cat dort, cat !"


def test_several_targets_of_a_source_are_alternatives(shipped: Translator) -> None:
    entries = [TermEntry("gare", "stop", is_soft=True), TermEntry("gare", "station"), TermEntry("gare", "terminal")]
    match = TermMatcher(Terms.of(entries), shipped.tokenizers).match("la gare")
    encode = shipped.tokenizers.target.encode
    assert [term.forms for term in match.hard] == [(tuple(encode("station")), tuple(encode("terminal")))]
    assert match.soft == (tuple(encode("stop")),)
    assert match.switched == "la station"


def test_a_term_may_be_capitalized_at_the_beginning_and_ends_before_letters_and_bytes(shipped: Translator) -> None:
    target = shipped.tokenizers.target
    cat, nato = TermMatcher(Terms.of({"chat": "cat", "OTAN": "NATO"}), shipped.tokenizers).match("chat OTAN").hard
    assert (cat.initial_forms, nato.initial_forms) == ((tuple(target.encode("Cat")),), ())
    pieces = target.pieces(range(target.vocab_size))
    assert cat.continuations is not None
    assert {pieces.index(piece) for piece in ("<0xC3>", "s", "é")} <= cat.continuations.ids
    assert not {pieces.index(piece) for piece in (".", ",", "▁the")} & cat.continuations.ids


def test_a_mask_is_a_term_that_occurs_once(shipped: Translator) -> None:
    term = mask_term("X1", shipped.tokenizers.target)
    assert term.is_unique and shipped.tokenizers.target.decode(term.forms[0]) == "X1"


@pytest.mark.parametrize("options", [{}, {"beam_size": 1}, {"num_hypotheses": 3}, {"mbr_candidates": 4}])
def test_every_translation_contains_the_hard_terms_of_its_text(shipped: Translator, options: DecodingChanges) -> None:
    terms = {"chat": "tomcat", "canapé rouge": "scarlet settee", "gare": "railway terminal", "enfants": "youngsters"}
    for sentence, translation in zip(SENTENCES, shipped.translate(SENTENCES, terms=terms, **options), strict=True):
        for hypothesis in translation.hypotheses:
            for source, target in terms.items():
                if source in sentence:
                    assert re.search(rf"(?i)(?<!\w){target}(?!\w)", hypothesis.text), hypothesis.text
            assert hypothesis.score < 0
    plain = shipped.translate(SENTENCES[3], **options)
    assert translation.text == plain.text  # of a text without terms


def test_a_translation_that_has_its_terms_by_itself_stays(shipped: Translator) -> None:
    [free] = shipped.translate(SENTENCES[:1])
    [given] = shipped.translate(SENTENCES[:1], terms={"chat": "cat", "noir": "black", "le": "The"})
    assert given == free


def test_soft_terms_are_preferred(shipped: Translator) -> None:
    entries = [TermEntry("canapé", "sofa", is_soft=True)]
    free, soft, off = (
        shipped.translate(SENTENCES[0], terms=terms, term_bias=bias).text
        for terms, bias in ((None, 2.0), (entries, 3.0), (entries, 0.0))
    )
    assert free == off == "The black cat sleeps on the red couch."
    assert soft == "The black cat sleeps on the red sofa."


def test_terms_are_refused_where_they_cannot_be_kept(shipped: Translator, model_directory: Path) -> None:
    unsupported: list[DecodingChanges] = [{"sample": True}, {"num_beam_groups": 5}]
    for options in unsupported:
        with pytest.raises(DecodingError, match="Hard terms require a beam or greedy search without groups"):
            shipped.translate("chat", terms={"chat": "cat"}, **options)
    random = Translator.load(model_directory, "cpu")  # 40 positions
    with pytest.raises(DecodingError, match="hard terms of a text must have at most 39 tokens"):
        random.translate("chat", terms={"chat": "Non " * 30})


def test_an_engine_without_terms_is_named(model_directory: Path) -> None:
    pytest.importorskip("ctranslate2")
    translator = Translator.load(model_directory, "cpu", engine="ctranslate2")
    with pytest.raises(DecodingError, match=r"terms require engine: torch\. Received: CTranslate2Engine"):
        translator.translate("chat", terms={"chat": "cat"})


def test_errors_of_terms_are_errors_of_the_user() -> None:
    assert issubclass(TermError, UserError)
