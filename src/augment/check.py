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
from genspot.common.images import augmented

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
    setting: str,
    augment: BaseCompose | None,
    images: Iterable[tuple[str, np.ndarray]],
    crop: int | None = None,
) -> None:
    """Apply copies of `augment` to images: one as it is, and one that leaves out no transform.

    So what is drawn rarely is found too. The random state of `augment` stays as it is.

    Args:
        setting: where `augment` stands, for messages.
        augment: the augmentation; None is right.
        images: (path, `uint8` H×W×3) pairs.
        crop: side of the crop that follows, in pixels; None: there is none.

    Raises:
        GenspotError: it fails or returns no image; see `genspot.common.images.augmented`. Too
            little memory for some of the images is right: the training lists them as unreadable.
    """
    if augment is None:
        return
    try:
        drawn, certain = copy.deepcopy(augment), copy.deepcopy(augment)
    except Exception:  # a transform of the user's own that cannot be copied
        return  # the images of the training are checked one by one as well
    _make_certain(setting, certain)
    tried = []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # forked processes hang in OpenCV if its threads existed before
    try:
        for path, image in images:
            tried.append(_try_on(setting, (certain, drawn), path, image, crop))
    finally:
        cv2.setNumThreads(threads)
    if tried and not any(tried):
        raise GenspotError(
            f"{setting} takes more memory than there is, for each of {len(tried)} images that "
            f"were tried{_culprit(certain, image, crop)}"
        )


def _try_on(
    setting: str,
    augments: tuple[BaseCompose, BaseCompose],
    path: str,
    image: np.ndarray,
    crop: int | None,
) -> bool:
    """Apply each of `augments` to one image several times.

    Returns:
        whether there is enough memory for it.

    Raises:
        GenspotError: see `check_augmentation`.
    """
    for draw in range(max(1, min(MAX_DRAWS, DRAWN_PIXELS // (image.size // 3)))):
        for augment in augments:
            augment.set_random_state(np.random.default_rng(draw), random.Random(draw))
            try:
                augmented(setting, augment, path, image, crop)
            except GenspotError as error:
                raise GenspotError(f"{error}{_culprit(augments[0], image, crop)}") from error
            except Exception:
                return False
    return True


def _make_certain(setting: str, transform: Any) -> None:
    """Have each transform that is ever applied applied always; of a choice, all alike often.

    Raises:
        GenspotError: a probability cannot be set.
    """
    try:
        if transform.p > 0:
            transform.p = 0.5 if isinstance(transform, OneOrOther) else 1.0
    except Exception as error:  # the user's own code may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise GenspotError(
            f"{setting}: the p of {type(transform).__name__} cannot be set ({reason}); let it be "
            "the attribute that albumentations gives each transform"
        ) from error
    if not isinstance(transform, BaseCompose):
        return
    for part in transform.transforms:
        _make_certain(setting, part)
    if weights := getattr(transform, "transforms_ps", None):  # of OneOf
        possible = sum(weight > 0 for weight in weights)
        transform.transforms_ps = [(weight > 0) / possible for weight in weights]


def _culprit(augment: BaseCompose, image: np.ndarray, crop: int | None) -> str:
    """Return the end of a message: the first transform that fails or returns no image, if any."""
    for transform in _flatten(augment):
        try:
            image = augmented("", transform, "", image, crop)
        except Exception:
            return f" (see {type(transform).__name__})"
    return ""


def _flatten(transform: Any) -> Iterator[Any]:
    """Yield the transforms within a composition, in their order."""
    if not isinstance(transform, BaseCompose):
        yield transform
        return
    for part in transform.transforms:
        yield from _flatten(part)
