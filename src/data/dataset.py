"""A table of samples as a PyTorch dataset, and its collation."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypedDict

import albumentations
import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import Dataset

from genspot.data import image_io as images

Draw = tuple[int, int]  # (epoch, row): what a sampler yields
LONGEST = 65_500  # pixels of a side; the JPEG of a degradation holds no longer ones
STAND_INS = 100  # broken files in a row after which a training set is beyond help


class Sample(TypedDict):
    """One row of the table, read."""

    row: int
    label: int
    image: np.ndarray | None  # uint8, H×W×3; None where the file cannot be read
    padded: bool  # the image was smaller than the crop
    unreadable: list[tuple[int, str]]  # rows that could not be read, and why


class ImageDataset(Dataset[Sample]):
    """Images of a table, degraded and cut. Indexed by (epoch, row).

    What is drawn for an image depends on (seed, epoch, row) alone: not on workers, ranks, batch
    size, or where a run was resumed.

    Args:
        table: of `genspot.data.layout.SCHEMA`.
        augment: degrades the whole image, before the crop, so that the phase of JPEG's grid in
            the crop stays random; None leaves it as it is.
        resize: pixels of the shorter side before all else; None keeps the size.
        crop: side of the square cut out, in pixels; None keeps the whole image.
        train: crop at random and flip every second image; otherwise cut the middle.
        seed: of the random streams.
        read: row to image (`uint8`, H×W×3); None reads the files of the table.
    """

    def __init__(
        self,
        table: pa.Table,
        augment: albumentations.Compose | None = None,
        resize: int | None = None,
        crop: int | None = None,
        train: bool = False,
        seed: int = 0,
        read: Callable[[int], np.ndarray] | None = None,
    ) -> None:
        self.table = table
        self.paths, self.labels = table["path"], table["label"].to_numpy()
        self.read = read or self._read_file
        self.augment = augment if augment is not None and augment.transforms else None
        self.resize = resize
        self.crop = crop
        self.train = train
        self.seed = seed
        self.words = np.random.PCG64(0)  # takes on a state for each image

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, index: Draw) -> Sample:
        epoch, first = index
        unreadable: list[tuple[int, str]] = []
        # In training, a broken file is stood in for by those after it: a gap in the batch of one
        # rank would leave the others waiting for it.
        for step in range(min(STAND_INS, len(self)) if self.train else 1):
            row = (first + step) % len(self)
            try:
                image = self._sized(row)
            except Exception as error:  # a broken file can raise nearly anything
                unreadable.append((row, images.reason(error)))
                continue
            padded = self.crop is not None and min(image.shape[:2]) < self.crop
            return self._sample(row, self._draw(image, epoch, first), padded, unreadable)
        return self._sample(first, None, False, unreadable)

    def _sample(
        self,
        row: int,
        image: np.ndarray | None,
        padded: bool,
        unreadable: list[tuple[int, str]],
    ) -> Sample:
        label = int(self.labels[row])
        return Sample(row=row, label=label, image=image, padded=padded, unreadable=unreadable)

    def _sized(self, row: int) -> np.ndarray:
        """The image of `row`, resized.

        Raises:
            UnreadableError: it is too long to be degraded, or another reason of `genspot.data.image_io`.
            Exception: whatever PIL raises.
        """
        image = images.resize(self.read(row), self.resize)
        if self.augment is not None and max(image.shape[:2]) > LONGEST:
            size = f"{image.shape[1]} × {image.shape[0]}"
            raise images.UnreadableError(f"{size} pixels: a side above {LONGEST} is not degraded")
        return image

    def _read_file(self, row: int) -> np.ndarray:
        return images.read(self.paths[row].as_py())

    def _draw(self, image: np.ndarray, epoch: int, row: int) -> np.ndarray:
        """`image` degraded, cut and flipped by the random stream of (seed, epoch, row)."""
        draws = random.Random((self.seed << 96) | (epoch << 64) | row)
        if self.augment is not None:
            self.words.state = {
                "bit_generator": "PCG64",
                # Drawing a state costs a fifth of hashing a seed into one.
                "state": {"state": draws.getrandbits(128), "inc": draws.getrandbits(127) * 2 + 1},
                "has_uint32": 0,
                "uinteger": 0,
            }
            self.augment.set_random_state(np.random.Generator(self.words), draws)
            image = self.augment(image=image)["image"]
        if self.crop is None:
            return image
        if not self.train:
            return images.centre_crop(image, self.crop)
        image = images.random_crop(image, self.crop, draws)
        return image[:, ::-1] if draws.random() < 0.5 else image


def collate(samples: list[Sample]) -> dict[str, Any]:
    """A batch of the readable samples, and what was wrong with the others.

    Returns:
        image (`uint8`, N×H×W×3, or None where nothing could be read), label (int64, N), row
        (int64, N), padded (bool, N), and unreadable: (row, reason) pairs.
    """
    readable = [sample for sample in samples if sample["image"] is not None]
    arrays = [sample["image"] for sample in readable]
    return {
        "image": torch.from_numpy(np.stack(arrays)) if arrays else None,  # type: ignore[arg-type]
        "label": torch.tensor([sample["label"] for sample in readable], dtype=torch.int64),
        "row": torch.tensor([sample["row"] for sample in readable], dtype=torch.int64),
        "padded": torch.tensor([sample["padded"] for sample in readable], dtype=torch.bool),
        "unreadable": [pair for sample in samples for pair in sample["unreadable"]],
    }
