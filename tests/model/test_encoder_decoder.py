"""The encoder-decoder: its promises hold for every combination of options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from model_cases import OPTIONS, VOCAB_SIZE, PackedBatch, random_batch, small_config, small_model
from torch import Tensor, nn
from torch.nn import functional as F

from translator.model import IGNORE_INDEX, EncoderDecoder, build_model
from translator.model.attention import CrossAttention, SelfAttention
from translator.packing import Packed

every_option = pytest.mark.parametrize("options", OPTIONS, ids=["-".join(options.values()) for options in OPTIONS])


def next_token_logits(model: EncoderDecoder, source: Packed, targets: list[list[int]]) -> Tensor:
    """Scores after the last of each target's tokens, computed without a cache: `(num_sequences, vocab_size)`."""
    target = Packed.from_sequences(targets)
    return model.logits(model(source, target)[target.cu_seqlens[1:].long() - 1])


@every_option
@torch.no_grad()
def test_cached_decoding_equals_uncached_decoding(options: dict[str, str]) -> None:
    model = small_model(**options).eval()
    source = random_batch([5, 1, 9], [1] * 3).source
    state = model.start(source)
    targets: list[list[int]] = [[], [], []]
    for step in range(20):  # past the first growth of the cache
        tokens = torch.tensor([(7 * step + 3 * row) % VOCAB_SIZE for row in range(3)])
        targets = [[*target, int(token)] for target, token in zip(targets, tokens, strict=True)]
        logits = model.step(tokens, state)
        if step in (0, 1, 7, 19):
            torch.testing.assert_close(logits, next_token_logits(model, source, targets), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_reordered_rows_continue_their_own_hypotheses_and_sentences_may_leave() -> None:
    model = small_model().eval()
    parts = random_batch([5, 2, 9], [1] * 3).source.unpack()
    state = model.start(Packed.from_sequences(parts))
    targets = [[1], [2], [3]]

    def advance(rows: list[int], tokens: list[int], sentences: list[int] | None = None) -> Tensor:
        nonlocal state, targets
        state = model.reorder(state, torch.tensor(rows), sentences)
        targets = [[*targets[row], token] for row, token in zip(rows, tokens, strict=True)]
        return model.step(torch.tensor(tokens), state)

    model.step(torch.tensor([1, 2, 3]), state)
    advance([0, 0, 1, 1, 2, 2], [4, 5, 6, 7, 8, 9])  # two hypotheses for each sentence
    advance([1, 0, 3, 3, 5, 4], [1, 2, 3, 4, 5, 6])  # swapped, repeated
    logits = advance([1, 0, 4, 4], [7, 8, 9, 10], [0, 2])  # the middle sentence is finished
    assert (state.num_sentences, state.rows) == (2, 4)
    source = Packed.from_sequences([parts[0], parts[0], parts[2], parts[2]])
    torch.testing.assert_close(logits, next_token_logits(model, source, targets), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [[0, 1, 0], [1, 0], [0, 0, 1], [2, 1, 0]])
@torch.no_grad()
def test_reordering_refuses_rows_that_mix_sentences_and_leaves_the_state_alone(rows: list[int]) -> None:
    model = small_model().eval()
    source = random_batch([5, 2, 3], [1] * 3).source
    state, untouched = model.start(source), model.start(source)
    for each in (state, untouched):
        model.step(torch.tensor([1, 2, 3]), each)
    with pytest.raises(ValueError, match=r"rows must keep the sentences in order, .* Received: rows \["):
        model.reorder(state, torch.tensor(rows))
    tokens = torch.tensor([4, 5, 6])
    assert torch.equal(model.step(tokens, state), model.step(tokens, untouched))


@pytest.mark.parametrize("options", OPTIONS[::5], ids=["-".join(options.values()) for options in OPTIONS[::5]])
@torch.no_grad()
def test_other_sequences_in_the_batch_do_not_change_logits(options: dict[str, str]) -> None:
    model = small_model(**options).eval()
    batch = random_batch([5, 1, 30, 5], [7, 12, 3, 1])
    together = model(batch.source, batch.target_input)
    for s, (source, target) in enumerate(zip(batch.source.unpack(), batch.target_input.unpack(), strict=True)):
        alone = model(Packed.from_sequences([source]), Packed.from_sequences([target]))
        rows = slice(int(batch.target_input.cu_seqlens[s]), int(batch.target_input.cu_seqlens[s + 1]))
        torch.testing.assert_close(together[rows], alone, rtol=1e-4, atol=1e-5)


def with_padding(packed: Packed, padding: int, filled_with: int) -> Packed:
    """The same sequences with rows that belong to none, and offsets padded with their last."""
    values = torch.cat((packed.values, torch.full((padding,), filled_with)))
    return Packed(values, torch.cat((packed.cu_seqlens, packed.cu_seqlens[-1:].repeat(2))), packed.max_seqlen + 7)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_filling_a_batch_to_capacity_changes_neither_loss_nor_gradients(positions: str) -> None:
    model = small_model(positions=positions, label_smoothing=0.1)
    batch = random_batch([5, 3], [4, 6])
    labels = torch.cat((batch.labels, torch.full((6,), IGNORE_INDEX)))
    filled = PackedBatch(with_padding(batch.source, 9, 3), with_padding(batch.target_input, 6, 4), labels)
    gradients = []
    for each in (batch, filled):
        loss, count = model.loss(each)
        assert int(count) == 10
        gradients.append([loss, *torch.autograd.grad(loss, list(model.parameters()))])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_negative_log_likelihood_of_the_labels() -> None:
    model = small_model().eval()
    batch = random_batch([5, 3], [4, 6])
    log_probabilities = model.logits(model(batch.source, batch.target_input)).log_softmax(-1)
    expected = -log_probabilities.gather(1, batch.labels[:, None]).sum()
    loss, count = model.loss(batch)
    torch.testing.assert_close(loss, expected)
    assert int(count) == len(batch.labels)


def test_an_output_bias_enters_logits_and_gradients() -> None:
    model = small_model(output_bias=True, label_smoothing=0.1)
    batch = random_batch([5, 3], [4, 6])
    assert model.output_bias is not None
    plain = model.logits(model(batch.source, batch.target_input))
    with torch.no_grad():
        model.output_bias.copy_(torch.randn(VOCAB_SIZE))
    logits = model.logits(model(batch.source, batch.target_input))
    torch.testing.assert_close(logits, plain + model.output_bias)
    expected = F.cross_entropy(logits, batch.labels, label_smoothing=0.1, reduction="sum")
    loss, _ = model.loss(batch)
    torch.testing.assert_close(loss, expected)
    parameters = list(model.parameters())
    torch.testing.assert_close(torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters))


def test_labels_are_smoothed_in_training_only() -> None:
    plain, smoothed = small_model(), small_model(label_smoothing=0.3)
    batch = random_batch([5, 3], [4, 6])
    assert not torch.equal(plain.loss(batch)[0], smoothed.loss(batch)[0])
    assert torch.equal(plain.eval().loss(batch)[0], smoothed.eval().loss(batch)[0])


@pytest.mark.parametrize(("tied", "matrices"), [("all", 1), ("target", 2), ("none", 3)])
def test_tied_embeddings_are_one_parameter(tied: str, matrices: int) -> None:
    model = small_model(tied_embeddings=tied)
    embeddings = (model.source_embedding, model.target_embedding, model.output_embedding)
    assert len({id(embedding.weight) for embedding in embeddings}) == matrices
    shared = [p for p in model.parameters() if p.shape == (VOCAB_SIZE, 16)]
    assert len(shared) == matrices
    assert sum(name.endswith("embedding.weight") for name, _ in model.named_parameters()) == matrices


def test_separate_vocabularies_may_differ_in_size() -> None:
    model = build_model(small_config(tied_embeddings="none"), 11, 23)
    assert model.source_embedding.weight.shape == (11, 16)
    assert model.target_embedding.weight.shape == model.output_embedding.weight.shape == (23, 16)


def test_each_layer_has_its_configured_number_of_heads() -> None:
    model = small_model(encoder_layers=3, encoder_heads=(1, 8, 2), decoder_heads=4)
    assert [layer.self_attention.num_heads for layer in model.encoder.layers] == [1, 8, 2]
    assert [layer.self_attention.num_heads for layer in model.decoder.layers] == [4, 4]
    assert [layer.cross_attention.num_heads for layer in model.decoder.layers] == [4, 4]
    model.loss(random_batch([5, 3], [4, 6]))[0].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("norm", "final_norm", "has_final_norm"),
    [("pre", None, True), ("post", None, False), ("pre", False, False), ("post", True, True)],
)
def test_a_final_norm_follows_pre_norm_unless_the_configuration_says_otherwise(
    norm: str, final_norm: bool | None, has_final_norm: bool
) -> None:
    model = small_model(norm=norm, final_norm=final_norm)
    assert all(isinstance(stack.final_norm, nn.LayerNorm) == has_final_norm for stack in (model.encoder, model.decoder))


def test_a_seed_determines_the_fresh_weights() -> None:
    first, again, other = small_model(1).state_dict(), small_model(1).state_dict(), small_model(2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["target_embedding.weight"], other["target_embedding.weight"])


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_parameter_names_are_those_of_weights_format_2(norm: str) -> None:
    self_attention = ["query_key_value_projection", "output_projection"]
    cross_attention = ["query_projection", "key_value_projection", "output_projection"]
    encoder_layer = [*(f"self_attention.{x}" for x in self_attention), "self_attention_norm"]
    feed_forward = ["feed_forward.inner_projection", "feed_forward.output_projection", "feed_forward_norm"]
    decoder_layer = [*encoder_layer, *(f"cross_attention.{x}" for x in cross_attention), "cross_attention_norm"]
    modules = [
        *(f"encoder.layers.{i}.{name}" for i in range(2) for name in (*encoder_layer, *feed_forward)),
        *(f"decoder.layers.{i}.{name}" for i in range(2) for name in (*decoder_layer, *feed_forward)),
        *(["encoder.final_norm", "decoder.final_norm"] if norm == "pre" else []),
    ]
    expected = {"target_embedding.weight"} | {f"{name}.{kind}" for name in modules for kind in ("weight", "bias")}
    assert {name for name, _ in small_model(norm=norm).named_parameters()} == expected


def test_queries_and_key_values_are_initialized_with_the_bound_of_their_own_matrix() -> None:
    """Glorot's bound for `d x d` queries and `d x 2d` keys and values, in self- and in cross-attention."""
    layer = small_model(d_model=64).decoder.layers[0]
    joint, cross = layer.self_attention.query_key_value_projection, layer.cross_attention
    weights = [joint.weight[:64], joint.weight[64:], cross.query_projection.weight, cross.key_value_projection.weight]
    for weight, bound in zip(weights, [(6 / 128) ** 0.5, (6 / 192) ** 0.5] * 2, strict=True):
        assert 0.98 * bound < weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert not joint.bias.any()


def test_every_attention_module_of_a_batch_has_its_own_dropout_seed() -> None:
    model, seeds = small_model(attention_dropout=0.5), []

    def record(module: nn.Module, inputs: object, arguments: dict[str, Tensor]) -> None:
        seeds.append(tuple(arguments["seeds"].tolist()))

    for module in model.modules():
        if isinstance(module, SelfAttention | CrossAttention):
            module.register_forward_pre_hook(record, with_kwargs=True)
    batch = random_batch([5, 3], [4, 6])
    model.loss(batch, torch.tensor([1000, 2000]))
    assert len({seed for pair in seeds for seed in pair}) == 12  # two encoder layers, then two decoder layers with two
    state = torch.get_rng_state()
    first, again, other = (model.loss(batch, torch.tensor([1000, seed]))[0] for seed in (2000, 2000, 3000))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn from the global generator


def test_positions_that_are_computed_are_not_stored() -> None:
    assert not any("table" in name for name in small_model().state_dict())
    assert not any("table" in name for name in small_model(positions="rotary").state_dict())
    assert "positions.table" in small_model(positions="learned").state_dict()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": 0.2, "attention_dropout": 0.2, "activation_dropout": 0.2},
        {"positions": "rotary", "activation": "swiglu", "norm": "post", "tied_embeddings": "none"},
    ],
    ids=["plain", "dropout", "modern"],
)
def test_loss_and_gradients_compile_to_one_graph(options: dict[str, object]) -> None:
    model = small_model(encoder_layers=1, decoder_layers=1, encoder_heads=2, decoder_heads=2, **options)
    batch = random_batch([5, 3, 8], [4, 6, 2])

    def loss_and_gradients(loss_of: Callable[..., tuple[Tensor, Tensor]]) -> list[Tensor]:
        loss, _ = loss_of(batch.source, batch.target_input, batch.labels, torch.tensor([3, 4, 5]))
        return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]

    def loss_of(source: Packed, target_input: Packed, labels: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        return model.loss(PackedBatch(source, target_input, labels), seeds)

    torch._dynamo.reset()
    compiled = loss_and_gradients(torch.compile(loss_of, fullgraph=True, backend="aot_eager"))
    torch.testing.assert_close(compiled, loss_and_gradients(loss_of), rtol=1e-4, atol=1e-5)


def test_dropout_is_active_in_training_only() -> None:
    options = {"dropout": 0.3, "attention_dropout": 0.3, "activation_dropout": 0.3}
    model, plain = small_model(**options), small_model()
    batch = random_batch([5, 3], [4, 6])
    losses = [model.loss(batch, torch.tensor(seeds))[0] for seeds in ((1, 2), (1, 3))]
    assert not torch.equal(*losses)
    assert torch.equal(model.eval().loss(batch)[0], plain.eval().loss(batch)[0])


def test_a_model_learns_to_copy() -> None:
    """Its source comes back, token by token, when decoded greedily with the cache."""
    one_layer = {"encoder_layers": 1, "decoder_layers": 1, "encoder_heads": 4, "decoder_heads": 4}
    model = small_model(d_model=32, d_ff=64, **one_layer)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)

    def copying(num_sequences: int) -> PackedBatch:
        lengths = torch.randint(2, 7, (num_sequences,), generator=generator).tolist()
        parts = [torch.randint(2, VOCAB_SIZE, (n,), generator=generator) for n in lengths]
        end, begin = torch.tensor([0]), torch.tensor([1])
        source = Packed.from_sequences([torch.cat((part, end)) for part in parts])
        return PackedBatch(source, Packed.from_sequences([torch.cat((begin, part)) for part in parts]), source.values)

    for _ in range(200):
        loss, count = model.loss(copying(32))
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        source = copying(20).source
        state, tokens, produced = model.start(source), torch.ones(20, dtype=torch.int64), []
        for _ in range(source.max_seqlen):
            tokens = model.step(tokens, state).argmax(-1)
            produced.append(tokens)
    right = [
        torch.equal(torch.stack(produced, dim=1)[row, : len(part)], part) for row, part in enumerate(source.unpack())
    ]
    assert sum(right) >= 17


def test_kernels_packing_and_model_import_in_a_torch_only_environment() -> None:
    program = (
        "import sys\n"
        "for name in ('pydantic', 'datasets', 'yaml', 'sentencepiece', 'safetensors', 'tqdm'):\n"
        "    sys.modules[name] = None\n"  # importing it raises ImportError
        "import translator.kernels, translator.packing, translator.model\n"
        "assert translator.__version__\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    import translator

    with pytest.raises(AttributeError, match="module 'translator' has no attribute 'Translater'"):
        _ = translator.Translater


def test_batches_may_be_any_object_of_the_right_shape() -> None:
    batch = random_batch([2], [3])
    loss, _ = small_model().eval().loss(replace(batch, labels=batch.labels.clone()))
    assert loss.ndim == 0
