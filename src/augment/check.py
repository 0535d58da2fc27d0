"""Whether an augmentation of the user returns images, found out before the training."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
from albumentations import BaseCompose, OneOrOther

from genspot.common.errors import GenspotError
from genspot.common.images import augmented, describe_wrong_image

MAX_DRAWS = 8  # for each image
DRAWN_PIXELS = 2**22  # images of more pixels are drawn less often: each draw takes time


def check_composition(setting: str, augment: object) -> None:
    """Raise unless `augment` is a composition of albumentations, or None.

    Raises:
        GenspotError: naming `setting`.
    """
    if augment is not None and not isinstance(augment, BaseCompose):
        raise GenspotError(
            f"{setting} is a {type(augment).__name__}: give an albumentations.Compose with a list "
            "of transforms"
        )


def check_augmentation(
    setting: str, augment: BaseCompose | None, images: Iterable[tuple[str, np.ndarray]]
) -> None:
    """Apply copies of `augment` to images: one as it is, and one that leaves out no transform.

    So what is drawn rarely is found too. The random state of `augment` stays as it is.

    Args:
        setting: where `augment` stands, for messages.
        augment: the augmentation; None is right.
        images: (path, `uint8` H×W×3) pairs.

    Raises:
        GenspotError: it raises, or returns something else than a `uint8` H×W×3 image.
    """
    if augment is None:
        return
    try:
        drawn, certain = copy.deepcopy(augment), copy.deepcopy(augment)
    except Exception:  # a transform of the user's own that cannot be copied
        return  # the images of the training are checked one by one as well
    _make_certain(certain)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # forked processes hang in OpenCV if its threads existed before
    try:
        for path, image in images:
            _try_on(setting, (certain, drawn), path, image)
    finally:
        cv2.setNumThreads(threads)


def _try_on(
    setting: str, augments: tuple[BaseCompose, BaseCompose], path: str, image: np.ndarray
) -> None:
    """Apply each of `augments` to one image several times.

    Raises:
        GenspotError: see `check_augmentation`.
    """
    for draw in range(max(1, min(MAX_DRAWS, DRAWN_PIXELS // (image.size // 3)))):
        for augment in augments:
            augment.set_random_state(np.random.default_rng(draw), random.Random(draw))
            try:
                augmented(setting, augment, path, image)
            except GenspotError as error:
                raise GenspotError(f"{error}{_culprit(augments[0], image)}") from error
            except Exception:  # too little memory: the training lists the image as unreadable
                return


def _make_certain(transform: Any) -> None:
    """Have each transform that is ever applied applied always; of a choice, all alike often."""
    if transform.p > 0:
        transform.p = 0.5 if isinstance(transform, OneOrOther) else 1.0
    if not isinstance(transform, BaseCompose):
        return
    for part in transform.transforms:
        _make_certain(part)
    if weights := getattr(transform, "transforms_ps", None):  # of OneOf
        possible = sum(weight > 0 for weight in weights)
        transform.transforms_ps = [(weight > 0) / possible for weight in weights]


def _culprit(augment: BaseCompose, image: np.ndarray) -> str:
    """Return the end of a message: the first transform that fails or returns no image, if any."""
    for transform in _flatten(augment):
        try:
            image = transform(image=image)["image"]
        except Exception:
            break
        if describe_wrong_image(image):
            break
    else:
        return ""
    return f" (see {type(transform).__name__})"


def _flatten(transform: Any) -> Iterator[Any]:
    """Yield the transforms within a composition, in their order."""
    if not isinstance(transform, BaseCompose):
        yield transform
        return
    for part in transform.transforms:
        yield from _flatten(part)
