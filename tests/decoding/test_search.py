from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from fake_model import FakeModel, run, sources_of
from torch import Tensor

from translator.decoding.errors import DecodingError

WAYS: list[dict[str, Any]] = [{}, {"beam_size": 3}, {"sample": True}]


@pytest.mark.parametrize("way", WAYS)
def test_no_requests_have_no_results(way: dict[str, Any]) -> None:
    model = FakeModel(8)
    assert run(model, [], [], **way) == [] and not model.rows_stepped


@pytest.mark.parametrize("way", WAYS)
def test_an_empty_source_is_decoded_too(way: dict[str, Any]) -> None:
    [found, _] = run(FakeModel(8), [(), (4,)], [5, 5], **way)
    assert found[0].tokens


@pytest.mark.parametrize("way", WAYS)
def test_nan_logits_are_an_error(way: dict[str, Any]) -> None:
    class Broken(FakeModel):
        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            return torch.full((self.vocab_size,), math.nan)

    with pytest.raises(DecodingError, match=r"A model must give finite logits\. Received: NaN"):
        run(Broken(8), sources_of(3), [5], **way)


@pytest.mark.parametrize("way", [*WAYS, {"beam_size": 4, "num_beam_groups": 2, "num_hypotheses": 2}])
@pytest.mark.parametrize("num_good", [0, 1, 5])
def test_nan_logits_of_one_sentence_end_the_search_at_their_step(num_good: int, way: dict[str, Any]) -> None:
    class Broken(FakeModel):
        def logits(self, source: tuple[int, ...], prefix: tuple[int, ...]) -> Tensor:
            logits = super().logits(source, prefix)
            return logits.fill_(math.nan) if len(source) == 4 and len(prefix) > num_good else logits

    model = Broken(vocab_size=20, eos_bias=-99.0)
    with pytest.raises(DecodingError, match=r"A model must give finite logits\. Received: NaN"):
        run(model, sources_of(3, 4), [30, 30], **way)
    assert len(model.rows_stepped) == num_good + 1


def test_the_model_is_reordered_only_where_rows_move() -> None:
    class Counting(FakeModel):
        num_reordered = 0

        def reorder(self, *arguments: Any) -> Any:
            self.num_reordered += 1
            return super().reorder(*arguments)

    greedy, beam = (Counting(vocab_size=20, eos_bias=-99.0) for _ in range(2))
    run(greedy, sources_of(3, 4), [9, 5])
    run(beam, sources_of(3, 4), [9, 5], beam_size=3)
    assert (greedy.num_reordered, beam.num_reordered) == (1, 8)  # once, for the sentence that leaves; in each step
