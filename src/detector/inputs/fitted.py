"""Input representations with statistics that are fitted to the training set."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class FittedInput(nn.Module, ABC):
    """An input representation that knows statistics of the training images.

    `genspot.detector.fit_input.FitInput` calls `update` with each training image before the first
    step, then `finish`. The statistics are buffers, so that they travel in the checkpoint.

    Attributes:
        fitted: whether the buffers hold statistics; a buffer of one bool.
        sums: what `add` added up, float64 on the CPU. Several processes add theirs to one another
            between `update` and `finish`.
    """

    fitted: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fitted", torch.tensor(False))
        self.sums: dict[str, torch.Tensor] = {}

    def add(self, **values: torch.Tensor) -> None:
        """Add each of `values` to the sum of its name."""
        for name, value in values.items():
            value = value.detach().cpu().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    @abstractmethod
    def update(self, pixels: torch.Tensor) -> None:
        """Add what the statistics need of `uint8` pixels N×3×H×W; see `add`."""

    @abstractmethod
    def finish(self) -> None:
        """Set the buffers from `sums`, and `fitted` to True."""
