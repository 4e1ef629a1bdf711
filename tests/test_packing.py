"""Packed sequences: packing, unpacking, positions, and the way to rectangles and back."""

from __future__ import annotations

import pytest
import torch

from translator.packing import Packed, cu_seqlens_of, pad, unpad

LENGTHS = [[3], [1], [0], [], [2, 0, 5, 1], [0, 0, 4, 0], [7, 7, 7]]


def packed_of(lengths: list[int]) -> Packed:
    return Packed.from_sequences([[10 * i + j for j in range(n)] for i, n in enumerate(lengths)])


@pytest.mark.parametrize("lengths", LENGTHS)
def test_unpacking_gives_back_what_was_packed(lengths: list[int]) -> None:
    packed = packed_of(lengths)
    assert [part.tolist() for part in packed.unpack()] == [
        [10 * i + j for j in range(n)] for i, n in enumerate(lengths)
    ]
    assert packed.lengths.tolist() == lengths
    assert packed.num_sequences == len(lengths)
    assert packed.max_seqlen == max(lengths, default=0)
    assert packed.cu_seqlens.dtype == torch.int32 and packed.cu_seqlens[0] == 0


def test_lists_and_tensors_pack_alike() -> None:
    lists = [[1, 2], [], [3]]
    from_lists = Packed.from_sequences(lists)
    from_tensors = Packed.from_sequences([torch.tensor(part, dtype=torch.int64) for part in lists])
    assert torch.equal(from_lists.values, from_tensors.values)
    assert torch.equal(from_lists.cu_seqlens, from_tensors.cu_seqlens)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_positions_count_from_zero_in_each_sequence(lengths: list[int]) -> None:
    expected = [j for n in lengths for j in range(n)]
    assert packed_of(lengths).positions().tolist() == expected


@pytest.mark.parametrize("lengths", LENGTHS)
def test_trailing_padding_and_repeated_last_offsets_have_position_zero(lengths: list[int]) -> None:
    packed = packed_of(lengths)
    filled = Packed(
        torch.cat((packed.values, torch.full((3,), 99))),
        torch.cat((packed.cu_seqlens, packed.cu_seqlens[-1:].repeat(2))),
        packed.max_seqlen,
    )
    assert filled.positions().tolist() == [*packed.positions().tolist(), 0, 0, 0]
    assert [part.tolist() for part in filled.unpack()] == [*(part.tolist() for part in packed.unpack()), [], []]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("trailing", [(), (4,), (2, 3)])
def test_unpadding_a_padded_batch_gives_it_back(lengths: list[int], trailing: tuple[int, ...]) -> None:
    packed = packed_of(lengths).with_values(torch.randn(sum(lengths), *trailing))
    padded = pad(packed, padding_value=-1.0)
    assert padded.shape == (len(lengths), max(lengths, default=0), *trailing)
    is_padding = torch.arange(padded.shape[1]) >= packed.lengths[:, None]
    assert (padded[is_padding] == -1.0).all()
    again = unpad(padded, packed.lengths)
    assert torch.equal(again.values, packed.values)
    assert torch.equal(again.cu_seqlens, packed.cu_seqlens)


def test_pad_omits_trailing_padding() -> None:
    packed = Packed(torch.tensor([1, 2, 3, 77, 77]), torch.tensor([0, 2, 3, 3], dtype=torch.int32), 8)
    assert pad(packed).tolist() == [[1, 2], [3, 0], [0, 0]]


def test_padding_passes_gradients_to_real_rows_only() -> None:
    values = torch.randn(5, 2, requires_grad=True)
    packed = Packed(values, torch.tensor([0, 2, 4], dtype=torch.int32), 2)
    pad(packed).sum().backward()
    assert values.grad is not None and values.grad.tolist() == [[1.0, 1.0]] * 4 + [[0.0, 0.0]]


def test_offsets_of_lengths_are_int32_and_start_at_zero() -> None:
    assert cu_seqlens_of(torch.tensor([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert cu_seqlens_of(torch.tensor([], dtype=torch.int64)).tolist() == [0]
    assert cu_seqlens_of(torch.tensor([1])).dtype == torch.int32


def test_moving_to_a_device_keeps_everything() -> None:
    packed = packed_of([2, 1])
    moved = packed.to("cpu", non_blocking=True)
    assert torch.equal(moved.values, packed.values) and torch.equal(moved.cu_seqlens, packed.cu_seqlens)
    assert moved.max_seqlen == packed.max_seqlen
