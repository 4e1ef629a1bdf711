"""The encoder alone and the decoder alone: what they see, and that a cache changes nothing."""

from __future__ import annotations

import pytest
import torch
from model_cases import VOCAB_SIZE, PackedBatch, random_batch, small_config

from translator.model import IGNORE_INDEX, DecoderOnly, EncoderOnly, build_model
from translator.model.decoder_only import joined_sequences
from translator.packing import Packed

VARIATIONS = [
    {"positions": "sinusoidal", "norm": "pre", "tied_embeddings": "all"},
    {"positions": "learned", "norm": "post", "tied_embeddings": "none"},
    {"positions": "rotary", "norm": "pre", "tied_embeddings": "target", "activation": "swiglu"},
]


def decoder_only(seed: int = 0, **options: object) -> DecoderOnly:
    torch.manual_seed(seed)
    model = build_model(small_config(architecture="decoder_only", **options), VOCAB_SIZE, VOCAB_SIZE).eval()
    assert isinstance(model, DecoderOnly)
    return model


def encoder_only(num_labels: int = 0, **options: object) -> EncoderOnly:
    torch.manual_seed(0)
    config = small_config(architecture="encoder_only", **options)
    model = build_model(config, VOCAB_SIZE, VOCAB_SIZE, num_labels=num_labels).eval()
    assert isinstance(model, EncoderOnly)
    return model


def packed(*lengths: int, seed: int = 1) -> Packed:
    generator = torch.Generator().manual_seed(seed)
    return Packed.from_sequences([torch.randint(3, VOCAB_SIZE, (n,), generator=generator) for n in lengths])


def test_joined_sequences_are_concatenated_pairwise_with_trailing_padding_last() -> None:
    first = Packed(torch.tensor([1, 2, 3, 90, 91]), torch.tensor([0, 2, 2, 3, 3], dtype=torch.int32), 4)
    second = Packed(torch.tensor([5, 6, 7, 8, 92]), torch.tensor([0, 1, 3, 4, 4], dtype=torch.int32), 4)
    joined, rows = joined_sequences(first, second)
    assert [sequence.tolist() for sequence in joined.unpack()] == [[1, 2, 5], [6, 7], [3, 8], []]
    assert sorted(joined.values[7:].tolist()) == [90, 91, 92]
    assert torch.equal(joined.values[rows], second.values)
    assert joined.max_seqlen == 8


@pytest.mark.parametrize("options", VARIATIONS)
def test_steps_of_a_decoder_only_model_equal_its_forward_pass(options: dict[str, object]) -> None:
    model = decoder_only(**options)
    source, target = packed(4, 1, 7), packed(3, 3, 3, seed=2)
    with torch.inference_mode():
        whole = model.logits(model(source, target)).view(3, 3, VOCAB_SIZE)
        state = model.start(source)
        for place in range(3):
            logits = model.step(target.values.view(3, 3)[:, place], state)
            torch.testing.assert_close(logits, whole[:, place], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", VARIATIONS)
def test_reordered_rows_of_a_decoder_only_model_keep_their_history(options: dict[str, object]) -> None:
    model = decoder_only(**options)
    source, tokens = packed(4, 0, 6), torch.tensor([5, 6, 7])
    with torch.inference_mode():
        state = model.start(source)
        model.step(tokens, state)
        state = model.reorder(state, torch.tensor([0, 0, 2, 2]), [0, 2])
        found = model.step(torch.tensor([8, 9, 10, 11]), state)
        for row, (sentence, last) in enumerate([(0, 8), (0, 9), (2, 10), (2, 11)]):
            text = Packed.from_sequences([torch.cat((source.unpack()[sentence], tokens[sentence, None]))])
            expected = model.logits(model(text, Packed.from_sequences([[last]])))
            torch.testing.assert_close(found[row, None], expected, rtol=1e-5, atol=1e-5)
        with pytest.raises(ValueError, match="rows must keep the sentences in order"):
            model.reorder(state, torch.tensor([2, 0]))


def test_a_decoder_only_model_attends_to_earlier_tokens_of_the_same_sequence_only() -> None:
    model = decoder_only()
    source, target = packed(4, 5), packed(3, 6, seed=2)
    hidden = model(source, target)
    changed = target.values.clone()
    changed[2] = (changed[2] + 1) % VOCAB_SIZE  # the last token of the first sequence
    after = model(source, target.with_values(changed))
    assert torch.equal(hidden[[0, 1, 3, 4, 5, 6, 7, 8]], after[[0, 1, 3, 4, 5, 6, 7, 8]])
    assert not torch.equal(hidden[2], after[2])


def test_a_decoder_only_model_without_sources_is_a_language_model() -> None:
    model = decoder_only()
    target = packed(3, 6)
    nothing = Packed.from_sequences([[], []])
    batch = PackedBatch(nothing, target, target.values)
    loss, count = model.loss(batch)
    log_probs = model.logits(model(nothing, target)).log_softmax(-1)
    assert int(count) == 9
    torch.testing.assert_close(loss, -log_probs.gather(1, target.values[:, None]).sum())


def test_trailing_padding_changes_neither_loss_nor_gradients_of_a_decoder_only_model() -> None:
    model = decoder_only()
    batch = random_batch([4, 2], [3, 5])
    filled = PackedBatch(
        *(_filled(side, 4) for side in (batch.source, batch.target_input)),
        torch.cat((batch.labels, torch.full((4,), IGNORE_INDEX))),
    )
    grads = []
    for each in (batch, filled):
        model.zero_grad()
        loss, _ = model.loss(each)
        loss.backward()
        grads.append([loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())])
    for first, second in zip(*grads, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)


def _filled(side: Packed, rows: int) -> Packed:
    values = torch.cat((side.values, side.values.new_full((rows,), 2)))
    return Packed(values, torch.cat((side.cu_seqlens, side.cu_seqlens[-1:])), 20)


@pytest.mark.parametrize("options", VARIATIONS)
def test_an_encoder_only_model_is_bidirectional_and_counts_masked_tokens_only(options: dict[str, object]) -> None:
    model = encoder_only(**options)
    source = packed(4, 5)
    labels = torch.full((9,), IGNORE_INDEX)
    labels[[1, 6]] = torch.tensor([7, 8])
    loss, count = model.loss(PackedBatch(source, Packed.from_sequences([]), labels))
    log_probs = model.logits(model.encode(source)).log_softmax(-1)
    assert int(count) == 2
    torch.testing.assert_close(loss, -(log_probs[1, 7] + log_probs[6, 8]))
    changed = source.values.clone()
    changed[3] = (changed[3] + 1) % VOCAB_SIZE
    differs = (model.encode(source.with_values(changed)) != model.encode(source)).any(1)
    assert differs[:4].all() and not differs[4:].any()


def test_a_classifier_scores_each_text_independently() -> None:
    model = encoder_only(num_labels=3)
    source = packed(4, 5, 1)
    logits = model.class_logits(source)
    for text, scores in zip(source.unpack(), logits, strict=True):
        torch.testing.assert_close(model.class_logits(Packed.from_sequences([text]))[0], scores, rtol=1e-5, atol=1e-6)
    labels = torch.tensor([2, 0, 1])
    loss, count = model.loss(PackedBatch(source, Packed.from_sequences([]), labels))
    assert int(count) == 3
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))


def test_every_architecture_has_the_parameters_of_its_stacks_only() -> None:
    assert {name.split(".")[0] for name, _ in decoder_only().named_parameters()} == {"token_embedding", "decoder"}
    names = {name.split(".")[0] for name, _ in encoder_only(num_labels=2).named_parameters()}
    assert names == {"token_embedding", "encoder", "classifier"}
    assert not any("cross_attention" in name for name, _ in decoder_only().named_parameters())
