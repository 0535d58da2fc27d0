"""What a training minimises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch.nn import functional

from genspot.common.errors import GenspotError
from genspot.detector.network import DetectorNetwork
from genspot.detector.settings import LARGEST, SMALLEST


class TrainingLoss(Protocol):
    """Images and labels to the loss of a step.

    It is no `torch.nn.Module`: what a module holds, such as a teacher, would become part of the
    detector's checkpoint.
    """

    def __call__(
        self, network: DetectorNetwork, images: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss, a float32 scalar with the gradient of `network`.

        Args:
            network: the network that is trained, in training mode.
            images: `uint8`, N×H×W×3, on the device of the network.
            labels: int64 of shape N; 0 real, 1 fake.
        """


class CrossEntropy:
    """Binary cross-entropy of logits, the mean over the images of a step.

    With label smoothing ε the targets are ε/2 and 1 − ε/2. This equals the cross-entropy over two
    logits with smoothed labels (Szegedy et al., CVPR 2016, section 7): their softmax is the
    sigmoid of their difference.

    Args:
        label_smoothing: ε, from 0 to below 1.
        class_weights: factors of the losses of real and of fake images; None: 1 and 1.

    Raises:
        GenspotError: a value out of range.
    """

    def __init__(
        self, label_smoothing: float = 0.0, class_weights: Sequence[float] | None = None
    ) -> None:
        if not 0 <= label_smoothing < 1:
            raise GenspotError(
                f"schedule.label_smoothing={label_smoothing}: give a number from 0 to below 1"
            )
        if class_weights is not None and (
            len(class_weights) != 2 or not all(SMALLEST <= one <= LARGEST for one in class_weights)
        ):
            raise GenspotError(
                f"schedule.class_weights={list(class_weights)}: give two numbers above 0, of real "
                "and of fake images"
            )
        self.label_smoothing, self.class_weights = label_smoothing, class_weights

    def __call__(
        self, network: DetectorNetwork, images: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss; see `TrainingLoss`."""
        return self.of_logits(network(images), labels)

    def of_logits(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of `logits`, float32 of shape N, of images with `labels`."""
        targets = labels.float()
        if self.label_smoothing:
            targets = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        weights = None
        if self.class_weights is not None:
            weights = torch.tensor(self.class_weights, device=labels.device)[labels]
        return functional.binary_cross_entropy_with_logits(logits, targets, weights)
