from __future__ import annotations

import json

import pytest

from translator import Translator
from translator.evaluation import EvaluationError, evaluate, translation
from translator.evaluation.examples import Example
from translator.evaluation.translation import score_translations, translate_texts

EXAMPLES = [
    Example(("oui", "Yes, of course."), "a.tsv", "short", ("Yes, sure.",)),
    Example(("non", "No, never."), "a.tsv", "short", ("",)),
    Example(("peut-être", "Maybe he will come."), "b.tsv", "long", ("Perhaps he comes.",)),
]
HYPOTHESES = ["Yes, sure.", "No, never.", "Perhaps she will come."]


def test_the_total_and_each_part_are_scored_against_all_references() -> None:
    report = score_translations(HYPOTHESES, EXAMPLES, by="size")
    references, further = [example.row[1] for example in EXAMPLES], [["Yes, sure.", "", "Perhaps he comes."]]
    assert report.total.scores == evaluate(HYPOTHESES, references, further_references=further)
    assert report.total.exact_match == pytest.approx(200 / 3)
    assert list(report.sources) == ["a.tsv", "b.tsv"] and list(report.groups) == ["long", "short"]
    part = evaluate(HYPOTHESES[2:], references[2:], further_references=[further[0][2:]], with_ter=False)
    assert report.sources["b.tsv"].scores == report.groups["long"].scores == part
    values = json.loads(json.dumps(report.as_dict()))
    assert values["by"] == "size" and values["groups"]["short"]["exact_match"] == 100.0
    table = [line.split() for line in report.as_table().splitlines()]
    assert ["source", "pairs", "BLEU", "chrF", "exact", "%"] in table
    assert ["long", "1", f"{part.bleu.score:.2f}", f"{part.chrf.score:.2f}", "0.00"] in table


def test_ter_can_be_left_out() -> None:
    report = score_translations(HYPOTHESES, EXAMPLES, with_ter=False)
    assert "ter" not in report.as_dict() and "TER" not in report.as_table()


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(EvaluationError, match="requires at least one pair"):
        score_translations([], [])


def test_texts_are_translated_in_windows(random_translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["Le chat dort.", "", "Où est la gare ?", "oui", "non"]
    options = {"beam_size": 1, "max_length_factor": 0.2}
    monkeypatch.setattr(translation, "WINDOW", 2)
    counts: list[int] = []
    found = translate_texts(random_translator, texts, options, counts.append)
    assert found == [result.text for result in random_translator.translate(texts, **options)]
    assert counts == [2, 2, 1]
