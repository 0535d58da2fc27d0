"""Random patches of an image blacked out, so that a detector must look at all places."""

from __future__ import annotations

from typing import Any

import numpy as np
from albumentations import ImageOnlyTransform

from genspot.augment.ranges import as_range
from genspot.common.errors import GenspotError

MAX_SIDE = 10_000  # pixels; larger values are typing errors


class PatchMask(ImageOnlyTransform):
    """Black out random patches of a `uint8` H×W×3 image (Li et al., KDD 2025, "SAFE").

    The image is divided into square patches from its upper left corner on; those at the right and
    lower edge may be smaller. The share of patches that are blacked out is drawn uniformly from 0
    to `max_share`, then which of them. That they become black is no part of the published recipe.

    Args:
        side: of a patch in pixels, from 1 to `MAX_SIDE`.
        max_share: largest share of the patches, from 0 to 1.
        p: probability that patches of an image are blacked out.

    Raises:
        GenspotError: a value is out of its range.
    """

    def __init__(self, side: int = 16, max_share: float = 0.75, p: float = 0.5) -> None:
        super().__init__(p=p)
        number, _ = as_range(side, "side", 1, MAX_SIDE)
        if number % 1:
            raise GenspotError(f"side={side} is not a whole number of pixels")
        self.side = int(number)
        self.max_share, _ = as_range(max_share, "max_share", 0, 1)

    def get_params(self) -> dict[str, Any]:
        return {"share": self.py_random.uniform(0, self.max_share)}

    def apply(self, img: np.ndarray, share: float, **params: Any) -> np.ndarray:
        rows, columns = (-(-side // self.side) for side in img.shape[:2])
        chosen = self.py_random.sample(range(rows * columns), round(share * rows * columns))
        masked = img.copy()
        for number in chosen:
            top, left = (self.side * place for place in divmod(number, columns))
            masked[top : top + self.side, left : left + self.side] = 0
        return masked
