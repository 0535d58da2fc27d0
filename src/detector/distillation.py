"""Distillation: a small patch detector learns the patch logits of a large one."""

from __future__ import annotations

import torch
from torch.nn import functional

from genspot.common.errors import GenspotError
from genspot.detector.network import DetectorNetwork
from genspot.detector.patches import PatchBackbone


class Distillation:
    """The mean squared difference of a student's patch logits from its teacher's.

    A teacher's patch covers several of the student's, if these are smaller: their logits are
    averaged first. LaDeDa's 9×9 pixels every 8 pixels are 3×3 of Tiny-LaDeDa's 5×5 every 2.

    Cavia et al., 2024 (arXiv 2406.09398), distil from patch logits; that the difference is squared
    is a choice made here (unconfirmed). Labels are not used.

    Args:
        teacher: a trained network whose backbone scores patches; it is left as it is.

    Raises:
        GenspotError: it does not score patches.
    """

    def __init__(self, teacher: DetectorNetwork) -> None:
        self.teacher = teacher.eval().requires_grad_(False)
        _patches_of(teacher, "schedule.teacher")

    def check_student(self, network: DetectorNetwork) -> None:
        """Check that `network` can learn from the teacher.

        Raises:
            GenspotError: it does not score patches, or its patches do not make up the teacher's.
        """
        _window(*self._pair(network))

    def __call__(
        self, network: DetectorNetwork, images: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss; see `TrainingLoss`.

        Raises:
            GenspotError: see `check_student`; or the maps of the two have other sizes.
        """
        pair = self._pair(network)
        with torch.no_grad():
            expected = self.teacher.to(images.device).patch_logits(images)
        found = average_patches(network.patch_logits(images), *pair)
        if found.shape != expected.shape:
            raise GenspotError(
                f"schedule.teacher scores {tuple(expected.shape[1:])} patches of an image of "
                f"{images.shape[1]} × {images.shape[2]} pixels, the model {tuple(found.shape[1:])}"
                ": give both the same input representation"
            )
        return functional.mse_loss(found, expected)

    def _pair(self, network: DetectorNetwork) -> tuple[PatchBackbone, PatchBackbone]:
        """Return the backbones of student and teacher."""
        return _patches_of(network, "model"), _patches_of(self.teacher, "schedule.teacher")


def average_patches(
    logits: torch.Tensor, student: PatchBackbone, teacher: PatchBackbone
) -> torch.Tensor:
    """Return the mean logits, N×h×w, of the student's patches within each of the teacher's.

    Args:
        logits: of the student's patches, N×h'×w'.
        student: whose patches have these logits.
        teacher: whose patches are at least as large and as far apart.

    Raises:
        GenspotError: the student's patches do not make up the teacher's, or the images are smaller
            than one of the teacher's.
    """
    side, stride = _window(student, teacher)
    if min(logits.shape[1:]) < side:
        raise GenspotError(
            "model.train.crop is smaller than a patch of schedule.teacher: give at least "
            f"{teacher.patch_size} pixels"
        )
    return functional.avg_pool2d(logits, side, stride)


def _window(student: PatchBackbone, teacher: PatchBackbone) -> tuple[int, int]:
    """Return how many of the student's patches a side of the teacher's has, and their distance."""
    surplus, stride = teacher.patch_size - student.patch_size, student.patch_stride
    if surplus < 0 or surplus % stride or teacher.patch_stride % stride:
        raise GenspotError(
            f"schedule.teacher has patches of {teacher.patch_size} pixels every "
            f"{teacher.patch_stride}, which the model's, of {student.patch_size} every {stride}, "
            "do not make up: choose a teacher with larger ones, such as a LaDeDa for tiny_ladeda"
        )
    return surplus // stride + 1, teacher.patch_stride // stride


def _patches_of(network: DetectorNetwork, setting: str) -> PatchBackbone:
    if not isinstance(network.backbone, PatchBackbone):
        raise GenspotError(
            f"{setting}: its backbone does not score patches, which schedule.teacher needs of "
            "teacher and model: take model=tiny_ladeda and the checkpoint of a model=ladeda"
        )
    return network.backbone
