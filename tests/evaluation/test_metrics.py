from __future__ import annotations

import json

import pytest
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF, TER

from translator.evaluation import EvaluationError, evaluate, exact_match

REFERENCES = ["The cat is sleeping on the sofa.", "Where is the station?", "I did not see the man."]
HYPOTHESES = ["The cat sleeps on the sofa.", "Where is the station?", "I have not seen the man."]

OTHERS = ["The cat sleeps on the sofa.", "Where's the train station?", "I did not see that man."]
INCOMPLETE = ["A cat sleeps on the couch.", "", "I have not seen him."]


def test_scores_are_those_of_sacrebleu() -> None:
    scores = evaluate(HYPOTHESES, REFERENCES)
    assert scores.bleu.score == pytest.approx(sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score)
    assert scores.chrf.score == pytest.approx(sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score)
    assert scores.ter is not None
    assert scores.ter.score == pytest.approx(sacrebleu.corpus_ter(HYPOTHESES, [REFERENCES]).score)
    assert scores.num_examples == 3


def test_signatures_record_how_scores_were_computed() -> None:
    version = f"version:{sacrebleu.__version__}"
    scores = evaluate(HYPOTHESES, REFERENCES)
    assert scores.bleu.signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|{version}"
    assert scores.chrf.signature == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{version}"
    assert all(version in metric.signature for metric in scores.metrics)


@pytest.mark.parametrize("further", [[OTHERS], [OTHERS, INCOMPLETE], [INCOMPLETE]])
def test_scores_against_several_references_are_those_of_sacrebleu(further: list[list[str]]) -> None:
    scores = evaluate(HYPOTHESES, REFERENCES, further_references=further)
    sets = [REFERENCES, *([text or None for text in texts] for texts in further)]
    assert scores.ter is not None
    for found, metric in ((scores.bleu, BLEU()), (scores.chrf, CHRF()), (scores.ter, TER())):
        assert found.score == metric.corpus_score(HYPOTHESES, sets).score
        assert found.signature == str(metric.get_signature())
    assert f"nrefs:{'var' if INCOMPLETE in further else 2}" in scores.bleu.signature
    assert scores.bleu.score > evaluate(HYPOTHESES, REFERENCES).bleu.score


def test_a_missing_further_reference_does_not_count_as_an_empty_one() -> None:
    alone = evaluate(HYPOTHESES, REFERENCES)
    missing = evaluate(HYPOTHESES, REFERENCES, further_references=[["", "", ""]])
    assert [metric.score for metric in missing.metrics] == [metric.score for metric in alone.metrics]
    assert missing.bleu.signature == alone.bleu.signature


def test_perfect_translations_have_perfect_scores() -> None:
    scores = evaluate(REFERENCES, REFERENCES)
    assert [round(metric.score, 6) for metric in scores.metrics] == [100.0, 100.0, 0.0]


def test_scores_are_plain_values_for_json() -> None:
    scores = evaluate(HYPOTHESES, REFERENCES)
    values = json.loads(json.dumps(scores.as_dict()))
    assert values["num_examples"] == 3 and values["bleu"]["score"] == scores.bleu.score
    assert list(values) == ["num_examples", "bleu", "chrf", "ter"]


def test_ter_can_be_left_out() -> None:
    scores = evaluate(HYPOTHESES, REFERENCES, with_ter=False)
    assert scores.ter is None and "ter" not in scores.as_dict()


def test_empty_translations_are_scored_too() -> None:
    assert evaluate(["", "", ""], REFERENCES).bleu.score == 0.0


def test_exact_match_is_a_percentage() -> None:
    assert exact_match(HYPOTHESES, REFERENCES) == pytest.approx(100 / 3)
    assert exact_match([], []) == 0.0
    assert exact_match(HYPOTHESES, REFERENCES, [OTHERS]) == pytest.approx(200 / 3)


def test_sets_of_another_length_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"Received: 2 translations and 3 references\."):
        evaluate(HYPOTHESES[:2], REFERENCES)
    with pytest.raises(EvaluationError, match=r"Received: 3 translations and 1 references\."):
        evaluate(HYPOTHESES, REFERENCES, further_references=[OTHERS, OTHERS[:1]])


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"requires at least one pair, and the test set is empty\."):
        evaluate([], [])
