"""Which rank reads which row of a table, and when. Samplers yield (epoch, row)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

SampleIndex = tuple[int, int]  # (epoch, row of the table)


class ResumableShuffleSampler:
    """The rows of one rank, in an order drawn from (seed, epoch).

    Ranks take turns, so that `world_size` ranks with a batch size of B see together what one
    rank with a batch size of `world_size * B` sees. The rows left over at the end of an epoch are
    dropped, because all ranks must take the same number of steps.

    Args:
        rows: length of the table.
        seed: seed of the order.
        rank: index of this process among `world_size` processes.
        labels: the label of each row, 0 or 1; then each epoch has all rows of the rarer label,
            and as many of the other that are drawn again for it. None: all rows.
        step: an epoch of this rank has a multiple of this number of rows.
    """

    def __init__(
        self,
        rows: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        labels: np.ndarray | None = None,
        step: int = 1,
    ) -> None:
        self.rows, self.seed, self.rank, self.world_size = rows, seed, rank, world_size
        self.step = step
        self.epoch, self.start = 0, 0
        # Rows that are drawn from together, and how many of each group of them.
        self.groups = [np.arange(rows)]
        if labels is not None:
            self.groups = [np.flatnonzero(labels == label) for label in (0, 1)]
        self.drawn = min(map(len, self.groups))

    def set_epoch(self, epoch: int) -> None:
        """Begin `epoch`, at the position set for it. Lightning calls this before each epoch."""
        if epoch != self.epoch:
            self.set_position(epoch, 0)

    def set_position(self, epoch: int, start: int) -> None:
        """Continue in `epoch` after the first `start` rows of this rank."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        """Return the number of rows of a whole epoch, also of a resumed one.

        Lightning counts the steps of a resumed epoch from its beginning.
        """
        return self.drawn * len(self.groups) // self.world_size // self.step * self.step

    def __iter__(self) -> Iterator[SampleIndex]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = np.concatenate([rng.permutation(rows)[: self.drawn] for rows in self.groups])
        if len(self.groups) > 1:
            order = rng.permutation(order)
        own = order[: len(self) * self.world_size][self.rank :: self.world_size]
        epoch = self.epoch
        return ((epoch, int(row)) for row in own[self.start :])


class SequentialDistributedSampler:
    """The rows of one rank in their order; each row is on exactly one rank.

    Unlike PyTorch's `DistributedSampler`, no row is repeated to give all ranks the same number of
    rows: repeated images would count twice in an evaluation. The numbers of rows differ by at
    most one. The epoch is always 0, so that every evaluation sees the same augmentations.

    Args:
        rows: length of the table.
        rank: index of this process among `world_size` processes.
        scored: rows to leave out.
        last: rows to read after all others, because they could not be read or have changed since:
            they must not shift the others to other batches.
    """

    def __init__(
        self,
        rows: int,
        rank: int = 0,
        world_size: int = 1,
        scored: Collection[int] = (),
        last: Collection[int] = (),
    ) -> None:
        share = range(rank, rows, world_size)
        self.own: Sequence[int] = share
        if scored or last:
            left = [row for row in share if row not in scored]
            self.own = sorted(left, key=lambda row: row in last)

    def __len__(self) -> int:
        return len(self.own)

    def __iter__(self) -> Iterator[SampleIndex]:
        return ((0, row) for row in self.own)
