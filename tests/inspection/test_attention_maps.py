from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from translator import Translator
from translator.config import ModelConfig
from translator.engines.torch_engine import TorchEngine
from translator.inspection.attention_maps import KINDS, AttentionMap, attention_maps, recomputed_weights
from translator.inspection.reading import InspectionError, spell, word_groups
from translator.model import EncoderDecoder, build_model
from translator.model.attention import CrossAttention, SelfAttention
from translator.packing import Packed

SENTENCE = "Je n'ai pas vu l'homme qui parlait."


def small_model(**options: object) -> EncoderDecoder:
    sizes = {"d_model": 16, "d_ff": 24, "encoder_layers": 2, "decoder_layers": 2, "max_positions": 40}
    heads = {"encoder_heads": (2, 4), "decoder_heads": (4, 1)}
    torch.manual_seed(0)
    return build_model(ModelConfig.model_validate(sizes | heads | options), 20, 20).eval()


def num_hooks(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_recomputed_weights_give_the_output_of_the_fast_path(norm: str, positions: str) -> None:
    model = small_model(norm=norm, positions=positions)
    seen = []

    def compare(attention: SelfAttention | CrossAttention, inputs: tuple[Any, ...], output: Tensor) -> None:
        weights = recomputed_weights(attention, inputs)
        *_, values = attention.queries_keys_values(*inputs)
        combined = torch.einsum("hqk,khd->qhd", weights, values).flatten(1)
        torch.testing.assert_close(attention.output_projection(combined), output, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:2]))
        seen.append(weights.shape)

    for module in model.modules():
        if isinstance(module, SelfAttention | CrossAttention):
            module.register_forward_hook(compare)
    with torch.inference_mode():
        model(Packed.from_sequences([[3, 5, 7, 9, 2]]), Packed.from_sequences([[1, 4, 6]]))
    assert seen == [(2, 5, 5), (4, 5, 5), (4, 3, 3), (4, 3, 5), (1, 3, 3), (1, 3, 5)]


def test_maps_are_labelled_and_each_row_sums_to_one(random_translator: Translator) -> None:
    maps = attention_maps(random_translator, SENTENCE)
    assert maps.source == SENTENCE
    assert maps.target == random_translator.translate(SENTENCE).text
    for kind in KINDS:
        found = maps.of(kind)
        assert found.kind == kind and len(found.layers) == 2
        for weights in found.layers:
            assert weights.shape == (4, len(found.queries), len(found.keys))
            np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    assert maps.encoder.queries == maps.encoder.keys == maps.cross.keys
    assert maps.encoder.queries[-1] == "</s>" and spell(maps.encoder.queries[:-1]) == SENTENCE
    assert maps.decoder.queries[0] == "<s>"
    assert maps.cross.queries[:-1] == maps.decoder.queries[1:]


def test_the_decoder_sees_nothing_that_is_not_written_yet(random_translator: Translator) -> None:
    for weights in attention_maps(random_translator, SENTENCE).decoder.layers:
        assert np.array_equal(weights, np.tril(weights))


def test_a_given_target_is_read_instead_of_the_models_own(random_translator: Translator) -> None:
    maps = attention_maps(random_translator, SENTENCE, "We ate bread.")
    assert maps.target == "We ate bread."
    assert spell(maps.cross.queries[:-1]) == "We ate bread." and maps.cross.queries[-1] == "</s>"
    assert maps.decoder.queries == ("<s>", *maps.cross.queries[:-1])


def test_a_look_inside_changes_nothing(random_translator: Translator) -> None:
    before = random_translator.translate(SENTENCE)
    state = torch.get_rng_state()
    attention_maps(random_translator, SENTENCE)
    assert torch.equal(torch.get_rng_state(), state)
    assert num_hooks(random_translator.engine.model) == 0
    assert random_translator.translate(SENTENCE) == before


def test_hooks_go_away_when_the_model_fails(random_translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_translator.engine.model.decoder.layers[1], "forward", lambda *inputs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        attention_maps(random_translator, SENTENCE, "We ate bread.")
    assert num_hooks(random_translator.engine.model) == 0


def test_words_take_the_mean_of_their_rows_and_the_sum_of_their_columns() -> None:
    weights = np.array([[[0.2, 0.3, 0.5], [0.4, 0.1, 0.5], [0.0, 0.0, 1.0]]], dtype=np.float32)
    pieces = ("▁cha", "t", "</s>")
    words = AttentionMap("encoder", pieces, pieces, (weights,)).as_words()
    assert words.queries == words.keys == ("chat", "</s>")
    np.testing.assert_allclose(words.layers[0], [[[0.5, 0.5], [0.0, 1.0]]], atol=1e-6)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ("▁ <0xF0> <0x9F> <0x98> <0x80> ▁oui . </s>", ["😀", "oui", ".", "</s>"]),
        ("<s> ▁l ' é tu diant ▁d ' un", ["<s>", "l'", "étudiant", "d'un"]),
        ("▁« ▁qu' il ▁a ▁» </s>", ["«", "qu'il", "a", "»", "</s>"]),
        ("▁don ' t , ▁we ' re !", ["don't", ",", "we're", "!"]),
    ],
)
def test_words_are_put_together_from_pieces(pieces: str, words: list[str]) -> None:
    split = pieces.split()
    groups = word_groups(split)
    assert [index for group in groups for index in group] == list(range(len(split)))
    assert [spell([split[index] for index in group]) for group in groups] == words


def test_layers_and_heads_count_from_one(random_translator: Translator) -> None:
    encoder = attention_maps(random_translator, "oui", "yes").encoder
    assert np.array_equal(encoder.head(2, 4), encoder.layers[1][3])


@pytest.mark.parametrize(
    ("layer", "head", "message"),
    [
        (0, 1, "A layer of encoder attention must be from 1 to 2. Received: 0."),
        (3, None, "A layer of encoder attention must be from 1 to 2. Received: 3."),
        (1, 3, "A head of encoder attention in layer 1 must be from 1 to 2. Received: 3."),
        (None, 5, "A head of encoder attention must be from 1 to 4. Received: 5."),
    ],
)
def test_a_layer_or_head_that_is_not_there_is_refused(layer: int | None, head: int | None, message: str) -> None:
    layers = tuple(np.ones((heads, 1, 1), dtype=np.float32) for heads in (2, 4))
    with pytest.raises(InspectionError, match=message):
        AttentionMap("encoder", ("a",), ("a",), layers).check(layer, head)


@pytest.mark.parametrize("sentence", ["", "  \n\t "])
def test_an_empty_sentence_is_refused(sentence: str, random_translator: Translator) -> None:
    with pytest.raises(InspectionError, match=r"A sentence must contain text. Received: "):
        attention_maps(random_translator, sentence)


def test_what_is_too_long_is_refused(random_translator: Translator) -> None:
    with pytest.raises(InspectionError, match=r"at most 30 tokens. Received: \d+ tokens. Pass a part"):
        attention_maps(random_translator, "oui " * 40)
    with pytest.raises(InspectionError, match=r"A target must have at most 39 tokens. Received: \d+ tokens."):
        attention_maps(random_translator, "oui", "yes " * 40)


def test_an_empty_target_is_refused(random_translator: Translator) -> None:
    with pytest.raises(InspectionError, match=r"A target must contain text. Received: '.*'. Omit it to use"):
        attention_maps(random_translator, "oui", " ")


def test_another_architecture_is_refused(random_translator: Translator) -> None:
    other = Translator(TorchEngine(torch.nn.Linear(1, 1)), random_translator.tokenizers)  # type: ignore[arg-type]
    with pytest.raises(InspectionError, match=r"Inspection requires an encoder-decoder model. Received: Linear."):
        attention_maps(other, "oui")


def test_a_sentence_that_is_no_valid_text_is_read_all_the_same(random_translator: Translator) -> None:
    assert "\ufffd" in attention_maps(random_translator, "oui \udcff", "yes").source
