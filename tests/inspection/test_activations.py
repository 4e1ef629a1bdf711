from __future__ import annotations

import torch

from translator import Translator
from translator.inspection.activations import record_activations, record_embeddings
from translator.inspection.reading import encoder_decoder
from translator.packing import Packed

SOURCE, TARGET = Packed.from_sequences([[5, 6, 7]]), Packed.from_sequences([[8, 9]])


def test_every_sublayer_is_recorded_in_its_order(random_translator: Translator) -> None:
    model, _ = encoder_decoder(random_translator)
    encoder, decoder = record_activations(model, SOURCE, TARGET, 4)
    one = ["self-attention norm", "self-attention", "feed-forward norm", "feed-forward"]
    expected = [name for n in (1, 2) for name in (*(f"layer {n}: {part}" for part in one), f"layer {n}")]
    assert [x.name for x in encoder] == [*expected, "output"]
    assert [x.name for x in decoder][2:4] == ["layer 1: cross-attention norm", "layer 1: cross-attention"]
    assert decoder[-1].name == "output"
    assert all(x.shape == (3, 32) for x in encoder) and all(x.shape == (2, 32) for x in decoder)
    assert all(len(x.values[0]) == 4 for x in (*encoder, *decoder))


def test_recording_leaves_no_hooks(random_translator: Translator) -> None:
    model, _ = encoder_decoder(random_translator)
    record_activations(model, SOURCE, TARGET, 1)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_encoder_input_is_the_sum_of_embeddings_and_positions(random_translator: Translator) -> None:
    model, _ = encoder_decoder(random_translator)
    embedding, positions, total = record_embeddings(model, SOURCE, 32)
    assert positions is not None
    parts = torch.tensor(embedding.values) + torch.tensor(positions.values)
    torch.testing.assert_close(torch.tensor(total.values), parts)
