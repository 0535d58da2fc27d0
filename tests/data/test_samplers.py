"""Ranks share the rows without overlap, whatever their number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genspot.data.samplers import ResumableShuffleSampler, SequentialDistributedSampler

row_counts = st.integers(0, 60)
seeds = st.integers(0, 2**32 - 1)


def shuffled_rows(
    rows: int, seed: int, rank: int = 0, world_size: int = 1, epoch: int = 0
) -> list[int]:
    sampler = ResumableShuffleSampler(rows, seed, rank, world_size)
    sampler.set_epoch(epoch)
    indices = list(sampler)
    assert indices == list(sampler)
    assert len(indices) == len(sampler)
    assert all(number == epoch for number, _ in indices)
    return [row for _, row in indices]


@settings(max_examples=50, deadline=None)
@given(row_counts, st.integers(1, 3), seeds, st.integers(0, 5))
def test_shuffle_rows_of_ranks_are_disjoint_and_equally_many(
    rows: int, world_size: int, seed: int, epoch: int
) -> None:
    per_rank = [shuffled_rows(rows, seed, rank, world_size, epoch) for rank in range(world_size)]
    assert {len(own) for own in per_rank} == {rows // world_size}
    joined = [row for own in per_rank for row in own]
    assert len(set(joined)) == len(joined)
    assert set(joined) <= set(range(rows))


@settings(max_examples=50, deadline=None)
@given(row_counts, st.integers(1, 3), st.integers(1, 4), seeds)
def test_shuffle_batches_of_ranks_join_to_the_batch_of_one_rank(
    rows: int, world_size: int, size: int, seed: int
) -> None:
    single = shuffled_rows(rows, seed)
    ranks = [shuffled_rows(rows, seed, rank, world_size) for rank in range(world_size)]
    for step in range(rows // (size * world_size)):
        batch = single[step * size * world_size : (step + 1) * size * world_size]
        parts = [rank[step * size : (step + 1) * size] for rank in ranks]
        assert set(batch) == {row for part in parts for row in part}


def test_shuffle_order_differs_between_epochs_and_seeds() -> None:
    orders = [tuple(shuffled_rows(50, seed, epoch=epoch)) for seed in (0, 1) for epoch in range(3)]
    assert len(set(orders)) == 6
    assert all(sorted(order) == list(range(50)) for order in orders)


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_shuffle_after_set_position_continues_in_that_epoch_only(world_size: int) -> None:
    for rank in range(world_size):
        resumed = ResumableShuffleSampler(50, 7, rank, world_size)
        resumed.set_position(epoch=3, start=6)
        resumed.set_epoch(3)
        complete = ResumableShuffleSampler(50, 7, rank, world_size)
        complete.set_epoch(3)
        assert list(resumed) == list(complete)[6:]
        assert len(resumed) == len(complete)  # Lightning counts steps from the epoch's start
        resumed.set_epoch(4)
        complete.set_epoch(4)
        assert list(resumed) == list(complete)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 10, 13])
def test_sequential_rows_are_each_on_one_rank_in_order(rows: int, world_size: int) -> None:
    samplers = [SequentialDistributedSampler(rows, rank, world_size) for rank in range(world_size)]
    per_rank = [list(sampler) for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == [len(own) for own in per_rank]
    assert all(own == sorted(own) for own in per_rank)
    assert sorted(row for own in per_rank for row in own) == [(0, row) for row in range(rows)]
    assert max(map(len, per_rank)) - min(map(len, per_rank)) <= 1


def test_sequential_rows_to_be_read_last_do_not_shift_the_others() -> None:
    sampler = SequentialDistributedSampler(10, scored={0, 1, 4, 5}, last={7, 2})
    assert [row for _, row in sampler] == [3, 6, 8, 9, 2, 7]


LABELS = np.array([0] * 13 + [1] * 5)


def balanced_rows(epoch: int, rank: int = 0, world_size: int = 1, start: int = 0) -> list[int]:
    sampler = ResumableShuffleSampler(len(LABELS), 3, rank, world_size, LABELS)
    sampler.set_position(epoch, start)
    return [row for _, row in sampler]


def test_balanced_epoch_has_all_rows_of_the_rarer_label_and_as_many_others() -> None:
    epochs = [balanced_rows(epoch) for epoch in range(30)]
    for rows in epochs:
        assert len(rows) == len(set(rows)) == 10
        assert sorted(row for row in rows if LABELS[row]) == list(range(13, 18))
    seen = np.bincount(np.concatenate(epochs), minlength=18)
    assert (seen[:13] > 0).all()  # each epoch draws others
    firsts = np.array([LABELS[rows[:5]].mean() for rows in epochs])
    assert 0.4 < firsts.mean() < 0.6 and firsts.std() > 0  # and labels are mixed


@pytest.mark.parametrize("world_size", [1, 2])
def test_balanced_rows_continue_and_are_shared_by_ranks(world_size: int) -> None:
    whole = balanced_rows(2)
    ranks = [balanced_rows(2, rank, world_size) for rank in range(world_size)]
    assert [ranks[row % world_size][row // world_size] for row in range(10)] == whole
    for rank, rows in enumerate(ranks):
        assert balanced_rows(2, rank, world_size, start=3) == rows[3:]


@pytest.mark.parametrize(("step", "rows"), [(1, 18), (4, 16), (7, 14), (19, 0)])
def test_epoch_has_whole_steps_alone(step: int, rows: int) -> None:
    sampler = ResumableShuffleSampler(18, 0, step=step)
    assert len(sampler) == len(list(sampler)) == rows
    assert [row for _, row in sampler] == shuffled_rows(18, 0)[:rows]


def test_shuffle_order_is_that_of_numpy() -> None:
    expected = np.random.default_rng((5, 2)).permutation(40).tolist()
    assert shuffled_rows(40, 5, epoch=2) == expected
