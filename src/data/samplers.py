"""Which row is read when, on which rank. Samplers yield (epoch, row)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from genspot.data.dataset import Draw


class ShuffledShare(Sampler[Draw]):
    """A rank's share of all rows, in an order drawn from (seed, epoch).

    Ranks take turns, so that `world` ranks with a batch of B see together what one rank with a
    batch of `world * B` sees. The last rows of an epoch that do not go round are left out, as
    ranks must take equally many steps.

    Args:
        rows: of the table.
        seed: of the order.
        rank: of this process among `world`.
        world: processes.
        epoch: to begin with.
        done: rows of that epoch, over all ranks, that were read before; a multiple of `world`.
    """

    def __init__(
        self, rows: int, seed: int, rank: int = 0, world: int = 1, epoch: int = 0, done: int = 0
    ) -> None:
        self.rows, self.seed, self.rank, self.world = rows, seed, rank, world
        self.epoch, self.done = epoch, done

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        if epoch != self.epoch:
            self.epoch, self.done = epoch, 0

    def __len__(self) -> int:
        """Rows of a whole epoch, as Lightning counts the steps of a resumed one from there."""
        return self.rows // self.world

    def __iter__(self) -> Iterator[Draw]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.rows)
        share = order[self.done : len(self) * self.world][self.rank :: self.world]
        return ((self.epoch, int(row)) for row in share)


class PlainShare(Sampler[Draw]):
    """A rank's share of all rows in their order, each row on exactly one rank, none twice.

    Shares may differ by one row: nothing is repeated to even them out, which would count some
    images twice. The epoch is always 0, so that every evaluation sees the same images.
    """

    def __init__(self, rows: int, rank: int = 0, world: int = 1) -> None:
        self.share = range(rank, rows, world)

    def __len__(self) -> int:
        return len(self.share)

    def __iter__(self) -> Iterator[Draw]:
        return ((0, row) for row in self.share)
