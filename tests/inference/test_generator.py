"""Texts of a language model continue their prompts, regardless of the batch, with every decoding method."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from variations import write_model

from translator.config import ConfigError
from translator.decoding.errors import DecodingError
from translator.inference.generator import Generator
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID, Tokenizers

PROMPTS = ["The cat", "Where", "We ate bread and eggs. I did not", "“Hello", "The"]


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory, tokenizers: Tokenizers) -> Generator:
    return Generator.load(write_model(tmp_path_factory.mktemp("gpt") / "run", "language_modeling", tokenizers), "cpu")


WAYS: list[dict[str, Any]] = [
    {"beam_size": 1},
    {"beam_size": 3, "num_hypotheses": 2},
    {},
    {"temperature": 0.7, "top_k": 5, "top_p": 0.9, "seed": 3, "num_hypotheses": 3},
]


@pytest.mark.parametrize("options", WAYS)
def test_prompts_of_any_lengths_go_on_together_as_they_do_alone(generator: Generator, options: dict[str, Any]) -> None:
    together = generator.generate(PROMPTS, max_pieces=12, **options)
    for prompt, found in zip(PROMPTS, together, strict=True):
        alone = generator.generate(prompt, max_pieces=12, **options)
        assert [each.text for each in alone.hypotheses] == [each.text for each in found.hypotheses]
        assert alone.hypotheses[0].score == pytest.approx(found.hypotheses[0].score, abs=1e-4)
        assert found.prompt == prompt
        assert len(found.hypotheses) == options.get("num_hypotheses", 1)
        start = generator.tokenizer.decode(generator.tokenizer.encode(prompt))
        assert all(each.text.startswith(start) for each in found.hypotheses)


def test_greedy_text_is_the_likeliest_piece_each_time(generator: Generator) -> None:
    found = generator.generate(PROMPTS[2], max_pieces=6, beam_size=1).hypotheses[0]
    ids = [BOS_ID, *generator.tokenizer.encode(PROMPTS[2])]
    nothing = Packed.from_sequences([[]])
    for number, value in enumerate(found.token_log_probabilities):
        with torch.no_grad():
            hidden = generator.engine.model(nothing, Packed.from_sequences([ids]))
            log_probs = generator.engine.model.logits(hidden[-1:]).log_softmax(-1)[0]
        log_probs[[0, BOS_ID, *([EOS_ID] if number == 0 else [])]] = -math.inf
        assert value == pytest.approx(float(log_probs.max()), abs=1e-4)
        ids.append(int(log_probs.argmax()))


def test_draws_are_a_function_of_the_seed(generator: Generator) -> None:
    def draw(seed: int) -> list[str]:
        return [found.text for found in generator.generate(PROMPTS, seed=seed)]

    assert draw(1) == draw(1) != draw(2)


def test_what_is_not_finished_is_flagged_and_no_longer_than_asked(generator: Generator) -> None:
    found = generator.generate(PROMPTS, max_pieces=2)
    assert all(len(each.hypotheses[0].token_log_probabilities) <= 2 for each in found)
    for each in found:
        is_finished = len(each.hypotheses[0].token_log_probabilities) > len(each.hypotheses[0].tokens)
        assert ("truncated" in each.flags) != is_finished
    longest = generator.generate("The cat is on the sofa.", max_pieces=1000).hypotheses[0]
    assert len(longest.tokens) < generator.engine.max_positions


def test_a_minimum_length_is_kept(generator: Generator) -> None:
    found = generator.generate(PROMPTS, min_length=9, max_pieces=12, top_k=300)
    assert all(len(each.hypotheses[0].tokens) >= 9 for each in found)


def test_nothing_to_go_on_from_gives_nothing_and_keeps_its_place(generator: Generator) -> None:
    found = generator.generate(["", PROMPTS[0], " \n"], max_pieces=3)
    assert [(each.text, each.flags) for each in found[::2]] == [("", ("empty",))] * 2
    assert found[1] == generator.generate(PROMPTS[0], max_pieces=3)


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ("cat " * 60, {}, r"at most 59 tokens\. Received: 120 tokens, 'cat cat .*\. Shorten the prompt\."),
        ("cat", {"beam_size": 2, "top_k": 3}, "beam_size and top_k are mutually exclusive"),
        ("cat", {"max_pieces": 0}, "max_pieces must be above 0"),
        (3, {}, "A text must be a str"),
    ],
)
def test_prompts_and_options_that_cannot_be_used_are_refused(
    generator: Generator, prompt: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ConfigError, DecodingError), match=message):
        generator.generate([prompt], **options)


def test_log_probabilities_of_texts_are_those_of_each_piece_and_the_end(generator: Generator) -> None:
    texts = ["The cat is sleeping on the sofa.", "Where is the station?", "", "We ate bread. " * 12]
    values = generator.token_log_probabilities(texts)
    assert len(values[0]) == len(generator.tokenizer.encode(texts[0])) + 1
    assert values[2] == ()
    assert values[3] == pytest.approx(values[3][: len(values[3]) // 12] * 12, abs=1e-4)  # sentence by sentence
    assert generator.token_log_probabilities(texts[1:2])[0] == pytest.approx(values[1], abs=1e-4)
