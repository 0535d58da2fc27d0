"""Ranks share the rows without overlap, whatever their number."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genspot.data.samplers import PlainShare, ShuffledShare

some_rows = st.integers(0, 60)
seeds = st.integers(0, 2**32 - 1)


def epoch_of(rows: int, seed: int, rank: int, world: int, epoch: int = 0) -> list[int]:
    sampler = ShuffledShare(rows, seed, rank, world)
    sampler.set_epoch(epoch)
    draws = list(sampler)
    assert len(draws) == len(sampler)
    assert all(number == epoch for number, _ in draws)
    return [row for _, row in draws]


@settings(max_examples=50, deadline=None)
@given(some_rows, st.integers(1, 3), seeds, st.integers(0, 5))
def test_shuffled_shares_are_disjoint_and_equally_long(
    rows: int, world: int, seed: int, epoch: int
) -> None:
    shares = [epoch_of(rows, seed, rank, world, epoch) for rank in range(world)]
    assert {len(share) for share in shares} == {rows // world}
    together = [row for share in shares for row in share]
    assert len(set(together)) == len(together)
    assert set(together) <= set(range(rows))


@settings(max_examples=50, deadline=None)
@given(some_rows, st.integers(1, 3), st.integers(1, 4), seeds)
def test_batches_of_ranks_join_to_the_batch_of_one(
    rows: int, world: int, share: int, seed: int
) -> None:
    alone = epoch_of(rows, seed, 0, 1)
    ranks = [epoch_of(rows, seed, rank, world) for rank in range(world)]
    for step in range(rows // (share * world)):
        batch = alone[step * share * world : (step + 1) * share * world]
        parts = [rank[step * share : (step + 1) * share] for rank in ranks]
        assert set(batch) == {row for part in parts for row in part}


def test_each_epoch_and_seed_has_its_own_order() -> None:
    orders = [tuple(epoch_of(50, seed, 0, 1, epoch)) for seed in (0, 1) for epoch in range(3)]
    assert len(set(orders)) == 6
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_the_same_seed_and_epoch_repeat_the_order() -> None:
    assert epoch_of(50, 7, 1, 2, epoch=3) == epoch_of(50, 7, 1, 2, epoch=3)
    sampler = ShuffledShare(50, 7)
    assert list(sampler) == list(sampler)


@pytest.mark.parametrize("world", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 10, 13])
def test_plain_shares_hold_each_row_exactly_once(rows: int, world: int) -> None:
    shares = [PlainShare(rows, rank, world) for rank in range(world)]
    draws = [list(share) for share in shares]
    assert [len(share) for share in shares] == [len(share) for share in draws]
    assert sorted(draw for share in draws for draw in share) == [(0, row) for row in range(rows)]
    assert max(map(len, draws)) - min(map(len, draws)) <= 1


def test_a_plain_share_alone_is_in_order() -> None:
    assert list(PlainShare(4)) == [(0, 0), (0, 1), (0, 2), (0, 3)]
