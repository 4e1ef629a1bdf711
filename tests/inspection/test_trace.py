from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
import torch

from translator import Translator, trace
from translator.config import ModelConfig
from translator.engines.torch_engine import TorchEngine
from translator.inspection.attention_maps import attention_maps
from translator.inspection.reading import InspectionError
from translator.inspection.trace import format_trace
from translator.model import EncoderDecoder, build_model
from translator.packing import Packed
from translator.tokenizer import BOS_ID, EOS_ID

SENTENCE = "Où est la gare ?"


def test_a_trace_ends_in_the_greedy_translation(random_translator: Translator) -> None:
    found = trace(random_translator, SENTENCE)
    expected = random_translator.translate(SENTENCE, beam_size=1)
    assert found.text == expected.text
    written = [step.chosen.piece for step in found.steps]
    assert tuple(written[:-1] if found.is_finished else written) == expected.tokens


def test_a_trace_and_a_map_repeat_no_ngram_where_the_model_may_not(random_translator: Translator) -> None:
    decoding = random_translator.decoding.model_copy(update={"no_repeat_ngram": 2})
    guarded = Translator(random_translator.engine, random_translator.tokenizers, decoding)
    assert trace(guarded, SENTENCE).text == guarded.translate(SENTENCE, beam_size=1).text
    assert trace(guarded, SENTENCE).text != trace(random_translator, SENTENCE).text
    assert attention_maps(guarded, SENTENCE).target == guarded.translate(SENTENCE).text


def test_a_drawn_trace_ends_in_the_sampled_translation(random_translator: Translator) -> None:
    options: dict[str, Any] = {"sample": True, "temperature": 1.3, "top_k": 20, "top_p": 0.9, "seed": 4}
    found = trace(random_translator, SENTENCE, **options)
    assert found.text == random_translator.translate(SENTENCE, **options).text
    assert found.text != trace(random_translator, SENTENCE).text


def test_each_step_takes_in_what_the_last_gave_out(random_translator: Translator) -> None:
    steps = trace(random_translator, SENTENCE).steps
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert steps[0].input.id == BOS_ID
    assert [step.input.id for step in steps[1:]] == [step.chosen.id for step in steps[:-1]]
    assert all(step.chosen == step.top[0] for step in steps)


def test_pieces_and_vectors_are_those_of_the_model(random_translator: Translator) -> None:
    found = trace(random_translator, SENTENCE, num_values=32)
    model = random_translator.engine.model
    assert isinstance(model, EncoderDecoder)
    ids = [piece.id for piece in found.pieces]
    assert ids == [*random_translator.tokenizers.source.encode(SENTENCE), EOS_ID]
    assert [piece.piece for piece in found.pieces] == random_translator.tokenizers.source.pieces(ids)
    assert found.positions is not None
    source = Packed.from_sequences([ids])
    entered = []
    hook = model.encoder.register_forward_hook(lambda module, inputs, output: entered.append((inputs[0], output)))
    with torch.inference_mode():
        model.encode(source)
    hook.remove()
    [(received, memory)] = entered
    torch.testing.assert_close(torch.tensor(found.encoder_input.values), received)
    torch.testing.assert_close(torch.tensor(found.embedding.values) + torch.tensor(found.positions.values), received)
    torch.testing.assert_close(torch.tensor(found.memory.values), memory)
    assert found.memory.shape == (len(ids), 32)
    assert found.memory.norms == pytest.approx(memory.norm(dim=-1).tolist(), abs=1e-5)


def test_the_decoders_rows_are_its_steps(random_translator: Translator) -> None:
    found = trace(random_translator, SENTENCE, num_values=32)
    with torch.inference_mode():
        logits = random_translator.engine.model.logits(torch.tensor(found.decoder[-1].values)).softmax(dim=-1)
    for step, row in zip(found.steps, logits, strict=True):
        assert step.chosen.probability == pytest.approx(float(row[step.chosen.id]), rel=1e-3)


def test_sampling_changes_the_shown_distribution_only(random_translator: Translator) -> None:
    plain = trace(random_translator, SENTENCE, num_top=1000)
    for sampling, is_as_expected in (
        ({"temperature": 0.5}, lambda step, x: x[0].sampling_probability > x[0].probability),
        ({"temperature": 2.0}, lambda step, x: x[0].sampling_probability < x[0].probability),
        (
            {"top_k": 3},
            lambda step, x: [y.sampling_probability > 0 for y in x] == [True] * 3 + [False] * (len(x) - 3),
        ),
        ({"top_p": 1e-6}, lambda step, x: x[0].sampling_probability == 1),
    ):
        found = trace(random_translator, SENTENCE, **sampling, num_top=1000)
        assert found.text == plain.text
        for step in found.steps:
            assert sum(x.sampling_probability for x in step.top) == pytest.approx(1)
            assert is_as_expected(step, step.top)
    for step in plain.steps:
        assert sum(x.probability for x in step.top) == pytest.approx(1)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_other_wirings_are_traced_too(norm: str, random_translator: Translator) -> None:
    sizes = {"d_model": 16, "d_ff": 24, "encoder_layers": 1, "decoder_layers": 1, "max_positions": 40}
    options = {"encoder_heads": 2, "decoder_heads": 2, "positions": "rotary", "norm": norm}
    size = random_translator.tokenizers.source.vocab_size
    torch.manual_seed(0)
    model = build_model(ModelConfig.model_validate(sizes | options), size, size).eval()
    found = trace(Translator(TorchEngine(model), random_translator.tokenizers), SENTENCE)
    assert found.positions is None
    first = found.encoder[0].name
    assert first == "layer 1: self-attention norm" if norm == "pre" else "layer 1: self-attention"
    assert "rotate queries and keys" in format_trace(found)


def test_a_trace_changes_nothing(random_translator: Translator) -> None:
    state = torch.get_rng_state()
    trace(random_translator, SENTENCE)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in random_translator.engine.model.modules())


def test_the_page_of_text_tells_the_same(random_translator: Translator) -> None:
    found = trace(random_translator, SENTENCE)
    page = format_trace(found)
    for piece in found.pieces:
        assert piece.piece in page and str(piece.id) in page
    assert page.count("chosen: ") == len(found.steps)
    assert page.endswith(found.text)
    assert json.loads(json.dumps(asdict(found)))["steps"][0]["input"] == {"piece": "<s>", "id": 1}


@pytest.mark.parametrize(
    ("sentence", "options", "message"),
    [
        (" ", {}, "A sentence must contain text. Received: ' '."),
        ("oui", {"num_top": 0}, "num_top must be at least 1. Received: 0."),
        ("oui", {"num_values": 0}, "num_values must be at least 1. Received: 0."),
    ],
)
def test_what_cannot_be_traced_is_refused(
    sentence: str, options: dict[str, int], message: str, random_translator: Translator
) -> None:
    with pytest.raises(InspectionError, match=message):
        trace(random_translator, sentence, **options)  # type: ignore[arg-type]
