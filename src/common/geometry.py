"""The geometry of a model's images, which the model states and the data follow."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from genspot.common.checks import check_integer
from genspot.common.errors import GenspotError
from genspot.common.text import safe_repr

MAX_SIDE = 10_000  # pixels: test images smaller than the crop are padded to it, which costs memory
POSITIONS = ("random", "centre")  # of the crop of a training image


@dataclass(frozen=True)
class Geometry:
    """How images are resized and cropped, in this order, before a model sees them."""

    # An integer is the length of the shorter side in pixels, a pair is the exact height and
    # width, and None keeps the size.
    resize: int | tuple[int, int] | None = None
    crop: int | None = None  # side of the square crop in pixels; None: the whole image
    # Where training images are cropped. Validation and test images are cropped at the centre.
    position: str = "random"
    setting: str = field(default="model.train", compare=False)  # where they stand, in messages

    def __post_init__(self) -> None:
        if isinstance(self.resize, list):  # YAML has no tuples
            object.__setattr__(self, "resize", tuple(self.resize))
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize,)
        if isinstance(self.resize, tuple) and len(self.resize) != 2:
            raise GenspotError(
                f"{self.setting}.resize={list(self.resize)}: give [height,width] or one number"
            )
        for name, side in (*(("resize", side) for side in sides), ("crop", self.crop)):
            if side is not None:
                check_integer(f"{self.setting}.{name}", side, minimum=1, maximum=MAX_SIDE)
        if self.position not in POSITIONS:
            raise GenspotError(
                f"{self.setting}.position={safe_repr(self.position)}: choose "
                f"{' or '.join(POSITIONS)}"
            )

    @property
    def fixed_size(self) -> bool:
        """Whether all processed images have the same size, so that they fit into one batch."""
        return self.crop is not None or isinstance(self.resize, tuple)

    def with_crop(self, crop: object) -> Geometry:
        """Return the same with another crop: a side in pixels, "none", or None to keep it.

        Raises:
            GenspotError: `crop` is something else.
        """
        if crop is None:
            return self
        if crop == "none":
            return replace(self, crop=None)
        if type(crop) is not int or not 1 <= crop <= MAX_SIDE:
            raise GenspotError(
                f"crop={crop}: give a number of pixels up to {MAX_SIDE}, or none for whole images"
            )
        return replace(self, crop=crop)

    def as_dict(self) -> dict[str, Any]:
        """Return resize and crop, and a position other than "random", as plain values."""
        resize = list(self.resize) if isinstance(self.resize, tuple) else self.resize
        position = {} if self.position == "random" else {"position": self.position}
        return {"resize": resize, "crop": self.crop, **position}
