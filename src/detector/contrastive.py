"""The supervised contrastive loss beside the cross-entropy, as RINE is trained."""

from __future__ import annotations

import torch
from torch.nn import functional

from genspot.common.errors import GenspotError
from genspot.detector.backbones.rine import RineHead
from genspot.detector.loss import CrossEntropy
from genspot.detector.network import DetectorNetwork

TEMPERATURE = 0.07  # Khosla et al., section 4; that RINE takes the same is unconfirmed


class Contrastive:
    """Cross-entropy plus `weight` times the contrastive loss of what a `RineHead` embeds.

    Koutlis & Papadopoulos, ECCV 2024 (arXiv 2402.19091), section 3; see `TrainingLoss`. It
    compares the images of one batch of one process, not those of other processes or of the other
    batches of a step.

    Args:
        weight: of the contrastive loss, above 0.
        cross_entropy: of the logits.
    """

    def __init__(self, weight: float, cross_entropy: CrossEntropy) -> None:
        self.weight, self.cross_entropy = weight, cross_entropy

    def __call__(
        self, network: DetectorNetwork, images: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss.

        Raises:
            GenspotError: the network has no such head.
        """
        head = rine_head(network)
        embedded = head.embed(network.features(images))
        logits = head.classifier(embedded).squeeze(1).float()
        contrastive = supervised_contrastive(embedded, labels)
        return self.cross_entropy.of_logits(logits, labels) + self.weight * contrastive


def rine_head(network: DetectorNetwork) -> RineHead:
    """Return the head of `network`.

    Raises:
        GenspotError: it is no `RineHead`.
    """
    head = getattr(network.backbone, "head", None)
    if not isinstance(head, RineHead):
        raise GenspotError(
            "schedule.contrastive: there is a contrastive loss of the head of model=rine alone; "
            "leave it out"
        )
    return head


def supervised_contrastive(embedded: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the supervised contrastive loss of `embedded`, N×D, in float32.

    Khosla et al., NeurIPS 2020, equation 2: the mean over the images of −log of the softmax of
    similarities, averaged over the others of the same label. Images that are alone of their label
    are left out; without others, the loss is 0.

    Args:
        embedded: floats, which are normalised here.
        labels: integers of shape N.
    """
    with torch.autocast(embedded.device.type, enabled=False):
        unit = functional.normalize(embedded.float(), dim=1)
        others = ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        similarity = unit @ unit.T / TEMPERATURE
        similarity = similarity.masked_fill(~others, -torch.inf)
        log_share = similarity - similarity.logsumexp(dim=1, keepdim=True)
        same = (labels[:, None] == labels[None]) & others
        counts = same.sum(dim=1)
        losses = -log_share.masked_fill(~same, 0).sum(dim=1) / counts.clamp(min=1)
        return losses.sum() / (counts > 0).sum().clamp(min=1)
