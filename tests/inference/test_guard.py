"""The guard finds failed translations and takes the first step of its chain that mends them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from sentences import PAIRS

from translator import Translator
from translator.config import DecodingOptions
from translator.decoding.candidates import Candidate
from translator.decoding.request import Request
from translator.engines.base import Pair
from translator.inference.guard import Repair, is_rare
from translator.tokenizer import EOS_ID, Tokenizers

LOOP = "no no no no no"
Outputs = Callable[[str, Request, DecodingOptions], list[str]]


class FakeEngine:
    """An engine that translates texts by a function, and gives each output the log-probability -1 per token."""

    max_positions = 200
    shares_positions = False
    serves_terms = False

    def __init__(self, tokenizers: Tokenizers, outputs: Outputs) -> None:
        self.tokenizers = tokenizers
        self.outputs = outputs
        self.cut: set[str] = set()  # outputs that reach their maximum length
        self.searches: list[list[str]] = []

    def unsupported(self, options: DecodingOptions) -> list[str]:
        return []

    def search(self, requests: Sequence[Request], options: DecodingOptions) -> list[list[Candidate]]:
        texts = [self.tokenizers.source.decode(request.source) for request in requests]
        self.searches.append(texts)
        found = []
        for text, request in zip(texts, requests, strict=True):
            written = self.outputs(text, request, options)[: options.num_hypotheses]
            ids = [
                [*self.tokenizers.target.encode(each), EOS_ID][: -1 if each in self.cut else None] for each in written
            ]
            found.append([Candidate.from_tokens(each, [-1.0] * len(each), options.length_penalty) for each in ids])
        return found

    def score(self, pairs: Sequence[Pair], batch_tokens: int) -> list[tuple[float, ...]]:
        return [(-2.0,) * (len(target) + 1) for _, target in pairs]

    def cross_attention(self, pairs: Sequence[Pair], batch_tokens: int) -> list[torch.Tensor]:
        return [torch.full((len(target), len(source)), 0.01) for source, target in pairs]


def translator_of(tokenizers: Tokenizers, outputs: Outputs, **options: Any) -> Translator:
    return Translator(FakeEngine(tokenizers, outputs), tokenizers, DecodingOptions(beam_size=3, **options))


def test_good_translations_are_searched_once(tokenizers: Tokenizers) -> None:
    translator = translator_of(tokenizers, lambda text, request, options: ["The cat is sleeping."])
    [found] = translator.translate(["Le chat dort."])
    assert found.repair == Repair() and found.flags == ()
    assert translator.engine.searches == [["Le chat dort."]]


def test_only_failed_lines_are_searched_again(tokenizers: Tokenizers) -> None:
    translator = translator_of(
        tokenizers, lambda text, request, options: [LOOP if "chat" in text else "We ate.", "The cat is sleeping."]
    )
    cat, ate, empty, again = translator.translate(["Le chat dort.", "Nous mangeons.", "", "Le chat dort."])
    assert translator.engine.searches[1:] == [["Le chat dort."]]
    assert cat.text == "The cat is sleeping." and cat.flags == ("repaired",)
    assert cat.repair == Repair(("looping",), ("next_hypothesis",), ())
    assert again == cat
    assert (ate.repair, empty.repair) == (Repair(), Repair())


def looping_unless(is_mended: Callable[[str, Request, DecodingOptions], bool]) -> Outputs:
    return lambda text, request, options: [
        "The cat is sleeping on the bed." if is_mended(text, request, options) else LOOP
    ]


@pytest.mark.parametrize(
    ("step", "outputs", "failure"),
    [
        ("block_ngrams", looping_unless(lambda text, request, options: options.no_repeat_ngram == 3), "looping"),
        (
            "min_length",
            lambda text, request, options: ["The cat is sleeping on the bed." if request.min_length else "."],
            "empty",
        ),
        (
            "parts",
            lambda text, request, options: [LOOP if len(text) > 30 else f"The cat is sleeping {text[::-1]}"],
            "looping",
        ),
        (
            "parts",  # quarters, since halves fail, too
            lambda text, request, options: [
                LOOP if len(text) > 20 else "The cat is sleeping" if "chat" in text else text[::-1]
            ],
            "looping",
        ),
    ],
)
def test_each_step_mends_what_earlier_ones_have_not(
    tokenizers: Tokenizers, step: str, outputs: Outputs, failure: str
) -> None:
    translator = translator_of(tokenizers, outputs)
    found = translator.translate("Le chat dort sur le lit, et le chien mange du pain.")
    assert found.repair == Repair((failure,), (step,), ())
    assert "cat is sleeping" in found.text
    assert translator.translate("Le chat dort sur le lit, et le chien mange du pain.", guard=False).repair is None


def test_what_was_lost_is_copied(tokenizers: Tokenizers) -> None:
    def outputs(text: str, request: Request, options: DecodingOptions) -> list[str]:
        return [
            {"Voir": "See.", "et écrire à": "And write to", "avant": "Before."}.get(text, "See it and write there.")
        ]

    translator = translator_of(tokenizers, outputs)
    found = translator.translate(
        "Voir https://exemple.fr/a?b, et écrire à {name} (jean@exemple.fr) avant 14h30.", protect=False
    )
    assert found.text == "See https://exemple.fr/a?b, and write to {name} (jean@exemple.fr) before 14h30."
    assert found.repair == Repair(("numbers", "urls", "emails", "placeholders"), ("copy",), ())
    assert found.score == pytest.approx(-2.0 * len(found.hypotheses[0].token_log_probabilities) / penalty(found))
    assert len(found.hypotheses[0].token_log_probabilities) == len(found.tokens) + 1


def test_a_code_whose_groups_were_separated_unevenly_is_copied_as_a_whole() -> None:
    translator = Translator.load("fr-en-tiny", "cpu", threads=1)
    free = translator.translate("Le code de la porte est 7 5 3 9 1.", guard=False, protect=False)
    found = translator.translate("Le code de la porte est 7 5 3 9 1.", guard=True, protect=False)
    assert "7 5 3 9 1" not in free.text and found.text == "The code of the door is 7 5 3 9 1."
    assert found.repair == Repair(("numbers",), ("copy",), ())


def test_copied_text_is_followed_by_punctuation_as_the_target_language_writes_it(tokenizers: Tokenizers) -> None:
    translator = translator_of(tokenizers, lambda text, request, options: ["Write it." if "rire" in text else "Yes."])
    found = translator.translate("Écrire {name} : oui !", protect=False)
    assert found.text == "Write it {name}: yes."


def test_repetition_is_forbidden_where_the_translation_repeats_alone(tokenizers: Tokenizers) -> None:
    sizes: dict[str, set[int]] = {"loop": set(), "old": set()}

    def outputs(text: str, request: Request, options: DecodingOptions) -> list[str]:
        sizes["old" if "15" in text else "loop"].add(options.no_repeat_ngram)
        return ["The cat is old." if "15" in text else LOOP]

    translator_of(tokenizers, outputs).translate(["Le chat a 15 ans.", "Le chat dort sur le lit."])
    assert sizes == {"loop": {0, 3}, "old": {0}}


def test_a_cut_translation_is_no_better_than_one_with_a_failure(tokenizers: Tokenizers) -> None:
    translator = translator_of(tokenizers, lambda text, request, options: ["The cat is old.", "The cat is 15"])
    translator.engine.cut = {"The cat is 15"}  # type: ignore[attr-defined]
    found = translator.translate("Le chat a 15 ans.", target_prefix="The")
    assert found.text == "The cat is old." and found.repair == Repair(("numbers",), (), ("numbers",))


def test_a_repaired_translation_keeps_protected_text(tokenizers: Tokenizers) -> None:
    pieces = {"Le chat a": "The cat is", "ans, voir": "years old, see"}

    def outputs(text: str, request: Request, options: DecodingOptions) -> list[str]:
        return [pieces.get(text, "The cat is old, see X1.")]

    found = translator_of(tokenizers, outputs).translate("Le chat a 15 ans, voir {name}.")
    assert found.text == "The cat is 15 years old, see {name}."
    assert found.repair == Repair(("numbers",), ("copy",), ())


def test_parts_that_lose_protected_text_are_not_joined(tokenizers: Tokenizers) -> None:
    def outputs(text: str, request: Request, options: DecodingOptions) -> list[str]:
        return [f"{LOOP} X1" if len(text) > 40 else "The cat is sleeping."]

    found = translator_of(tokenizers, outputs).translate("Le chat dort sur le lit, et voir {name} pour du pain.")
    assert found.text == f"{LOOP} {{name}}"
    assert found.repair == Repair(("looping",), (), ("looping",))


def test_parts_that_lose_a_term_are_not_joined(tokenizers: Tokenizers) -> None:
    def outputs(text: str, request: Request, options: DecodingOptions) -> list[str]:
        return [f"{LOOP} hound" if len(text) > 40 else "The cat is sleeping."]

    translator = translator_of(tokenizers, outputs)
    translator.engine.serves_terms = True  # type: ignore[misc]
    text = "Le chat dort sur le lit, et le chien mange du pain."
    found = translator.translate(text, terms={"chien": "hound"})
    assert found.text == f"{LOOP} hound" and found.repair == Repair(("looping",), (), ("looping",))
    assert translator.translate(text).repair == Repair(("looping",), ("parts",), ())


def test_a_term_that_the_source_has_as_it_is_is_copied(tokenizers: Tokenizers) -> None:
    pieces = {"Le chat a": "The cat is", "ans et lit": "years old and reads"}

    def outputs(text: str, request: Request, options: DecodingOptions) -> list[str]:
        return [pieces.get(text, "The cat is old and reads Le Monde.")]

    translator = translator_of(tokenizers, outputs)
    translator.engine.serves_terms = True  # type: ignore[misc]
    found = translator.translate("Le chat a 15 ans et lit Le Monde.", terms={"Le Monde": "Le Monde"})
    assert found.text == "The cat is 15 years old and reads Le Monde."
    assert found.repair == Repair(("numbers",), ("copy",), ())


def test_a_joined_translation_has_the_coverage_penalty_in_its_score(tokenizers: Tokenizers) -> None:
    translator = translator_of(tokenizers, lambda text, request, options: ["See it."], coverage_penalty=0.5)
    found = translator.translate("Voir {name}.", protect=False)
    assert found.repair == Repair(("placeholders",), ("copy",), ())
    length, num_source = len(found.tokens), len(tokenizers.source.encode("Voir {name}."))
    expected = -2.0 * (length + 1) / penalty(found) + 0.5 * num_source * math.log(0.01 * length)
    assert found.score == pytest.approx(expected)


def penalty(found: Any) -> float:
    return float(((5 + len(found.hypotheses[0].token_log_probabilities)) / 6) ** 0.6)


def test_the_candidate_with_the_fewest_failures_is_kept_then_the_best_score(tokenizers: Tokenizers) -> None:
    def outputs(text: str, request: Request, options: DecodingOptions) -> list[str]:
        if len(text.split()) < 5:
            return [LOOP]
        return [f"{LOOP} no", f"{LOOP} 15 no no no no no", f"{LOOP} 15"]

    translator = translator_of(tokenizers, outputs)
    found = translator.translate("Nous avons 15 chats et des chiens {name} dans la maison.", protect=False)
    assert found.text == f"{LOOP} 15"
    assert found.flags == ("repaired", "failed")
    assert found.repair == Repair(
        ("looping", "numbers", "placeholders"), ("next_hypothesis",), ("looping", "placeholders")
    )


def test_an_unrepaired_translation_is_the_search_s_own(tokenizers: Tokenizers) -> None:
    translator = translator_of(tokenizers, lambda text, request, options: [LOOP])
    found = translator.translate("Le chat dort sur le lit.")
    assert found.repair == Repair(("looping",), (), ("looping",)) and found.flags == ("failed",)
    assert found == Translator.translate(translator, ["Le chat dort sur le lit."])[0]
    assert found.hypotheses == translator.translate("Le chat dort sur le lit.", guard=False).hypotheses


def test_the_repaired_translation_is_first_in_the_n_best_list(tokenizers: Tokenizers) -> None:
    texts = [LOOP, f"{LOOP} no", "The cat is sleeping."]
    translator = translator_of(tokenizers, lambda text, request, options: texts)
    found = translator.translate("Le chat dort.", num_hypotheses=2)
    assert [each.text for each in found.hypotheses] == ["The cat is sleeping.", LOOP]


def test_samples_are_not_checked(tokenizers: Tokenizers) -> None:
    translator = translator_of(tokenizers, lambda text, request, options: [LOOP])
    found = translator.translate("Le chat dort.", sample=True)
    assert found.repair is None and found.text == LOOP


def test_a_prefix_is_kept_whole(tokenizers: Tokenizers) -> None:
    translator = translator_of(tokenizers, lambda text, request, options: [LOOP])
    found = translator.translate("Le chat dort sur le lit.", target_prefix="The")
    assert found.repair == Repair(("looping",), (), ("looping",))
    assert {text for search in translator.engine.searches for text in search} == {"Le chat dort sur le lit."}
    translator = translator_of(tokenizers, lambda text, request, options: ["The cat is old."])
    found = translator.translate("Le chat a 15 ans.", target_prefix="The")
    assert found.repair == Repair(("numbers",), (), ("numbers",))


def test_parts_of_a_line_are_repaired_on_their_own(tokenizers: Tokenizers) -> None:
    translator = translator_of(
        tokenizers,
        lambda text, request, options: ["Yes."] if "Oui" in text else [LOOP, "The cat is sleeping."],
        split_sentences=True,
    )
    found = translator.translate("Oui. Le chat dort.")
    assert found.text == "Yes. The cat is sleeping."
    assert found.flags == ("sentences", "repaired")
    assert found.repair == Repair(("looping",), ("next_hypothesis",), ())


def test_reports_on_parts_are_joined() -> None:
    parts = [Repair(("looping",), ("parts",), ()), Repair(("looping", "urls"), ("copy",), ("urls",))]
    assert Repair.joined(parts) == Repair(("looping", "urls"), ("parts", "copy"), ("urls",))
    assert Repair.joined([]) == Repair()


def test_a_joined_translation_that_the_model_has_no_positions_for_is_left_out(tokenizers: Tokenizers) -> None:
    text = f"Voir https://exemple.fr/{'a' * 30} et {{name}}."
    translator = translator_of(tokenizers, lambda text, request, options: ["See the cat that is sleeping."])
    copied = translator.translate(text, protect=False)
    assert copied.repair == Repair(("urls", "placeholders"), ("copy",), ())
    translator.engine.max_positions = len(tokenizers.source.encode(text)) * 4 // 3 + 1
    assert len(copied.tokens) >= translator.engine.max_positions
    kept = translator.translate(text, protect=False)
    assert kept.repair == Repair(("urls", "placeholders"), (), ("urls", "placeholders"))


def test_the_positions_of_a_joined_translation_include_the_source_if_both_share_them(tokenizers: Tokenizers) -> None:
    text = "Le chat {x}, le lit {y}, la gare {z}."
    pieces = {"Le chat": "The cat that sleeps", "le lit": "a bed in his old house", "la gare": "stations of our town"}
    translator = translator_of(tokenizers, lambda text, request, options: [pieces.get(text, "The cat, his bed.")])
    translator.engine.shares_positions = True  # type: ignore[misc]
    copied = translator.translate(text, protect=False)
    length = len(tokenizers.source.encode(text)) + len(copied.tokens) + 2
    for max_positions, steps in ((length, ("copy",)), (length - 1, ())):
        translator.engine.max_positions = max_positions
        found = translator.translate(text, protect=False)
        assert found.repair is not None and found.repair.steps == steps


def test_a_name_is_rare_if_the_vocabulary_spells_it_with_many_pieces_in_any_case(tokenizers: Tokenizers) -> None:
    assert len(tokenizers.source.encode("Mangé")) > 4 > len(tokenizers.source.encode("mangé"))
    assert [is_rare(word, tokenizers.source) for word in ("Mangé", "Wkzjq", "Le")] == [False, True, False]


@pytest.mark.parametrize("options", [{"beam_size": 1}, {"num_beam_groups": 3}, {"mbr_candidates": 3}])
def test_the_guard_of_any_search_has_a_beam_to_choose_from(tokenizers: Tokenizers, options: dict[str, int]) -> None:
    translator = translator_of(tokenizers, lambda text, request, options: [LOOP, "The cat is sleeping."])
    assert translator.translate("Le chat dort.", **options).text == "The cat is sleeping."  # type: ignore[arg-type]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_model_that_fails_in_every_line_is_repaired_in_any_company(
    random_translator: Translator, beam_size: int
) -> None:
    texts = [source for source, _ in PAIRS[:12]] + ["", "x" * 300, "😀" * 9, "Voir https://exemple.fr et a@b.fr, 15."]
    together = random_translator.translate(texts, beam_size=beam_size, guard=True)
    assert sum(each.flags != () for each in together) > 3
    for text, found in zip(texts, together, strict=True):
        alone = random_translator.translate(text, beam_size=beam_size, guard=True)
        assert (alone.text, alone.flags, alone.repair) == (found.text, found.flags, found.repair)
    off = random_translator.translate(texts, beam_size=beam_size)
    for each, plain in zip(together, off, strict=True):
        assert plain.repair is None and each.repair is not None
        assert len(each.repair.remaining) <= len(each.repair.failures)
        if not each.repair.steps:
            assert each.hypotheses == plain.hypotheses
    json.dumps([each.repair.failures for each in together if each.repair])
