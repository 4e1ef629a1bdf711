from __future__ import annotations

from translator.engines.base import group_by_length


def test_groups_hold_every_sequence_once_longest_first() -> None:
    lengths = [3, 9, 1, 5, 5, 2]
    groups = list(group_by_length(lengths, 10))
    assert sorted(number for group in groups for number in group) == list(range(6))
    assert [lengths[number] for group in groups for number in group] == sorted(lengths, reverse=True)
    assert all(sum(lengths[number] for number in group) <= 10 for group in groups)


def test_a_sequence_longer_than_the_limit_has_a_group_of_its_own() -> None:
    assert list(group_by_length([4, 20, 4], 10)) == [[1], [0, 2]]


def test_no_sequences_have_no_groups() -> None:
    assert list(group_by_length([], 10)) == []
